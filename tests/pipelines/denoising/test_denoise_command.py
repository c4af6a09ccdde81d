"""`flywheel denoise`: what it writes, what it refuses, and that it shares the wheel's own path."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from small_studio import studio, write_studio

from data_contracts.contract import load_contract
from pipelines.cli import MISTAKE
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.preferences.making import infer_preferences
from pipelines.signals import ExposureSettings, exposures, weigh
from pipelines.stores.enforcer import find_violations

PARQUET = ("pairs", "users", "annotators", "drops")


@pytest.fixture(scope="module")
def small():
    return studio(golden=12)


def test_writes_every_pair_once_and_a_page_that_loads_nothing(flywheel, small, tmp_path):
    words = write_studio(small, tmp_path)
    code, out, _ = flywheel("denoise", *words, "--all-pairs", "--out", tmp_path / "o", "--json")
    assert code == 0
    pairs = pq.read_table(tmp_path / "o" / "pairs.parquet")
    sides = zip(pairs["chosen_id"].to_pylist(), pairs["rejected_id"].to_pylist(), strict=True)
    assert len({frozenset(two) for two in sides}) == pairs.num_rows == 15 * 6
    assert {"chosen_id", "rejected_id", "aspect", "probability", "target", "weight"} <= set(
        pairs.column_names
    )
    assert json.loads(out)["pairs"]["rows"] == 90
    written = json.loads((tmp_path / "o" / "report.json").read_text("utf-8"))
    assert written["fit"]["converged"] in (True, False)
    page = (tmp_path / "o" / "report.html").read_text("utf-8")
    assert "What users meant" in page
    assert "http://" not in page
    assert "https://" not in page
    assert sorted(f.name for f in (tmp_path / "o").iterdir()) == sorted(
        [f"{name}.parquet" for name in (*PARQUET, "suspects", "refused")]
        + ["report.html", "report.json"]
    )


def test_rows_in_any_order_give_the_same_bytes(flywheel, small, tmp_path):
    rng = np.random.default_rng(3)
    made = {}
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        flywheel("denoise", *write_studio(small, folder), "--out", folder / "o")
        made[name] = [(folder / "o" / f"{table}.parquet").read_bytes() for table in PARQUET]
        for table in ("events", "generations", "annotations"):
            rows = getattr(small, table)
            setattr(small, table, rows.take(rng.permutation(rows.num_rows)))
    assert made["a"] == made["b"]


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_partitions_of_a_table_give_the_same_bytes(flywheel, small, tmp_path, pieces):
    words = write_studio(small, tmp_path)
    flywheel("denoise", *words, "--out", tmp_path / "whole")
    (tmp_path / "parts").mkdir()
    size = -(-small.events.num_rows // pieces)
    for n in range(pieces):
        part = small.events.slice(n * size, size)
        pq.write_table(part, tmp_path / "parts" / f"{pieces - n}.parquet")
    words[1] = tmp_path / "parts"
    code, _, _ = flywheel("denoise", *words, "--out", tmp_path / "parted")
    assert code == 0
    for name in PARQUET:
        whole, parted = (tmp_path / out / f"{name}.parquet" for out in ("whole", "parted"))
        assert whole.read_bytes() == parted.read_bytes()


def test_a_delta_table_is_read_as_parquet_is(flywheel, small, tmp_path):
    words = write_studio(small, tmp_path)
    flywheel("denoise", *words, "--out", tmp_path / "parquet")
    write_deltalake(tmp_path / "delta", small.events)
    words[1] = tmp_path / "delta"
    code, _, _ = flywheel("denoise", *words, "--out", tmp_path / "from_delta")
    assert code == 0
    assert (tmp_path / "parquet" / "pairs.parquet").read_bytes() == (
        tmp_path / "from_delta" / "pairs.parquet"
    ).read_bytes()


def test_a_dry_run_counts_and_writes_nothing(flywheel, small, tmp_path):
    words = write_studio(small, tmp_path)
    before = sorted(tmp_path.iterdir())
    code, out, _ = flywheel("denoise", *words, "--out", tmp_path / "o", "--dry-run", "--json")
    assert code == 0
    counts = json.loads(out)
    assert counts["exposures"] == 2000
    assert counts["expected_pairs"] <= counts["candidate_pairs"] == 90
    assert sorted(tmp_path.iterdir()) == before


def test_pairs_keep_the_contract_and_are_those_of_the_wheels_own_path(small):
    made = denoise(small.events, small.generations, small.annotations, gold=small.gold)
    contract = load_contract("preference_pair")
    assert find_violations(made.pairs, contract, now=datetime.now(UTC)).num_rows == 0
    shown = exposures(
        small.events, small.generations, settings=ExposureSettings(heldout_users=0.0)
    ).table
    ids = small.generations["prompt_id"].unique()
    wheel = infer_preferences(
        weigh(shown, small.generations).table, small.annotations,
        pa.table({"prompt_id": ids, "text": ids}), small.generations,
        gold=small.gold, intent=DenoiseSettings().intent,
    )  # fmt: skip
    assert made.pairs.equals(wheel.pairs.table)


def test_every_user_with_events_has_a_row_trusted_or_not(small):
    stranger = small.events.slice(0, 1).set_column(
        small.events.schema.get_field_index("user_id"), "user_id", pa.array(["stranger"])
    )
    nowhere = stranger.set_column(
        stranger.schema.get_field_index("generation_id"), "generation_id", pa.array(["none"])
    )
    events = pa.concat_tables([small.events, nowhere])
    settings = DenoiseSettings(signals=ExposureSettings(heldout_users=0.5))
    users = denoise(events, small.generations, small.annotations, settings=settings).users
    assert set(users["user_id"].to_pylist()) == set(events["user_id"].to_pylist())
    share = users["mock_share"].to_numpy()
    assert ((share >= 0) & (share <= 1)).all()
    held = users["heldout"].to_numpy(zero_copy_only=False)
    assert 0 < held.sum() < users.num_rows
    # Held out as evidence, read all the same: their shares differ from a new user's.
    assert len(np.unique(share[held])) > 1


def test_mockers_are_told_from_the_honest():
    w = studio(prompts=60, users=40, shown=8000, mockers=0.4, seed=5)
    users = denoise(w.events, w.generations, None).users
    share = dict(zip(users["user_id"].to_pylist(), users["mock_share"].to_pylist(), strict=True))
    mocks = np.array([share[f"u{n:03d}"] for n in np.flatnonzero(w.mocks)])
    honest = np.array([share[f"u{n:03d}"] for n in np.flatnonzero(~w.mocks)])
    assert mocks.min() > honest.max()


def changed(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


def without_users(small):
    names = small.events["user_id"].to_pylist()
    return changed(small.events, "user_id", pa.array([None, *names[1:]], pa.string()))


@pytest.mark.parametrize(
    ("table", "broken", "says"),
    [
        ("events", lambda s: s.events.drop_columns(["kind"]), "column kind missing"),
        ("events", without_users, "1 of"),
        ("events", lambda s: changed(s.events, "turn", s.events["kind"]), "turn"),
        ("generations", lambda s: s.generations.slice(0, 0), "no rows"),
        (
            "generations",
            lambda s: pa.concat_tables(
                [s.generations, changed(s.generations.slice(0, 1), "prompt_id", pa.array(["x"]))]
            ),
            "two prompts",
        ),
        ("annotations", lambda s: s.annotations.drop_columns(["annotation_id"]), "annotation_id"),
    ],
)
def test_bad_tables_are_one_sentence(flywheel, small, tmp_path, table, broken, says):
    words = write_studio(small, tmp_path)
    pq.write_table(broken(small), tmp_path / f"{table}.parquet")
    code, out, err = flywheel("denoise", *words, "--out", tmp_path / "o")
    assert code == MISTAKE
    assert out == ""
    assert err.count("\n") == 1
    assert f"{table}: " in err
    assert says in err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1 cut off"])
def test_a_damaged_file_is_one_sentence(flywheel, small, tmp_path, content):
    words = write_studio(small, tmp_path)
    (tmp_path / "events.parquet").write_bytes(content)
    code, _, err = flywheel("denoise", *words, "--out", tmp_path / "o")
    assert code == MISTAKE
    assert "no whole Parquet file" in err
    assert err.count("\n") == 1


def test_a_missing_path_and_an_out_that_is_a_file_are_one_sentence(flywheel, small, tmp_path):
    words = write_studio(small, tmp_path)
    (tmp_path / "taken").write_text("x")
    code, _, err = flywheel("denoise", *words, "--out", tmp_path / "taken")
    assert (code, err.count("\n")) == (MISTAKE, 1)
    assert "is a file" in err
    code, _, err = flywheel(
        "denoise", *words, "--gold", tmp_path / "none.parquet", "--out", tmp_path / "o"
    )
    assert (code, err.count("\n")) == (MISTAKE, 1)
    assert "does not exist" in err


@pytest.mark.parametrize("limit", [[], ["--memory-limit", "16MB"], ["--all-pairs"]])
def test_generations_under_different_skills_are_no_pair(flywheel, tmp_path, limit):
    """Six say that g1 is better than g2, but their guidance differs; g2 and g3 share theirs."""
    generations = pa.table(
        {
            "generation_id": ["g1", "g2", "g3"], "tenant_id": ["t"] * 3, "project_id": ["p"] * 3,
            "prompt_id": ["q"] * 3, "model_release": ["r"] * 3, "modality": ["text"] * 3,
            "skill_id": ["k1", "k2", "k2"],
        }
    )  # fmt: skip
    rivals = ["g2"] * 6 + ["g3"] * 6
    annotations = pa.table(
        {
            "annotation_id": [f"n{n}" for n in range(12)], "task_id": [f"k{n}" for n in range(12)],
            "annotator_id": [f"a{n % 6}" for n in range(12)], "kind": ["comparison"] * 12,
            "generation_id": ["g1"] * 6 + ["g2"] * 6, "other_generation_id": rivals,
            "aspect": ["overall"] * 12, "value": [2.0] * 12,
        }
    )  # fmt: skip
    tables = studio(prompts=1, shown=1)
    tables.events = tables.events.slice(0, 0)
    tables.generations, tables.annotations = generations, annotations
    words = [*write_studio(tables, tmp_path), *limit, "--out", tmp_path / "o", "--json"]
    code, out, _ = flywheel("denoise", *words)
    assert code == 0
    assert {"stage": "preferences", "reason": "other_skill", "rows": 2} in json.loads(out)["drops"]
    pairs = pq.read_table(tmp_path / "o" / "pairs.parquet")
    assert pairs.select(["chosen_id", "rejected_id"]).to_pylist() == [
        {"chosen_id": "g2", "rejected_id": "g3"}
    ]


def test_one_tenant_gives_no_more_than_its_share(flywheel, tmp_path):
    tables = studio()
    for name in ("events", "generations"):
        ids = getattr(tables, name)["generation_id"].to_pylist()
        owner = pa.array(["small" if n < "g0008" else "big" for n in ids])
        setattr(tables, name, changed(getattr(tables, name), "tenant_id", owner))
    words = [*write_studio(tables, tmp_path), "--out", tmp_path / "o", "--json"]
    code, out, _ = flywheel("denoise", *words, "--tenant-share", "0.5")
    assert code == 0
    lost = {row["reason"]: row["rows"] for row in json.loads(out)["drops"]}
    users = pq.read_table(tmp_path / "o" / "users.parquet")
    given = {"big": 0.0, "small": 0.0}
    for row in users.to_pylist():
        given[row["tenant_id"]] += row["exposures"] * row["weight"]
    assert given["big"] == pytest.approx(given["small"]), "half of what remains, not of all"
    remains = 2000 - lost["tenant_cap"] - lost["repeated"]
    assert remains == pytest.approx(2 * given["small"], abs=1)
    code, _, err = flywheel("denoise", *words, "--tenant-share", "0")
    assert code == MISTAKE
    assert "tenant_share is 0.0" in err
