"""Which answers are heard, and as whose."""

import numpy as np
import pyarrow as pa
import pytest
from small_studio import studio

from data_contracts.schemas import ANNOTATION
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.denoising.hearing import hear
from pipelines.denoising.reading import ANNOTATIONS, checked
from pipelines.signals.drops import drop_counts


def table(rows):
    whole = {"task_id": "k", "kind": "rating", "aspect": "overall"}
    found = pa.Table.from_pylist([whole | row for row in rows], schema=ANNOTATION)
    return checked(found, ANNOTATIONS)


def rating(n, who, item, value, **changes):
    return {
        "annotation_id": f"n{n:05d}", "annotator_id": who, "generation_id": item, "value": value,
    } | changes  # fmt: skip


def crowd(*, copies, kind="rating", items=60, honest=8, seed=0):
    """Honest annotators who slip, and *copies* who say what one of their own says."""
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
        for item in range(items):
            say(f"a{n}", item, judged(item))
    for item in range(items):
        said = judged(item)
        for n in range(copies):
            say(f"z{n}", item, said)
    return table(rows)


@pytest.mark.parametrize("kind", ["rating", "comparison"])
def test_copies_are_heard_once_under_their_first_name(kind):
    told = crowd(copies=4, kind=kind)
    heard = hear(told)
    assert heard.voices.to_pylist() == [{"annotator_id": f"z{n}", "voice": "z0"} for n in range(4)]
    names = heard.table["annotator_id"].to_pylist()
    assert names.count("z0") == 60
    assert not {"z1", "z2", "z3"} & set(names)
    assert drop_counts(heard.drops) == {"copied_answer": 3 * 60}


def test_honest_annotators_keep_their_voices():
    told = crowd(copies=1)
    heard = hear(told)
    assert heard.voices.num_rows == 0
    assert heard.table.equals(told)


def test_merging_can_be_undone():
    told = crowd(copies=4)
    assert hear(told, merge=False).table.equals(told)


def test_a_voice_that_is_split_evenly_is_not_heard():
    told = crowd(copies=2)
    rows = told.to_pylist()
    last = max(n for n, row in enumerate(rows) if row["annotator_id"] == "z1")
    rows[last]["value"] = 6.0 - rows[last]["value"] if rows[last]["value"] != 3.0 else 1.0
    heard = hear(table(rows))
    assert heard.voices.num_rows == 2
    assert heard.table["annotator_id"].to_pylist().count("z0") == 59


def test_row_order_does_not_matter():
    told = crowd(copies=3)
    other = hear(told.take(np.random.default_rng(1).permutation(told.num_rows)))
    assert other.table.sort_by("annotation_id").equals(hear(told).table.sort_by("annotation_id"))
    assert other.voices.equals(hear(told).voices)


def test_what_cannot_be_is_refused_by_row_and_the_rest_is_heard():
    rows = [
        rating(0, "a", "g0", 3.0),
        rating(1, "a", "g1", 9.0),
        rating(2, "b", "g1", float("nan")),
        rating(3, "b", "g2", 1.0, kind="comparison", other_generation_id="g2"),
        rating(4, "c", "g2", 1.0, kind="comparison", other_generation_id="g3", shown_left="g9"),
        rating(5, "c", "g4", 2.0),
        rating(5, "c", "g5", 2.0),
    ]
    heard = hear(table(rows))
    assert heard.table["annotation_id"].to_pylist() == ["n00000"]
    assert heard.refused["row"].to_pylist() == [1, 2, 3, 4, 5, 6]
    assert heard.refused["annotation_id"][0].as_py() == "n00001"
    assert drop_counts(heard.drops) == {
        "off_scale": 1, "no_number": 1, "compared_with_itself": 1, "side_of_a_stranger": 1,
        "id_used_twice": 2,
    }  # fmt: skip


def test_many_copies_move_the_pairs_no_further_than_one():
    """Three who copy one honest annotator's answers change nothing once they are one voice."""
    w = studio(prompts=15, rated=0.0)
    one, many = crowd(copies=1), crowd(copies=4)
    settings = DenoiseSettings(all_pairs=True)
    first = denoise(None, w.generations, one, settings=settings)
    second = denoise(None, w.generations, many, settings=settings)
    assert first.pairs["probability"].equals(second.pairs["probability"])
    assert second.figures["voices"] == [{"voice": "z0", "annotators": [f"z{n}" for n in range(4)]}]
    # Raw agreement is of everybody: four who say the same raise it.
    alpha = [made.figures["agreement"][0]["alpha"] for made in (first, second)]
    assert alpha[1] > alpha[0]
