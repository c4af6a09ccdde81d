"""Pairs, targets, splits, arms and the card."""

import numpy as np
import pyarrow as pa
import pytest
from annotation_rows import annotations, comparison, generations, rating

from data_contracts.errors import ContractError
from data_contracts.schemas import PREFERENCE_PAIR
from pipelines.preferences import (
    PairSettings,
    TargetSettings,
    card_markdown,
    dataset_card,
    fit_intent,
    gather_evidence,
    make_pairs,
    naive_pairs,
    pairs_from_quality,
    shuffled_pairs,
    split_prompts,
    targets,
)
from pipelines.preferences.pairs import same_prompt_indices
from pipelines.preferences.siblings import better_chance
from pipelines.preferences.splits import normalise_text
from pipelines.signals import EXPOSURE, drop_counts

PROMPTS = pa.table({"prompt_id": ["q"], "text": ["a red disc"]})


def rated(levels):
    """Three annotators agree on each generation's level; None is not rated."""
    return annotations(
        [rating(f"g{n:04d}", a, v) for n, v in enumerate(levels) if v for a in "abc"]
    )


def pairs_of(levels, *, votes=(), **settings):
    said = pa.concat_tables([rated(levels), annotations(list(votes))])
    said = said.set_column(0, "annotation_id", pa.array([f"n{n}" for n in range(len(said))]))
    known = generations(len(levels))
    fit = fit_intent(None, said, generations=known)
    return make_pairs(
        fit, PROMPTS, known, gather_evidence(None, said), annotations=said,
        settings=PairSettings(**settings),
    )  # fmt: skip


def test_better_chance_by_hand():
    """(.2 .8) against (.5 .5): .8 * .5 + .5 * (.2 * .5 + .8 * .5) = .65."""
    first, second = np.array([[0.2, 0.8]]), np.array([[0.5, 0.5]])
    np.testing.assert_allclose(better_chance(first, second), [0.65])


def test_better_chance_and_its_opposite_are_one():
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(5), (2, 50))
    np.testing.assert_allclose(better_chance(a, b) + better_chance(b, a), 1.0)


def test_every_two_of_a_prompt_meet_once():
    first, second = same_prompt_indices(np.array([0, 0, 0, 1, 2, 2]))
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [
        (0, 1), (0, 2), (1, 2), (4, 5),
    ]  # fmt: skip


def test_the_better_is_chosen_and_backed_by_its_evidence():
    table, drops = pairs_of([1, 5])
    (row,) = table.to_pylist()
    assert (row["chosen_id"], row["rejected_id"]) == ("g0001", "g0000")
    assert row["target"] == 1.0
    assert row["weight"] == pytest.approx(2 * row["probability"] - 1)
    assert row["sources"] == ["ratings"]
    assert row["evidence"] == [f"n{n}" for n in range(6)]
    assert table.schema.equals(PREFERENCE_PAIR)
    assert drops.num_rows == 0


def test_every_candidate_is_kept_or_counted():
    table, drops = pairs_of([1, 5, 5, None, None], per_prompt=1)
    assert table.num_rows + sum(drop_counts(drops).values()) == 10
    assert set(drop_counts(drops)) == {"no_evidence", "prompt_cap", "undecided"}


def test_all_pairs_keeps_undecided_ones_at_a_half_with_the_smaller_id_chosen():
    table, drops = pairs_of([None, None], keep_undecided=True)
    (row,) = table.to_pylist()
    assert (row["probability"], row["weight"], row["chosen_id"]) == (0.5, 0.0, "g0000")
    assert drops.num_rows == 0


def test_unknown_prompts_are_counted():
    said = rated([1, 5])
    fit = fit_intent(None, said, generations=generations(2))
    other = pa.table({"prompt_id": ["z"], "text": ["a red disc"]})
    _, drops = make_pairs(fit, other, generations(2), gather_evidence(None, said))
    assert drop_counts(drops) == {"unknown_prompt": 1}


def test_a_true_split_gives_a_soft_target():
    votes = [comparison("g0000", "g0001", f"v{n}", 1 if n < 6 else -1) for n in range(10)]
    (row,) = pairs_of([4, 3], votes=votes)[0].to_pylist()
    assert row["chosen_id"] == "g0000"
    assert (row["target"], row["weight"]) == (0.6, 1.0)


def test_five_who_call_two_the_same_make_no_pair():
    votes = [comparison("g0000", "g0001", f"v{n}", 0) for n in range(5)]
    pairs, drops = pairs_of([3, 3], votes=votes)
    assert pairs.num_rows == 0
    assert drop_counts(drops) == {"undecided": 1}


def test_targets_refuse_what_is_no_probability():
    with pytest.raises(ContractError, match="outside"):
        targets(np.array([np.nan]), settings=TargetSettings())


def test_words_that_mean_the_same_are_the_same():
    assert normalise_text("Two red discs, please!") == normalise_text("2 RED disc")


