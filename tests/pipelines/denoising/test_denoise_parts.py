"""A memory limit changes where events lie meanwhile, not what is inferred."""

import json
import multiprocessing
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_studio import studio, write_studio

from pipelines.cli import MISTAKE
from pipelines.denoising import DenoiseSettings, denoise, preview_denoise
from pipelines.denoising.bins import MemoryPlan
from pipelines.preferences import click_model, firmness, intent, sampling
from pipelines.preferences.partitions import count_in_shards
from pipelines.signals import ExposureSettings, WeighingSettings

LIMIT = 16_000_000


@pytest.fixture
def tiny_parts(monkeypatch):
    """Parts of a few hundred rows, so that a small studio has many."""
    monkeypatch.setattr(MemoryPlan, "batch_rows", property(lambda plan: 700))
    monkeypatch.setattr(MemoryPlan, "bin_rows", property(lambda plan: 250))
    monkeypatch.setattr(MemoryPlan, "kernel_rows", property(lambda plan: 300))


def messy(seed=0):
    """A studio with copies, ids used twice, strangers, bots, two tenants, and two releases.

    Both tenants name their users alike, the second also its events as the first does.
    """
    w = studio(prompts=25, users=30, shown=3000, golden=25, seed=seed)
    rng = np.random.default_rng(seed)
    rows = w.events
    owner = np.array([int(name[1:]) // 4 % 2 for name in rows["generation_id"].to_pylist()])
    acting = np.where(rng.random(rows.num_rows) < 0.05, 1 - owner, owner)
    number = np.zeros(rows.num_rows, dtype=np.int64)
    for n in (0, 1):
        number[acting == n] = np.arange((acting == n).sum())
    rows = changed(rows, "tenant_id", [f"t{n}" for n in acting])
    rows = changed(rows, "event_id", [f"e{n:06d}" for n in number])
    again = rows.slice(0, 400)
    used_twice = changed(rows.slice(400, 50), "event_id", again["event_id"].slice(0, 50))
    strange = changed(rows.slice(500, 40), "generation_id", ["nowhere"] * 40)
    strange = changed(strange, "event_id", [f"x{n}" for n in range(40)])
    tidy = changed(rows.slice(600, 30), "kind", ["delete"] * 30)
    tidy = changed(tidy, "event_id", [f"y{n}" for n in range(30)])
    bot = rows.filter(pa.compute.equal(rows["kind"], "impression")).slice(0, 60)
    bot = changed(bot, "user_id", ["bot"] * 60)
    likes = changed(bot, "kind", ["like"] * 60)
    bot = changed(bot, "event_id", [f"b{n}" for n in range(60)])
    likes = changed(likes, "event_id", [f"c{n}" for n in range(60)])
    w.events = pa.concat_tables([rows, again, used_twice, strange, tidy, bot, likes])
    count = w.generations.num_rows
    w.generations = changed(w.generations, "model_release", [f"r{n % 2}" for n in range(count)])
    w.generations = changed(w.generations, "tenant_id", [f"t{n // 4 % 2}" for n in range(count)])
    return w


def changed(table, name, values):
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, pa.array(values) if isinstance(values, list) else values)


def rounded(table):
    """Columns as lists, figures to nine digits: parts add up in another order."""
    return {
        name: [round(v, 9) if isinstance(v, float) else v for v in table[name].to_pylist()]
        for name in table.column_names
    }


@pytest.mark.parametrize(
    ("every", "heldout", "plenty", "most"),
    [
        (True, 0.0, 1000, 10**6),
        (False, 0.3, 1000, 10**6),
        (False, 0.0, 150_000, 10**6),
        (True, 0.0, 1000, 900),
    ],
)
def test_parts_on_disk_give_the_pairs_of_one_table_in_memory(
    tiny_parts, monkeypatch, every, heldout, plenty, most
):
    monkeypatch.setattr(firmness, "PLENTY", plenty)  # below it, firmness is tried in memory
    monkeypatch.setattr(sampling, "MOST", most)  # above it, a fit begins on a sample
    w = messy()
    settings = DenoiseSettings(
        all_pairs=every, signals=ExposureSettings(heldout_users=heldout),
        weighing=WeighingSettings(tenant_share=0.3 if every else 1.0),
    )  # fmt: skip
    whole = denoise(w.events, w.generations, w.annotations, gold=w.gold, settings=settings)
    parted = denoise(
        w.events, w.generations, w.annotations, gold=w.gold,
        settings=replace(settings, memory_limit=LIMIT),
    )  # fmt: skip
    assert rounded(parted.pairs) == rounded(whole.pairs)
    assert rounded(parted.users) == rounded(whole.users)
    assert rounded(parted.annotators) == rounded(whole.annotators)
    np.testing.assert_allclose(parted.fit.posterior, whole.fit.posterior, rtol=0, atol=1e-9)
    drops = [("stage", "ascending"), ("reason", "ascending")]
    assert parted.drops.sort_by(drops) == whole.drops.sort_by(drops)
    assert {
        "bot", "duplicate_event", "unknown_generation", "not_a_signal", "other_tenant",
    } <= set(parted.drops["reason"].to_pylist())  # fmt: skip
    assert parted.figures["cohorts"] == whole.figures["cohorts"]
    assert parted.figures["rows"] == whole.figures["rows"]


def test_the_command_writes_the_same_rows_and_leaves_nothing_behind(tiny_parts, flywheel, tmp_path):
    w = messy()
    words = write_studio(w, tmp_path)
    before = set(tmp_path.iterdir())
    assert flywheel("denoise", *words, "--out", tmp_path / "whole")[0] == 0
    code, out, _ = flywheel(
        "denoise", *words, "--memory-limit", "16MB", "--out", tmp_path / "parted", "--json"
    )
    assert code == 0
    for name in ("pairs", "users", "annotators"):
        whole, parted = (
            pq.read_table(tmp_path / folder / f"{name}.parquet") for folder in ("whole", "parted")
        )
        assert rounded(parted) == rounded(whole)
    assert json.loads(out)["pairs"]["rows"] == whole_pairs(tmp_path / "parted")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "whole", tmp_path / "parted"}
    names = [sorted(f.name for f in (tmp_path / out).iterdir()) for out in ("whole", "parted")]
    assert names[0] == names[1]


