"""A pair compares two answers to one prompt under one skill; what crosses skills is counted."""

import pyarrow as pa
import pytest
from annotation_rows import annotations, generations, rating

from data_contracts.schemas import GENERATION
from pipelines.preferences import (
    PairSettings,
    card_markdown,
    dataset_card,
    fit_intent,
    gather_evidence,
    make_pairs,
    naive_pairs,
    pairs_from_quality,
)
from pipelines.preferences.edited import under_parents_skill
from pipelines.preferences.pairs import candidate_table, pairs_apart
from pipelines.signals import EXPOSURE, drop_counts

PROMPTS = pa.table({"prompt_id": ["q"], "text": ["a red disc"]})
SKILLS = ["night", None, "day", "night", None, "night"]  # 3 + 2 + 1: 4 pairs within, 11 across


def made(skills=SKILLS):
    table = generations(len(skills))
    return table.append_column("skill_id", pa.array(skills, pa.string()))


def pairs_of(known, **settings):
    said = annotations(
        [rating(f"g{n:04d}", a, 1 + n % 5) for n in range(len(SKILLS)) for a in "abc"]
    )
    fit = fit_intent(None, said, generations=known)
    return make_pairs(
        fit, PROMPTS, known, gather_evidence(None, said), annotations=said,
        settings=PairSettings(**settings),
    )  # fmt: skip


def test_no_pair_crosses_skills_and_every_one_that_would_is_counted():
    table, drops = pairs_of(made(), keep_undecided=True)
    under = dict(zip(made()["generation_id"].to_pylist(), SKILLS, strict=True))
    sides = [(under[r["chosen_id"]], under[r["rejected_id"]]) for r in table.to_pylist()]
    assert len(sides) == 4
    assert all(one == other for one, other in sides)
    assert drop_counts(drops) == {"other_skill": 11}


def test_without_skills_pairs_are_what_they_were():
    plain = pairs_of(generations(len(SKILLS)), keep_undecided=True)
    nulls = pairs_of(made([None] * len(SKILLS)), keep_undecided=True)
    assert plain.table.equals(nulls.table)
    assert plain.table.num_rows == 15
    assert drop_counts(plain.drops) == {}


def test_all_under_one_skill_are_as_all_under_none():
    one = pairs_of(made(["night"] * len(SKILLS)), keep_undecided=True)
    assert one.table.equals(pairs_of(generations(len(SKILLS)), keep_undecided=True).table)


def test_a_count_is_of_each_aspect_and_of_known_generations():
    known = made()
    ids = tuple(known["generation_id"].to_pylist())
    assert pairs_apart(known, ids, aspects=2) == {"two_tenants": 0, "other_skill": 22}
    assert pairs_apart(known, ids[:2])["other_skill"] == 1
    assert pairs_apart(known, ())["other_skill"] == 0
    rows, _, first, second = candidate_table(known, ids, what="generations")
    names = rows["generation_id"].to_pylist()
    found = {(names[a], names[b]) for a, b in zip(first, second, strict=True)}
    assert found == {
        ("g0000", "g0003"), ("g0000", "g0005"), ("g0003", "g0005"), ("g0001", "g0004"),
    }  # fmt: skip


@pytest.mark.parametrize("arm", ["naive", "oracle"])
def test_the_arms_beside_ours_keep_to_it_too(arm):
    known, none = made(), gather_evidence(None, None)
    quality = pa.table(
        {"generation_id": known["generation_id"], "quality": pa.array(range(6), pa.float64())}
    )
    table, drops = (
        pairs_from_quality(quality, PROMPTS, known, none)
        if arm == "oracle"
        else naive_pairs(EXPOSURE.empty_table(), PROMPTS, known, none)
    )
    assert table.num_rows <= 4
    assert drop_counts(drops).get("other_skill", 0) == (11 if arm == "oracle" else 0)


def test_an_edited_version_answers_under_the_skill_of_what_was_edited():
    edited = pa.Table.from_pylist(
        [{"generation_id": f"e{n}", "tenant_id": "t", "project_id": "p", "prompt_id": "q",
          "model_release": "m", "modality": "text", "parent_generation_id": parent}
         for n, parent in enumerate(["g0000", "g0001", "lost"])],
        schema=GENERATION,
    )  # fmt: skip
    found = under_parents_skill(edited, made())
    assert found["skill_id"].to_pylist() == ["night", None, None]
    assert found.schema.equals(GENERATION)
    untouched = under_parents_skill(edited, made([None] * 6))
    assert untouched.equals(edited)


def test_the_card_counts_pairs_by_skill_and_keeps_ids_as_they_are():
    known = made([s and f"{s}_1" for s in SKILLS])
    table, drops = pairs_of(known, keep_undecided=True)
    card = dataset_card(table, drops, None, origin="a test", generations=known)
    assert card["by_skill"] == {"night_1": 3, "no skill": 1}
    assert "| night_1 | 3 |" in card_markdown(card)
    plain = dataset_card(table, drops, None, origin="a test", generations=made([None] * 6))
    assert "by_skill" not in plain
