"""Answers of a crowd with known truth: honest annotators who slip, and some who copy."""

import numpy as np
import pyarrow as pa

from data_contracts.schemas import ANNOTATION


def answers(rows):
    """Rows of the whole annotation contract; what a row does not say is a rating of overall."""
    whole = {"task_id": "k", "kind": "rating", "aspect": "overall"}
    return pa.Table.from_pylist([whole | row for row in rows], schema=ANNOTATION)


def rating(n, who, item, value, **changes):
    return {
        "annotation_id": f"n{n:05d}", "annotator_id": who, "generation_id": item, "value": value,
    } | changes  # fmt: skip


def crowd(*, copies, kind="rating", items=60, honest=8, each=None, seed=0):
    """Honest annotators who slip, and *copies* who say what one of their own says.

    *each* is how many of *items* an honest one answers; None: all. Copies answer all.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, items)
    rows = []

    def say(who, item, value):
        row = rating(len(rows), who, f"g{item:04d}", float(value))
        if kind == "comparison":
            # Each pair as often one way round as the other: a copy is one either way.
            turned = bool(rng.integers(0, 2))
            pair = (f"g{item:04d}", f"h{item:04d}")[:: -1 if turned else 1]
            sign = np.sign(value - 3) * (-1 if turned else 1)
            row |= {"kind": kind, "generation_id": pair[0], "other_generation_id": pair[1]}
            row["value"] = float(sign)
        rows.append(row)

    def judged(item):
        return int(np.clip(truth[item] + rng.integers(-2, 3), 1, 5))

    for n in range(honest):
        mine = range(items) if each is None else sorted(rng.choice(items, each, replace=False))
        for item in mine:
            say(f"a{n}", int(item), judged(item))
    for item in range(items):
        said = judged(item)
        for n in range(copies):
            say(f"z{n}", item, said)
    return answers(rows)
