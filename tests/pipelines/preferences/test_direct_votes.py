"""Who has a vote on a pair, and how many."""

from annotation_rows import annotations, comparison

from pipelines.preferences.evidence import direct_votes


def test_an_annotator_named_as_a_nameless_answer_is_takes_no_vote_away():
    """Two nameless answers and an annotator whose id is an annotation_id: three votes."""
    rows = annotations([comparison("g0000", "g0001", name, 1) for name in (None, None, "n00001")])
    (found,) = direct_votes(rows).to_pylist()
    assert (found["won"], found["votes"]) == (3.0, 3)


def test_an_annotator_who_answers_twice_has_one_vote_the_last():
    rows = annotations([comparison("g0000", "g0001", "a", value) for value in (1, -1)])
    (found,) = direct_votes(rows).to_pylist()
    assert (found["won"], found["votes"]) == (0.0, 1)
