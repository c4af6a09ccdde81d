"""A rating on a scale that cannot be read is dropped, never taken for one of five stars."""

import numpy as np
import pytest
from annotation_rows import annotations, generations, rating

from pipelines.denoising import denoise
from pipelines.preferences.answers import read_answers
from pipelines.signals.drops import drop_counts

KNOWN = generations(2).append_column("model_release", [["r0", "r0"]])
IDS = KNOWN["generation_id"].combine_chunks()


@pytest.mark.parametrize("scale", ["percent", "0 to 100 %", "[1,7]", "1.2.3..5"])
def test_five_on_a_scale_that_cannot_be_read_is_not_the_best_of_five(scale):
    rows = annotations([rating("g0000", name, 5, scale=scale) for name in "abcde"])
    made = denoise(None, KNOWN, rows)
    assert drop_counts(made.drops)["unknown_scale"] == 5
    np.testing.assert_allclose(made.fit.posterior[0], made.fit.posterior[1])


@pytest.mark.parametrize(
    ("scale", "level"), [(None, 4), ("", 4), ("  ", 4), ("0..100", 0), ("1 to 9", 2), ("5..10", 0)]
)
def test_five_is_read_on_the_scale_that_is_written(scale, level):
    found = read_answers(annotations([rating("g0000", "a", 5, scale=scale)]), IDS)
    assert found.ratings["overall"].label.tolist() == [level]
    assert found.drops.num_rows == 0


def test_an_annotator_who_names_no_aspect_in_two_ways_answers_once():
    named = [rating("g0000", "a", 5, aspect=aspect) for aspect in (None, "", "overall")]
    made = denoise(None, KNOWN, annotations(named))
    assert made.annotators.select(["aspect", "answers"]).to_pylist() == [
        {"aspect": "overall", "answers": 1}
    ]
    assert drop_counts(made.drops)["repeated_answer"] == 2
