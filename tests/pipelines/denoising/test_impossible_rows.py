"""Rows that cannot be: refused by id or counted under a reason, and heard nowhere."""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from annotator_crowd import answers, crowd, rating
from small_studio import studio, write_studio

from data_contracts.errors import ContractError
from pipelines.cli import MISTAKE
from pipelines.denoising import DenoiseSettings, denoise, preview_denoise
from pipelines.denoising.page import render_page
from pipelines.denoising.tables import conformed
from pipelines.preferences import PairSettings
from pipelines.signals.drops import drop_counts


@pytest.fixture(scope="module")
def small():
    return studio(prompts=15, users=10, shown=400, golden=12)


def replaced(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


def compared(n, who, item, value):
    return rating(n, who, f"g{item:04d}", value, kind="comparison",
                  other_generation_id=f"g{item + 1:04d}")  # fmt: skip


def test_agreement_is_of_answers_that_can_be(small):
    """Every seventh answer off its scale changes no figure of agreement but the counts."""
    told = crowd(copies=1)
    seventh = np.arange(told.num_rows) % 7 == 0
    some = told.filter(pa.array(~seventh))
    value = np.where(seventh, 900.0, told["value"].to_numpy())
    spoilt = denoise(None, small.generations, replaced(told, "value", pa.array(value)))
    clean = denoise(None, small.generations, some)
    assert spoilt.figures["agreement"] == clean.figures["agreement"]
    assert drop_counts(spoilt.drops)["off_scale"] == seventh.sum()


def test_comparisons_have_alpha_and_kappa(small):
    """By hand: A and B agree on 3 of 4 sides, each says "better" twice and "worse" twice but B
    once; kappa = (.75 - .5) / (1 - .5) = .5 for margins (2, 2) against (3, 1)."""
    sides = {"a": [1.0, 2.0, -1.0, -2.0], "b": [2.0, 1.0, 1.0, -1.0]}
    rows = [
        compared(10 * k + n, who, 4 * n, value)
        for k, (who, said) in enumerate(sides.items())
        for n, value in enumerate(said)
    ]
    (found,) = denoise(None, small.generations, answers(rows)).figures["agreement"]
    assert found["kind"] == "comparison"
    assert found["pairs"] == 4
    assert found["kappa"] == 0.5
    assert -1 <= found["alpha"] <= 1
    page = render_page(denoise(None, small.generations, answers(rows)).figures)
    assert "overall, comparisons" in " ".join(page.split())
    assert "κ 0.500" in page


def test_gold_of_an_aspect_that_nobody_has_named_moves_nothing(small):
    """Named Overall it was never clamped, and moved probabilities all the same."""
    strange = replaced(small.gold, "aspect", pa.array(["Overall"] * small.gold.num_rows))
    settings = DenoiseSettings(all_pairs=True)
    tables = (None, small.generations, small.annotations)
    with_it = denoise(*tables, gold=strange, settings=settings)
    without = denoise(*tables, settings=settings)
    assert with_it.pairs.equals(without.pairs)
    assert drop_counts(with_it.drops)["unknown_aspect"] == small.gold.num_rows
    refused = with_it.refused.to_pylist()
    assert {row["table"] for row in refused} == {"gold"}
    assert {r["generation_id"] for r in refused} == set(small.gold["generation_id"].to_pylist())


def test_answers_about_an_aspect_that_nobody_has_named_are_not_fitted(small):
    beauty = replaced(
        small.annotations, "aspect", pa.array(["beauty"] * small.annotations.num_rows)
    )
    made = denoise(None, small.generations, beauty)
    assert list(made.fit.aspects) == ["overall"]
    assert made.annotators.num_rows == 0
    assert made.refused.num_rows == beauty.num_rows
    assert drop_counts(made.drops)["unknown_aspect"] == beauty.num_rows


@pytest.mark.parametrize(
    ("aspect", "says"), [("Overall", "Overall is no aspect"), ("safety", "speaks of safety")]
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_an_aspect_without_a_word_is_refused_before_the_fit(
    flywheel, small, tmp_path, monkeypatch, aspect, says, more
):
    module = sys.modules[denoise.__module__]
    monkeypatch.setattr(module, "fit_intent", lambda *_, **__: pytest.fail("fitted first"))
    words = write_studio(small, tmp_path)
    code, _, err = flywheel("denoise", *words, "--aspect", aspect, "--out", tmp_path / "o", *more)
    assert code == MISTAKE
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_an_aspect_that_gold_alone_speaks_of_can_be_asked_for(small):
    gold = replaced(small.gold, "aspect", pa.array(["safety"] * small.gold.num_rows))
    settings = DenoiseSettings(pairs=PairSettings(aspects=("safety",)))
    tables = (None, small.generations, small.annotations)
    made = denoise(*tables, gold=gold, settings=settings)
    assert set(made.pairs["aspect"].to_pylist()) == {"safety"}
    preview_denoise(*tables, gold=gold, settings=settings)
    with pytest.raises(ContractError, match="speaks of safety"):
        preview_denoise(*tables, settings=settings)


def test_a_comparison_that_is_no_number_is_refused_by_id_and_null_cannot_judge(
    flywheel, small, tmp_path
):
    small.annotations, before = (
        answers([compared(0, "a", 0, float("nan")), compared(1, "a", 4, None),
                 compared(2, "a", 8, 1.0), rating(3, "a", "g0000", float("nan"))]),
        small.annotations,
    )  # fmt: skip
    words = write_studio(small, tmp_path)
    small.annotations = before
    code, out, _ = flywheel("denoise", *words, "--out", tmp_path / "o", "--json")
    assert code == 0
    dropped = {row["reason"]: row["rows"] for row in json.loads(out)["drops"]}
    assert (dropped["no_number"], dropped["cannot_judge"]) == (2, 1)
    refused = pq.read_table(tmp_path / "o" / "refused.parquet")["annotation_id"].to_pylist()
    assert refused == ["n00000", "n00003"]


@pytest.mark.parametrize("limit", [None, 16_000_000])
def test_places_and_chances_that_cannot_be_are_counted(small, limit):
    events = small.events.slice(0, 200)
    at = events["position"].to_numpy().copy()
    at[:7] = -1
    chance = np.full(200, 0.5)
    chance[10:13], chance[13:15], chance[15:20] = 0.0, 1.5, np.nan
    told = replaced(events, "position", pa.array(at, pa.int32()))
    told = told.append_column("propensity", pa.array(chance))
    settings = DenoiseSettings(memory_limit=limit)
    made = denoise(told, small.generations, small.annotations, settings=settings)
    dropped = drop_counts(made.drops)
    assert dropped["impossible_position"] == 7
    assert dropped["impossible_propensity"] == 5, "a chance that is not logged is no wrong one"


def test_the_heading_says_what_right_means(small):
    page = render_page(denoise(None, small.generations, small.annotations).figures)
    assert ">Names the exact level, or the better of two</th>" in page
    assert ">Right</th>" not in page


@pytest.mark.parametrize("reads", [denoise, preview_denoise])
def test_a_prompt_of_too_many_generations_is_refused_by_id_before_anything_is_compared(reads):
    """2,001 of one skill are two million pairs; 2,000 beside 2,000 of another skill are fewer."""
    count = 2_001
    many = pa.table(
        {
            "generation_id": [f"g{n}" for n in range(count)],
            "prompt_id": ["everything"] * count,
            "model_release": ["r0"] * count,
            "tenant_id": ["t0"] * count,
        }
    )
    with pytest.raises(ContractError, match=r"1 prompts have more than 2,000 .*everything: 2,001"):
        reads(None, many, None)
    conformed(pa.concat_tables([many.slice(0, 2_000), many.slice(0, 50)]), None, None, None)
    skill = pa.array(["s0" if n % 2 else None for n in range(count)])
    conformed(many.append_column("skill_id", skill), None, None, None)
