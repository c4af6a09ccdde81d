"""Item scores: crossed effects of model, prompt and generation, and each rater's noise."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import somersd, spearmanr

from data_contracts.errors import ContractError
from pipelines.importing.item_scores import fit_item_scores
from pipelines.importing.rank_correlation import somers_d


def studio(*, prompts=60, models=6, noises=(0.4, 0.6, 2.0), seed=5):
    """Generations whose truth is model + prompt + own; raters of different care and scale."""
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        [(f"g{p}_{m}", f"p{p}", f"m{m}") for p in range(prompts) for m in range(models)],
        columns=["generation_id", "prompt_id", "model_release"],
    )
    by_prompt, by_model = rng.normal(0, 0.7, prompts), rng.normal(0, 0.7, models)
    place = np.repeat(np.arange(prompts), models), np.tile(np.arange(models), prompts)
    truth = by_prompt[place[0]] + by_model[place[1]] + rng.normal(0, 0.7, len(made))
    rated = [
        pd.DataFrame(
            {
                "generation_id": made["generation_id"],
                "annotator_id": f"r{n}",
                "aspect": "overall",
                "value": 3 + (n + 1) * (truth + rng.normal(0, noise, len(made))),
            }
        )
        for n, noise in enumerate(noises)
    ]
    return made, pd.concat(rated, ignore_index=True), truth


def test_recovers_the_truth_better_than_the_plain_mean():
    made, rated, truth = studio()
    fitted = fit_item_scores(rated, made)
    mean = rated.groupby("generation_id")["value"].mean().reindex(made["generation_id"])
    score = pd.Series(fitted.score[:, 0], fitted.generation_ids).reindex(made["generation_id"])
    assert fitted.converged
    assert spearmanr(score, truth).statistic > spearmanr(mean, truth).statistic + 0.05


def test_the_error_covers_the_truth_as_often_as_it_says():
    """In units of the answers' own spread; a factorised posterior is a little too sure."""
    made, rated, truth = studio(prompts=200, noises=(0.5, 0.5))
    fitted = fit_item_scores(rated, made)
    spread = rated.groupby("annotator_id")["value"].std(ddof=0)["r0"]
    unit = pd.Series((truth - truth.mean()) / spread, made["generation_id"])
    off = np.abs(fitted.score[:, 0] - unit.reindex(fitted.generation_ids))
    assert 0.85 < (off < 1.96 * fitted.error[:, 0]).mean() < 0.99


def test_scale_and_severity_of_a_rater_do_not_matter():
    made, rated, _ = studio()
    strict = rated["annotator_id"] == "r1"
    moved = rated.assign(value=rated["value"].where(~strict, 0.1 * rated["value"] - 7))
    first, second = (fit_item_scores(each, made).score for each in (rated, moved))
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_order_of_rows_does_not_matter():
    made, rated, _ = studio()
    again = fit_item_scores(rated.sample(frac=1, random_state=3), made.iloc[::-1])
    np.testing.assert_allclose(again.score, fit_item_scores(rated, made).score, atol=1e-9)


def test_an_aspect_that_was_not_answered_follows_the_others():
    """An answer on one aspect speaks of the other where the two go together."""
    made, rated, truth = studio(noises=(0.3,))
    twin = rated.assign(aspect="aesthetics")
    half = twin[twin["generation_id"].isin(made["generation_id"][::2])]
    fitted = fit_item_scores(pd.concat([rated, half]), made)
    silent = made["generation_id"].to_numpy()[1::2]
    guess = pd.Series(fitted.score[:, 0], fitted.generation_ids)[silent]
    assert fitted.aspects == ("aesthetics", "overall")
    assert spearmanr(guess, truth[1::2]).statistic > 0.8


def test_no_answers_are_refused():
    made, rated, _ = studio()
    with pytest.raises(ContractError, match="item scores need answers"):
        fit_item_scores(rated.iloc[:0], made)


def test_somers_d_is_that_of_scipy():
    rng = np.random.default_rng(2)
    truth = rng.integers(1, 5, 80).astype(float)
    scores = rng.integers(0, 9, (80, 3)).astype(float)
    expected = [somersd(truth, scores[:, n]).statistic for n in range(3)]
    np.testing.assert_allclose(somers_d(truth, scores), expected)
