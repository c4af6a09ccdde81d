"""Which answers are heard, and as whose."""

import numpy as np
import pyarrow as pa
import pytest
from annotator_crowd import answers, crowd, rating

from data_contracts.schemas import ANNOTATION
from pipelines.preferences.hearing import hear
from pipelines.signals.drops import drop_counts


@pytest.mark.parametrize("kind", ["rating", "comparison"])
def test_copies_are_heard_once_under_their_first_name(kind):
    told = crowd(copies=4, kind=kind)
    heard = hear(told)
    assert heard.voices.to_pylist() == [{"annotator_id": f"z{n}", "voice": "z0"} for n in range(4)]
    names = heard.table["annotator_id"].to_pylist()
    assert names.count("z0") == 60
    assert not {"z1", "z2", "z3"} & set(names)
    assert drop_counts(heard.drops) == {"copied_answer": 3 * 60}
    assert heard.table.schema == ANNOTATION, "all columns of the contract go through"
    assert heard.suspects["merged"].to_pylist() == [True] * 6
    assert heard.suspects["kind"].to_pylist() == [kind] * 6


def test_honest_annotators_keep_their_voices():
    told = crowd(copies=1)
    heard = hear(told)
    assert heard.voices.num_rows == 0
    assert heard.table.equals(told)


def test_merging_can_be_undone_and_the_suspicion_is_told_all_the_same():
    told = crowd(copies=4)
    heard = hear(told, merge=False)
    assert heard.table.equals(told)
    assert heard.voices.num_rows == 0
    assert heard.suspects["merged"].to_pylist() == [False] * 6
    assert drop_counts(heard.drops) == {"suspected_copy": 240}


def test_a_voice_that_is_split_evenly_is_not_heard():
    told = crowd(copies=2)
    rows = told.to_pylist()
    last = max(n for n, row in enumerate(rows) if row["annotator_id"] == "z1")
    rows[last]["value"] = 6.0 - rows[last]["value"] if rows[last]["value"] != 3.0 else 1.0
    heard = hear(answers(rows))
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
    heard = hear(answers(rows))
    assert heard.table["annotation_id"].to_pylist() == ["n00000"]
    assert heard.refused["row"].to_pylist() == [1, 2, 3, 4, 5, 6]
    assert heard.refused["annotation_id"][0].as_py() == "n00001"
    assert set(heard.refused["table"].to_pylist()) == {"annotations"}
    assert heard.refused["generation_id"][0].as_py() == "g1"
    assert drop_counts(heard.drops) == {
        "off_scale": 1, "no_number": 1, "compared_with_itself": 1, "side_of_a_stranger": 1,
        "id_used_twice": 2,
    }  # fmt: skip


def test_copies_who_gave_most_answers_are_heard_named_and_counted():
    """Six who copy give 360 of 600 answers: beyond 40 % nobody is left to tell."""
    told = crowd(copies=6, honest=20, each=12)
    heard = hear(told)
    assert heard.voices.num_rows == 0
    assert heard.table.equals(told)
    assert heard.suspected.to_pylist() == [f"z{n}" for n in range(6)]
    assert heard.suspects.num_rows == 6 * 5 / 2
    assert not any(heard.suspects["merged"].to_pylist())
    row = heard.suspects.to_pylist()[0]
    assert row["shared"] == 60
    assert row["alike"] == 1.0
    assert 0 < row["expected"] < 0.8
    assert drop_counts(heard.drops) == {"suspected_copy": 360}


def test_honest_annotators_are_suspected_of_nothing():
    heard = hear(crowd(copies=1))
    assert heard.suspects.num_rows == 0
    assert heard.drops.num_rows == 0


def test_an_aspect_that_nobody_has_named_is_refused_by_id():
    rows = [
        rating(0, "a", "g0", 3.0),
        rating(1, "a", "g1", 3.0, aspect="beauty"),
        rating(2, "a", "g2", 3.0, aspect=None),
    ]
    gold = pa.table(
        {
            "generation_id": ["g0", "g1", "g9"],
            "aspect": ["Overall", "overall", "overall"],
            "value": [1.0, 2.0, 3.0],
        }
    )
    heard = hear(answers(rows), gold=gold, known=pa.array(["g0", "g1", "g2"]))
    assert heard.table["annotation_id"].to_pylist() == ["n00000", "n00002"]
    assert heard.gold.to_pylist() == [{"generation_id": "g1", "aspect": "overall", "value": 2.0}]
    refused = [(r["table"], r["row"], r["generation_id"]) for r in heard.refused.to_pylist()]
    assert refused == [("annotations", 1, "g1"), ("gold", 0, "g0")]
    assert heard.drops.to_pylist() == [
        {"stage": "refusals", "reason": "unknown_aspect", "rows": 1},
        {"stage": "gold", "reason": "unknown_aspect", "rows": 1},
        {"stage": "gold", "reason": "unknown_generation", "rows": 1},
    ]
