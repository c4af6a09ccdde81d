"""Two tenants may ask one prompt; nobody's work is compared with a rival's."""

import numpy as np
import pyarrow as pa
import pytest
from annotation_rows import annotations, generations, rating

from annotation.queue import choose_tasks
from pipelines.preferences import PairSettings, fit_intent, gather_evidence, make_pairs
from pipelines.preferences.em import IntentSettings
from pipelines.preferences.pairs import pairs_apart
from pipelines.signals import drop_counts

PROMPTS = pa.table({"prompt_id": ["q"], "text": ["a red disc"]})
OWNERS = ["a", "b", "a", "b", "a", "a"]


def made(owners=OWNERS, skills=None):
    table = generations(len(owners)).append_column("tenant_id", pa.array(owners, pa.string()))
    return table if skills is None else table.append_column("skill_id", pa.array(skills))


def test_no_pair_crosses_tenants_and_every_one_that_would_is_counted():
    said = annotations(
        [rating(f"g{n:04d}", a, 1 + n % 5) for n in range(len(OWNERS)) for a in "xyz"]
    )
    fit = fit_intent(None, said, generations=made())
    table, drops = make_pairs(
        fit, PROMPTS, made(), gather_evidence(None, said), annotations=said,
        settings=PairSettings(keep_undecided=True),
    )  # fmt: skip
    owner = dict(zip(made()["generation_id"].to_pylist(), OWNERS, strict=True))
    sides = [(owner[row["chosen_id"]], owner[row["rejected_id"]]) for row in table.to_pylist()]
    assert sorted(sides) == [("a", "a")] * 6 + [("b", "b")]
    assert drop_counts(drops) == {"two_tenants": 8}


def test_of_two_tenants_counts_before_of_two_skills():
    known = made(skills=["s", "s", None, None, "s", None])
    ids = known["generation_id"].to_pylist()
    assert pairs_apart(known, ids) == {"two_tenants": 8, "other_skill": 5}


def test_who_does_not_say_whose_generations_are_has_one_tenant():
    known = made().drop_columns("tenant_id")
    assert pairs_apart(known, known["generation_id"].to_pylist())["two_tenants"] == 0


def test_what_one_tenant_got_for_a_prompt_says_nothing_of_another_s():
    """Siblings are alike, so a good one speaks for an unseen one; a rival's does not."""
    prompts = [f"q{n // 4}" for n in range(40)]
    said = annotations(
        [rating(f"g{n:04d}", a, 1 + 4 * (n // 4 % 2)) for n in range(40) if n != 39 for a in "xyz"]
    )
    unseen = {}
    for owner in ("a", "b"):
        known = pa.table({
            "generation_id": [f"g{n:04d}" for n in range(40)], "prompt_id": prompts,
            "tenant_id": ["a"] * 39 + [owner],
        })  # fmt: skip
        fit = fit_intent(None, said, generations=known, settings=IntentSettings(siblings=True))
        unseen[owner] = fit.expected_class()[39]
    assert unseen["a"] > 0.7
    assert unseen["b"] == pytest.approx(0.5)


def test_annotators_are_asked_to_compare_within_a_tenant_only():
    asked_about = made().append_column("modality", pa.array(["image"] * len(OWNERS)))
    tasks = choose_tasks(
        asked_about,
        None,
        budget=1000,
        exploration=0.0,
        rng=np.random.default_rng(0),
        comparisons=99,
    )
    owner = dict(zip(made()["generation_id"].to_pylist(), OWNERS, strict=True))
    asked = [row for row in tasks.to_pylist() if row["kind"] == "comparison"]
    assert len(asked) == 3 + 2 + 1
    for row in asked:
        assert owner[row["generation_id"]] == owner[row["other_generation_id"]]
