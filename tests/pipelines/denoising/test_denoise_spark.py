"""On a real local Spark the figures are those of one process. All of it shares one Spark."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_studio import studio, write_studio

from data_contracts.errors import ContractError, FlywheelError
from pipelines.cli import MISTAKE, run
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.denoising.activity import user_activity
from pipelines.denoising.bins import MemoryPlan
from pipelines.denoising.denoise import tables_intent
from pipelines.preferences import firmness
from pipelines.preferences.click_model import ClickSettings, beliefs, designed, first_parameters
from pipelines.preferences.click_table import click_table
from pipelines.preferences.evidence import gather_evidence
from pipelines.preferences.executors import Executors, on_executors
from pipelines.preferences.pairs import PairSettings, finish_pairs
from pipelines.signals import exposures, sessions, signal_patterns
from pipelines.signals.engines import DUCKDB
from pipelines.signals.spark import spark_session

FEW = DenoiseSettings(intent=replace(tables_intent(), max_iterations=8))
ON_SPARK = replace(FEW, engine="spark")


@pytest.fixture(scope="module")
def spark():
    """Whoever asks for a session while this one runs gets its Spark."""
    with spark_session("local[2]") as started:
        yield started


@pytest.fixture(scope="module")
def counting():
    """A click table, beliefs about it, and what else is known of its generations."""
    w = studio(prompts=25, shown=3000)
    ids = w.generations["generation_id"].combine_chunks().sort()
    table = click_table(exposures(w.events, w.generations).table, ids, first_examined=0.95)
    parameters = first_parameters(table, designed(5), settings=ClickSettings())
    log_prior = np.log(np.random.default_rng(0).dirichlet(np.ones(5), len(ids)))
    return SimpleNamespace(table=table, told=(beliefs(table, parameters), log_prior))


def passes(w, engine):
    """Every linear pass, by name."""
    shown, drops = exposures(w.events, w.generations, engine=engine)
    evidence = gather_evidence(shown, w.annotations, gold=w.gold, engine=engine)
    made = finish_pairs(
        w.candidates, None, evidence, settings=PairSettings(per_prompt=2), stage="s",
        splits=w.splits, engine=engine,
    )  # fmt: skip
    return {
        "exposures": shown, "drops of events": drops, "evidence": evidence, "pairs": made.table,
        "drops of pairs": made.drops, "sessions": sessions(w.events, engine=engine),
        "patterns": signal_patterns(shown, engine=engine),
        "activity": user_activity(shown, engine=engine),
    }  # fmt: skip


def messy():
    """A studio with copies, ids used twice, strangers, acts taken back, edits, NaN and nulls."""
    w = studio(prompts=10, users=12, shown=600, golden=8)
    rng, rows = np.random.default_rng(0), w.events
    kinds = np.array(["like", "unlike", "edit", "dwell", "delete", "share", "waved"])
    more = changed(rows, "kind", kinds[rng.integers(0, len(kinds), rows.num_rows)].tolist())
    more = changed(more, "event_id", [f"m{n:05d}" for n in range(rows.num_rows)])
    values = [None, float("nan"), 0.0, 0.4, 0.6, 9.0, 14.0]
    drawn = [values[n] for n in rng.integers(0, len(values), rows.num_rows)]
    more = more.append_column("value", pa.array(drawn, pa.float64()))
    rows = rows.append_column("value", pa.nulls(rows.num_rows, pa.float64()))
    twice = changed(rows.slice(0, 40), "event_id", rows["event_id"].slice(40, 40))
    strange = changed(more.slice(0, 20), "generation_id", ["nowhere"] * 20)
    strange = changed(strange, "event_id", [f"x{n}" for n in range(20)])
    foreign = changed(rows.slice(0, 200), "tenant_id", ["t1"] * 200)  # under the same ids
    more = changed(more, "position", pa.array([None, *range(1, more.num_rows)], pa.int32()))
    w.events = pa.concat_tables([rows, more, rows.slice(0, 90), twice, strange, foreign])
    prompt, names = [n // 4 for n in range(40)], w.generations["generation_id"].to_pylist()
    two = [(a, b) for a in range(40) for b in range(a + 1, 40) if prompt[a] == prompt[b]]
    chance = np.round(0.5 + 0.5 * rng.random(len(two)), 1)  # many draws
    w.candidates = pa.table(
        {
            "prompt_id": [f"q{prompt[a]:03d}" for a, _ in two],
            "chosen_id": [names[b] for _, b in two], "rejected_id": [names[a] for a, _ in two],
            "aspect": [("overall", "aesthetics")[n % 2] for n in range(len(two))],
            "probability": chance, "target": np.where(chance < 0.7, 0.5, 1.0),
            "weight": 2 * chance - 1, "kept": chance > 0.6, "known": rng.random(len(two)) > 0.1,
        }
    )  # fmt: skip
    w.splits = pa.table({"prompt_id": [f"q{n:03d}" for n in range(9)], "split": ["train"] * 9})
    return w


def changed(table, name, values):
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, pa.array(values) if isinstance(values, list) else values)


def test_every_linear_pass_gives_the_same_rows_on_both_engines(spark):
    w = messy()
    here, there = passes(w, DUCKDB), passes(w, spark)
    dropped = set(here["drops of events"]["reason"].to_pylist())
    dropped |= set(here["drops of pairs"]["reason"].to_pylist())
    assert dropped >= {
        "duplicate_event", "unknown_generation", "unknown_kind", "not_a_signal", "prompt_cap",
        "other_tenant",
        "edit_without_value", "undecided", "no_evidence", "unknown_prompt",
    }  # fmt: skip
    assert {name: rows.num_rows for name, rows in there.items()} == {
        name: rows.num_rows for name, rows in here.items()
    }
    assert [name for name, rows in there.items() if not rows.equals(here[name])] == []


def test_executors_count_as_one_process_does_whatever_the_shards(spark, counting):
    whole = counting.table.count(*counting.told)
    with Executors(spark, counting.table.shards(5)) as executors:
        found = [executors.count(*counting.told) for _ in range(2)]
    for one, again, total in zip(*found, whole, strict=True):
        np.testing.assert_array_equal(one, again)  # added up in the order of shards, always
        np.testing.assert_allclose(one, total, rtol=0, atol=1e-9)


def test_an_executor_that_cannot_count_says_so_in_one_sentence(spark, counting):
    first, second = counting.table.shards(2)
    (some,) = second.shown
    broken = second._replace(shown=(some._replace(start=None),))
    with (
        Executors(spark, (first, broken)) as executors,
        pytest.raises(FlywheelError, match=r"^shard 2 of 2 could not be counted by its executor"),
    ):
        executors.count(*counting.told)


def test_nothing_shown_needs_no_executor(spark):
    with on_executors(spark)(None) as spread:
        assert spread is None


def test_the_figures_on_spark_are_those_of_one_process(spark):
    w = studio(golden=20)
    alone, shared = (
        denoise(w.events, w.generations, w.annotations, gold=w.gold, settings=settings)
        for settings in (FEW, ON_SPARK)
    )
    for name in ("posterior", "user_intents", "phi", "class_shares"):
        one, other = getattr(shared.fit, name), getattr(alone.fit, name)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
    assert shared.fit.iterations == alone.fit.iterations == 8
    assert rounded(shared.pairs) == rounded(alone.pairs)
    assert rounded(shared.users) == rounded(alone.users)
    assert shared.drops == alone.drops


def rounded(table):
    """Columns as lists, figures to nine digits: shards add up in another order."""
    return {
        name: [round(v, 9) if isinstance(v, float) else v for v in table[name].to_pylist()]
        for name in table.column_names
    }


def test_the_command_writes_the_same_pairs_under_a_memory_limit(
    spark, flywheel, tmp_path, monkeypatch
):
    """Executors read the exposures from disk, in several runs each."""
    monkeypatch.setattr(firmness, "PLENTY", 100)  # below it, exposures would be in memory
    monkeypatch.setattr(MemoryPlan, "kernel_rows", property(lambda plan: 100))
    monkeypatch.setattr(MemoryPlan, "bin_rows", property(lambda plan: 200))
    words = write_studio(studio(prompts=8, shown=800), tmp_path)
    on_spark = ["--engine", "spark", "--memory-limit", "16MB"]
    assert flywheel("denoise", *words, "--out", tmp_path / "alone")[0] == 0
    code, _, err = flywheel("denoise", *words, *on_spark, "--out", tmp_path / "spark")
    assert (code, err) == (0, "")
    alone, shared = (pq.read_table(tmp_path / out / "pairs.parquet") for out in ("alone", "spark"))
    assert rounded(shared) == rounded(alone)


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("pyspark", "Spark is not installed here; run pip install"),
        ("java", "Spark needs Java 17 or newer and none was found; run 'sudo apt-get install"),
    ],
)
def test_what_is_missing_is_one_sentence(flywheel, tmp_path, monkeypatch, missing, says):
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    hidden = {"pyspark": "pipelines.signals.spark.find_spec", "java": "shutil.which"}[missing]
    monkeypatch.setattr(hidden, lambda name: None)
    words = [*write_studio(studio(), tmp_path), "--engine", "spark", "--out", tmp_path / "o"]
    code, out, err = flywheel("denoise", *words)
    assert (code, out, err.count("\n")) == (MISTAKE, "", 1)
    assert says in err
    assert not (tmp_path / "o").exists()


def test_a_master_that_cannot_be_is_one_sentence(tmp_path, monkeypatch, capfd):
    """What Java itself says goes nowhere."""
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)
    words = [*write_studio(studio(), tmp_path), "--engine", "spark", "--out", tmp_path / "o"]
    code = run(["denoise", *map(str, words), "--spark-master", "nowhere"])
    out, err = capfd.readouterr()
    assert (code, out, err.count("\n")) == (MISTAKE, "", 1)
    assert "Spark does not start at --spark-master nowhere (Master must" in err


def test_spark_and_several_processes_are_not_asked_for_together():
    with pytest.raises(ContractError, match="give one of the two"):
        replace(ON_SPARK, processes=2)
