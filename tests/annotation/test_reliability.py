"""Dawid-Skene, reliability reports and aspect labels."""

import numpy as np
import pyarrow as pa
import pytest

from annotation import annotator_reliability, aspect_labels, fit_labels, side_bias
from data_contracts.errors import ContractError


def simulate(*, tasks, errors, classes, seed):
    """Every annotator labels every task; errors[r] is how often r names another class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, tasks)
    task = np.repeat(np.arange(tasks), len(errors))
    annotator = np.tile(np.arange(len(errors)), tasks)
    wrong = rng.random(len(task)) < np.array(errors)[annotator]
    label = np.where(
        wrong, (truth[task] + rng.integers(1, classes, len(task))) % classes, truth[task]
    )
    return truth, task, annotator, label


def as_annotations(task, annotator, label):
    return pa.table(
        {
            "annotation_id": [f"n{n:06d}" for n in range(len(task))],
            "annotator_id": [f"a{r}" for r in annotator],
            "kind": ["rating"] * len(task),
            "generation_id": [f"g{t:05d}" for t in task],
            "aspect": ["overall"] * len(task),
            "value": (label + 1).astype(float),
        }
    )


def test_recovers_truth_and_annotators():
    truth, task, annotator, label = simulate(
        tasks=3000, errors=(0.1, 0.2, 0.3, 0.5, 0.6), classes=3, seed=1
    )
    fit = fit_labels(task, annotator, label, tasks=3000, annotators=5, classes=3)
    assert fit.converged
    assert (fit.posterior.argmax(1) == truth).mean() > 0.9
    right = np.einsum("c,rcc->r", fit.class_shares, fit.confusions)
    np.testing.assert_allclose(right, [0.9, 0.8, 0.7, 0.5, 0.4], atol=0.04)


def test_renaming_classes_renames_the_answer():
    _, task, annotator, label = simulate(tasks=200, errors=(0.2, 0.3, 0.4), classes=3, seed=2)
    plain = fit_labels(task, annotator, label, tasks=200, annotators=3, classes=3)
    other = fit_labels(task, annotator, 2 - label, tasks=200, annotators=3, classes=3)
    np.testing.assert_allclose(other.posterior[:, ::-1], plain.posterior, atol=1e-9)


def test_a_task_without_answers_keeps_the_class_shares():
    fit = fit_labels(np.array([0]), np.array([0]), np.array([1]), tasks=2, annotators=1, classes=2)
    np.testing.assert_allclose(fit.posterior[1], fit.class_shares, atol=1e-5)


def test_refuses_labels_that_are_no_class():
    with pytest.raises(ContractError, match=r"0 \.\. 1"):
        fit_labels(np.array([0]), np.array([0]), np.array([2]), tasks=1, annotators=1, classes=2)


def test_reports_rank_annotators_and_name_labels():
    truth, task, annotator, label = simulate(tasks=400, errors=(0.1, 0.5, 0.3), classes=4, seed=3)
    annotations = as_annotations(task, annotator, label)
    report = {row["annotator_id"]: row for row in annotator_reliability(annotations).to_pylist()}
    assert report["a0"]["accuracy"] > report["a2"]["accuracy"] > report["a1"]["accuracy"]
    assert report["a0"]["answers"] == 400
    labels = aspect_labels(annotations)
    assert labels.num_rows == 400
    assert (labels["level"].to_numpy() == truth + 1).mean() > 0.85


@pytest.mark.parametrize("report", [annotator_reliability, aspect_labels, side_bias])
def test_no_answers_give_an_empty_report(report):
    none = np.zeros(0, dtype=int)
    assert report(as_annotations(none, none, none)).num_rows == 0


def test_one_annotator_with_one_class_gives_no_nan():
    one = np.zeros(4, dtype=int)
    report = annotator_reliability(as_annotations(np.arange(4), one, one))
    assert report["accuracy"].to_pylist() == [1.0]


def test_side_bias_counts_what_was_shown_left():
    """Three untied answers, the left one wins two; one tie."""
    rows = pa.table(
        {
            "annotation_id": ["n1", "n2", "n3", "n4"],
            "annotator_id": ["a"] * 4,
            "kind": ["comparison"] * 4,
            "generation_id": ["g1", "g1", "g3", "g1"],
            "other_generation_id": ["g2", "g2", "g4", "g2"],
            "value": [2.0, -1.0, -1.0, 0.0],
            "shown_left": ["g1", "g2", "g3", "g1"],
        }
    )
    (row,) = side_bias(rows).to_pylist()
    assert row["left_share"] == pytest.approx(2 / 3)
    assert row["ties"] == pytest.approx(0.25)


def test_copies_do_not_make_each_other_right():
    """Five share one list that is right half of the time; raw counts stay as given."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    shared = np.where(rng.random(300) < 0.5, truth, (truth + 1) % 3)
    own = [np.where(rng.random(300) < 0.75, truth, rng.integers(0, 3, 300)) for _ in range(9)]
    label = np.concatenate([shared] * 5 + own)
    task, annotator = np.tile(np.arange(300), 14), np.repeat(np.arange(14), 300)
    annotations = as_annotations(task, annotator, label)
    report = {row["annotator_id"]: row for row in annotator_reliability(annotations).to_pylist()}
    assert {row["answers"] for row in report.values()} == {300}
    assert max(report[f"a{n}"]["accuracy"] for n in range(5)) < 0.6
    assert min(report[f"a{n}"]["accuracy"] for n in range(5, 14)) > 0.7
    assert (aspect_labels(annotations)["level"].to_numpy() == truth + 1).mean() > 0.95
