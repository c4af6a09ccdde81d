"""`flywheel import` works for every real set, and its figures are the known ones."""

from datetime import UTC, datetime

import pytest

from data_contracts.labels import GENERAL
from pipelines.importing import ImportOptions, run_import
from pipelines.intake.importers import PUBLIC_SETS, importer
from pipelines.stores import open_snapshot, open_stores, read_asset_table

NOW = datetime(2026, 1, 2, tzinfo=UTC)
# Rows received, accepted; pairs that were inferred, or None where there are only events.
COUNTS = {
    "agiqa3k": (2982, 2982, 25009),
    "copilot_cups": (3490, 3490, None),
    "dsg_tifa160": (3995, 3995, 1116),
    "fetv": (6034, 6034, 14750),
    "geneval_human": (6000, 6000, 8681),
    "hh_rlhf": (2312, 2312, 2312),
    "iiw_sxs": (2060, 2060, 906),
    "imagenhub": (16572, 16572, 18159),
    "imagereward_test": (466, 466, 6399),
    "lamp_writing": (150, 150, 236),
    "llmbar": (10794, 10785, 727),
    "llmfao": (8181, 8181, 800),
    "obd_small": (40000, 40000, None),
    "pandalm_test": (2997, 2955, 1117),
}


@pytest.fixture(scope="module")
def made(public_data, tmp_path_factory):
    found = {}

    def once(name):
        if name not in found:
            folder = tmp_path_factory.mktemp(name)
            wanted = ImportOptions(
                name=name, path=public_data / name, root=folder / "zone",
                reports=folder / "reports", train=False, resamples=400,
            )  # fmt: skip
            found[name] = (
                run_import(wanted, now=NOW, bar=lambda title: lambda at, of: None),
                folder,
            )
        return found[name]

    return once


def agreement(figures, aspect, question, by="people"):
    [one] = [e for e in figures["agreement"]
             if (e["aspect"], e["question"], e["by"]) == (aspect, question, by)]  # fmt: skip
    return one


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_every_row_and_every_pair_is_accounted_for(made, public_data, name):
    done, folder = made(name)
    figures = done.figures
    received, accepted, pairs = COUNTS[name]
    assert (figures["received"], figures["accepted"]) == (received, accepted)
    assert received == accepted + sum(figures["quarantined"].values())
    snapshot = figures["snapshot"]
    assert (snapshot and snapshot["pairs"]) == pairs
    stores = open_stores(folder / "zone")
    opened = snapshot and open_snapshot(stores, snapshot["snapshot_id"], GENERAL)
    assert (opened and opened.pairs.num_rows) == pairs
    read = importer(name)(public_data / name)
    for table in ("annotations", "events"):
        rows = getattr(read, table).num_rows
        assert rows == 0 or stores.append.read(table).num_rows == rows


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_the_page_says_what_was_found_and_loads_nothing(made, name):
    done, _ = made(name)
    page = done.page.read_text()
    assert PUBLIC_SETS[name].says[:40] in page
    assert f"{done.figures['received']:,} rows received" in page
    assert "<script" not in page
    assert "src=" not in page
    for each in done.figures["agreement"]:
        assert each["alpha"] is None or f"{each['alpha']:.3f}" in page


def test_geneval_people_say_the_same_in_868_of_1000(made):
    one = agreement(made("geneval_human")[0].figures, "prompt_alignment", "correct")
    assert one["same"] == pytest.approx(0.868, abs=0.005)
    assert one["same_low"] < one["same"] < one["same_high"]
    assert (one["annotators"], one["generations"]) == (0, 1200)


@pytest.mark.parametrize(
    ("aspect", "question", "alpha"),
    [
        ("aesthetics", "static_quality", 0.741),
        ("temporal_consistency", "temporal_quality", 0.802),
        ("prompt_alignment", "alignment", 0.756),
    ],
)
def test_fetv_alphas_are_reported_with_intervals(made, aspect, question, alpha):
    one = agreement(made("fetv")[0].figures, aspect, question)
    assert one["alpha"] == pytest.approx(alpha, abs=0.001)
    assert one["low"] < one["alpha"] < one["high"]


def test_a_ranking_is_kept_as_it_was_made(made):
    snapshot = made("imagereward_test")[0].figures["snapshot"]
    assert snapshot["pooled"]
    assert snapshot["card"]["drops"] == {"never_preferred": 831}


def test_the_random_log_implies_the_other_policys_own_click_rate(made):
    """The other policy's choice frequencies, per item and position, over the logged chances."""
    policies = made("obd_small")[0].figures["events"]["policies"]
    implied = [e for e in policies if e["log"] == "obd_small.random"]
    assert sorted(round(e["own_rate"], 4) for e in implied) == [0.0046, 0.0069]
    assert all(e["policy"] == "obd_small.bts" for e in implied)
    assert all(e["low"] < e["own_rate"] < e["high"] for e in implied)
    assert sorted(e["campaign"] for e in policies) == ["men", "men", "women", "women"]
    assert all((e["effective"] < 100) == ("hardly an estimate" in e["warning"]) for e in policies)
    assert all(e["low"] < e["implied"] < e["high"] for e in implied)


def test_machines_are_measured_against_people_and_not_mixed_with_them(made):
    pandalm = made("pandalm_test")[0].figures
    assert pandalm["machines"]["against"] == "people's votes"
    assert {e["judge"] for e in pandalm["machines"]["judges"]} == {"gpt-3.5-turbo", "pandalm-7b"}
    assert "judgements by people" in pandalm["snapshot"]["card"]["origin"]
    llmbar = made("llmbar")[0].figures
    assert (llmbar["machines"]["against"], llmbar["machines"]["machines"]) == ("gold labels", 65)
    assert "held back" in " ".join(llmbar["snapshot"]["card"]["gaps"])
    assert all(0.5 < e["mean"] < 1 for e in llmbar["machines"]["together"])


def test_a_stated_error_is_kept_and_makes_the_pairs(made):
    done, folder = made("agiqa3k")
    stores = open_stores(folder / "zone")
    errors = read_asset_table(stores, "annotation/stated_errors", clearance=GENERAL).table
    assert errors.num_rows == 2 * 2982
    assert "standard error" in " ".join(done.figures["snapshot"]["card"]["gaps"])


def test_an_edited_version_is_preferred_by_its_writer_to_what_it_came_from(made):
    """150 edits: nearly all pairs of a passage and its edited version end as the edit says."""
    done, folder = made("lamp_writing")
    stores = open_stores(folder / "zone")
    pairs = open_snapshot(stores, done.figures["snapshot"]["snapshot_id"], GENERAL).pairs
    edits = stores.append.read("annotations").to_pandas().query("kind == 'edit'")
    won = set(zip(pairs["chosen_id"].to_pylist(), pairs["rejected_id"].to_pylist(), strict=True))
    meant = list(zip(edits["other_generation_id"], edits["generation_id"], strict=True))
    assert sum(pair in won for pair in meant) >= 120
    assert sum(pair[::-1] in won for pair in meant) <= 5