def whole_pairs(folder):
    return pq.ParquetFile(folder / "pairs.parquet").metadata.num_rows


def test_rows_in_any_order_give_the_same_bytes_under_one_limit(tiny_parts, flywheel, tmp_path):
    w, rng, made = messy(), np.random.default_rng(3), []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        words = write_studio(w, tmp_path / name)
        flywheel("denoise", *words, "--memory-limit", "16MB", "--out", tmp_path / name / "o")
        made.append((tmp_path / name / "o" / "pairs.parquet").read_bytes())
        w.events = w.events.take(rng.permutation(w.events.num_rows))
    assert made[0] == made[1]


@contextmanager
def shards_here(table, *, processes):
    """Count shards in this process, as other processes would."""
    shards = table.shards(processes)
    assert len(shards) == processes
    yield replace(table, counted_by=partial(count_in_shards, shards))


def test_shards_of_parts_on_disk_give_the_pairs_of_one_process(tiny_parts, monkeypatch):
    monkeypatch.setattr(firmness, "PLENTY", 1000)
    w = messy()
    settings = DenoiseSettings(memory_limit=LIMIT)
    alone = denoise(w.events, w.generations, w.annotations, gold=w.gold, settings=settings)
    monkeypatch.setattr(intent, "partitioned", shards_here)
    shared = denoise(
        w.events, w.generations, w.annotations, gold=w.gold,
        settings=replace(settings, processes=3),
    )  # fmt: skip
    assert rounded(shared.pairs) == rounded(alone.pairs)
    np.testing.assert_allclose(shared.fit.posterior, alone.fit.posterior, rtol=0, atol=1e-9)


def test_a_process_that_dies_is_one_sentence_and_leaves_nothing(
    tiny_parts, monkeypatch, flywheel, tmp_path
):
    monkeypatch.setattr(firmness, "PLENTY", 1000)
    words = [*write_studio(messy(), tmp_path), "--memory-limit", "16MB", "--processes", "2"]
    believe = click_model.beliefs

    def kill_first(*told):
        for child in multiprocessing.active_children():
            child.kill()
        return believe(*told)

    monkeypatch.setattr(click_model, "beliefs", kill_first)
    code, out, err = flywheel("denoise", *words, "--out", tmp_path / "o")
    assert (code, out, err.count("\n")) == (MISTAKE, "", 1)
    assert "process 2 of 2 ended (signal SIGKILL)" in err
    assert not (tmp_path / "o").exists()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("processes", ["0", "-2", "1000"])
def test_a_number_of_processes_that_cannot_be_is_one_sentence(flywheel, tmp_path, processes):
    words = [*write_studio(studio(), tmp_path), "--out", tmp_path / "o"]
    code, _, err = flywheel("denoise", *words, "--processes", processes)
    assert (code, err.count("\n")) == (MISTAKE, 1)
    assert f"processes is {processes}; give 1 to 256" in err


def test_a_dry_run_counts_alike(tiny_parts):
    w = messy()
    whole = preview_denoise(w.events, w.generations, w.annotations, gold=w.gold)
    parted = preview_denoise(
        w.events, w.generations, w.annotations, gold=w.gold,
        settings=DenoiseSettings(memory_limit=LIMIT),
    )  # fmt: skip
    drops = [sorted(made.pop("drops"), key=str) for made in (whole, parted)]
    assert drops[0] == drops[1]
    assert parted == whole


def test_no_events_leave_the_answers_alone():
    w = studio(golden=5)
    made = denoise(None, w.generations, w.annotations, settings=DenoiseSettings(memory_limit=LIMIT))
    alone = denoise(None, w.generations, w.annotations)
    assert made.pairs.equals(alone.pairs)
    assert made.users.num_rows == 0


@pytest.mark.parametrize(
    ("limit", "says"), [("much", "write it as 512MB"), ("1KB", "at least 16,000,000")]
)
def test_a_limit_that_cannot_be_is_one_sentence(flywheel, tmp_path, limit, says):
    words = write_studio(studio(), tmp_path)
    code, _, err = flywheel("denoise", *words, "--memory-limit", limit, "--out", tmp_path / "o")
    assert (code, err.count("\n")) == (MISTAKE, 1)
    assert says in err


def test_a_broken_row_is_named_by_its_place_in_the_whole(tiny_parts, flywheel, tmp_path):
    w = studio()
    names = w.events["user_id"].to_pylist()
    names[1500] = None
    w.events = changed(w.events, "user_id", names)
    words = write_studio(w, tmp_path)
    code, _, err = flywheel("denoise", *words, "--memory-limit", "16MB", "--out", tmp_path / "o")
    assert (code, err.count("\n")) == (MISTAKE, 1)
    assert "row 1500" in err
    assert not (tmp_path / "o").exists()