def test_near_duplicates_and_turns_share_a_split():
    texts = {"p1": "Two red discs left of a blue square", "p2": "a blue square left of 2 red discs",
             "p3": "a green disc", "p4": "now make it red"}  # fmt: skip
    prompts = pa.table(
        {
            "prompt_id": list(texts), "text": list(texts.values()),
            "previous_turns": [None, None, None, ["p3"]],
        }
    )  # fmt: skip
    cluster = {r["prompt_id"]: r["cluster"] for r in split_prompts(prompts).to_pylist()}
    assert cluster["p1"] == cluster["p2"] != cluster["p3"] == cluster["p4"]


def test_long_texts_that_nearly_agree_share_a_cluster():
    words = [f"word{n}" for n in range(200)]
    texts = [" ".join(words), " ".join([*words[:-1], "other"]), " ".join(reversed(words[:150]))]
    prompts = pa.table({"prompt_id": ["p1", "p2", "p3"], "text": texts})
    one, two, three = split_prompts(prompts)["cluster"].to_pylist()
    assert one == two != three


def test_splits_are_about_as_large_as_asked_and_stay():
    prompts = pa.table(
        {"prompt_id": [f"p{n}" for n in range(2000)], "text": [f"thing {n}" for n in range(2000)]}
    )
    splits = split_prompts(prompts)
    shares = {s: splits["split"].to_pylist().count(s) / 2000 for s in ("validation", "heldout")}
    assert shares == pytest.approx({"validation": 0.1, "heldout": 0.1}, abs=0.02)
    half = split_prompts(prompts.slice(0, 1000).take(np.arange(1000)[::-1]))
    later = dict(zip(splits["prompt_id"].to_pylist(), splits["split"].to_pylist(), strict=True))
    assert all(later[r["prompt_id"]] == r["split"] for r in half.to_pylist())


def test_naive_pairs_take_a_download_for_praise():
    patterns = pa.array([2, 0])  # bit 1: download
    exposures = pa.table(
        {
            "generation_id": ["g0000", "g0001"], "pattern": patterns, "heldout": [False, False],
            "weight": [1.0, 1.0], "event_ids": [["e1"], ["e2"]],
        }
    )  # fmt: skip
    for name in EXPOSURE.names:
        if name not in exposures.column_names:
            exposures = exposures.append_column(name, pa.nulls(2, EXPOSURE.field(name).type))
    exposures = exposures.select(EXPOSURE.names).cast(EXPOSURE)
    evidence = gather_evidence(exposures, None)
    (row,) = naive_pairs(exposures, PROMPTS, generations(2), evidence).table.to_pylist()
    assert (row["chosen_id"], row["probability"]) == ("g0000", 1.0)
    assert row["evidence"] == ["e1", "e2"]


def test_oracle_pairs_leave_equals_undecided():
    quality = pa.table({"generation_id": ["g0000", "g0001", "g0002"], "quality": [1.0, 3.0, 3.0]})
    table, drops = pairs_from_quality(quality, PROMPTS, generations(3))
    assert set(table["rejected_id"].to_pylist()) == {"g0000"}
    assert drop_counts(drops) == {"undecided": 1}


def test_shuffling_turns_about_half_whatever_the_row_order():
    n = 400
    quality = pa.table(
        {"generation_id": generations(n)["generation_id"], "quality": np.arange(n, dtype=float)}
    )
    known = generations(n).set_column(1, "prompt_id", pa.array([f"q{k // 2}" for k in range(n)]))
    prompts = pa.table(
        {"prompt_id": [f"q{k}" for k in range(n // 2)], "text": [f"t {k}" for k in range(n // 2)]}
    )
    pairs = pairs_from_quality(quality, prompts, known).table
    shuffled = shuffled_pairs(pairs, np.random.default_rng(0))
    turned = np.mean(
        np.array(shuffled["chosen_id"].to_pylist()) < shuffled["rejected_id"].to_numpy()
    )
    assert turned == pytest.approx(0.5, abs=0.1)
    assert sorted(shuffled["pair_id"].to_pylist()) == sorted(pairs["pair_id"].to_pylist())
    backwards = pairs.take(np.arange(pairs.num_rows)[::-1])
    assert shuffled_pairs(backwards, np.random.default_rng(0)).equals(shuffled)


def test_the_card_says_what_there_is_and_what_is_missing():
    said = rated([1, 5, None])
    fit = fit_intent(None, said, generations=generations(3))
    table, drops = make_pairs(fit, PROMPTS, generations(3), gather_evidence(None, said))
    card = dataset_card(table, drops, fit, origin="Simulated.", agreement={"overall": 1.0})
    assert card["pairs"] == table.num_rows
    assert card["by_source"] == {"ratings": table.num_rows}
    assert any("No exposures" in gap for gap in card["gaps"])
    text = card_markdown(card)
    assert text.startswith("# Preference pairs: dataset card\n\nSimulated.")
    assert "## Known biases" in text


def test_an_aspect_nobody_rated_is_refused():
    with pytest.raises(ContractError, match="safety was not fitted"):
        pairs_of([1, 5], aspects=("safety",))
