"""Simulated annotators point at what is wrong: boxes in pictures, frames of films."""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from data_contracts.aspects import ASPECT_TABLE
from data_contracts.schemas import ANNOTATION
from pipelines.world.annotators import CARELESS, Crew
from pipelines.world.films import FRAMES
from pipelines.world.flaws import Flaw
from pipelines.world.scenes import OBJECT, SIDE

_CODES: Final = {aspect.name: aspect.reason_codes for aspect in ASPECT_TABLE}


def point_at(
    answers: pa.Table,
    flaws: Mapping[str, tuple[Flaw, ...]],
    crew: Crew,
    *,
    films: bool,
    share: float,
    rng: np.random.Generator,
) -> pa.Table:
    """Let annotators point at what is wrong in what they rated.

    Who is careless points anywhere; the others overlook a flaw as often as their perception is
    noisy, and hit it about as exactly. Who rates upside down points like anybody else.

    Args:
        answers: what was answered; only ratings of an aspect with reasons count.
        flaws: by generation id.
        crew: who answered.
        films: whether they rated films: people point at frames there, else at boxes.
        share: of ratings that are followed by pointing, where there is anything to point at.
        rng: all randomness.

    Returns:
        Rows in the contract of annotations.
    """
    rows: list[dict[str, Any]] = []
    for answer in answers.to_pylist():
        codes = _CODES[answer["aspect"]]
        if answer["kind"] != "rating" or not codes or rng.random() >= share:
            continue
        who = int(answer["annotator_id"][1:])
        found = [f for f in flaws[answer["generation_id"]] if f.aspect == answer["aspect"]]
        if crew.kind[who] == CARELESS:
            found = [_anything(answer["aspect"], codes, films, rng)]
        for number, flaw in enumerate(found):
            if rng.random() < crew.noise[who]:
                continue  # overlooked
            rows.append(
                {
                    "annotation_id": f"{answer['annotation_id']}_{number}",
                    "task_id": answer["task_id"],
                    "annotator_id": answer["annotator_id"],
                    "kind": "segment" if flaw.frames else "region",
                    "generation_id": answer["generation_id"],
                    "aspect": flaw.aspect,
                    "reason_code": flaw.reason_code,
                    "geometry": json.dumps(_seen(flaw, float(crew.noise[who]), rng)),
                    "lead_time_s": float(np.round(rng.lognormal(1.2, 0.5), 2)),
                    "origin": "simulated",
                    "is_gold": False,
                    "updated_at": answer["updated_at"],
                }
            )
    return pa.Table.from_pylist(rows, schema=ANNOTATION)


def _anything(aspect: str, codes: tuple[str, ...], films: bool, rng: np.random.Generator) -> Flaw:
    code = str(rng.choice(codes))
    if films:
        first = int(rng.integers(FRAMES))
        return Flaw(aspect=aspect, reason_code=code, frames=(first, first + 1))
    x, y = (int(v) for v in rng.integers(SIDE - OBJECT + 1, size=2))
    return Flaw(aspect=aspect, reason_code=code, box=(x, y, OBJECT, OBJECT))


def _seen(flaw: Flaw, noise: float, rng: np.random.Generator) -> dict[str, Any]:
    """Return what is drawn around a flaw, as the contract keeps it."""
    if flaw.box is None:
        assert flaw.frames is not None
        return {"frames": list(flaw.frames)}
    x, y, width, height = flaw.box
    edges = np.array([x, y, x + width, y + height]) + noise * OBJECT * rng.normal(size=4)
    left, top, right, bottom = edges.clip(0, SIDE).round(1).tolist()
    # Nobody's hand shakes so much that nothing is left.
    box = [min(left, SIDE - 1), min(top, SIDE - 1), max(right - left, 1.0), max(bottom - top, 1.0)]
    return {"box": [float(v) for v in box], "size": [SIDE, SIDE]}
