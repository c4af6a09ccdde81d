"""Events come in once, whole, whatever happens on the way."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deliveries import assert_one_sentence, event, write_events

from data_contracts.labels import GENERAL, Label
from pipelines.cli import FAILED, MISTAKE, REFUSED
from pipelines.ingesting import ingest_delivery, read_delivery
from pipelines.intake.event_files import read_events
from pipelines.stores import open_stores


def stored(root, table="events"):
    return open_stores(root).append.read(table)


def test_received_is_accepted_plus_quarantined(flywheel, root, tmp_path):
    rows = [event(1), event(2, kind="applaud"), event(3), event(3, turn=1), event(4)]
    answer = flywheel("ingest", write_events(tmp_path / "e.jsonl", rows), "--root", root, "--json")
    assert answer.code == 0
    assert answer.json["received"] == 5
    assert answer.json["accepted"] == 3
    assert answer.json["quarantined"] == {"conflicting_id": 1, "in_set(kind)": 1}
    assert stored(root)["event_id"].to_pylist() == ["ev_1", "ev_3", "ev_4"]
    assert stored(root, "quarantined_events")["reason"].to_pylist() == [
        "in_set(kind)",
        "conflicting_id",
    ]


def test_the_same_file_twice_changes_nothing_and_says_so(flywheel, root, tmp_path):
    file = write_events(tmp_path / "e.jsonl", [event(1), event(2, surface="moon")])
    first = flywheel("ingest", file, "--root", root)
    digest = open_stores(root).append.logical_digest("events")
    second = flywheel("ingest", file.rename(tmp_path / "copy.jsonl"), "--root", root)
    assert "stored as batch" in first.out
    assert "was ingested before; nothing changed" in second.out
    assert second.out.splitlines()[:3] == first.out.splitlines()[:3]
    assert open_stores(root).append.logical_digest("events") == digest
    assert stored(root, "quarantined_events").num_rows == 1


def test_an_event_that_an_earlier_delivery_brought_is_a_duplicate(flywheel, root, tmp_path):
    flywheel("ingest", write_events(tmp_path / "a.jsonl", [event(1), event(2)]), "--root", root)
    later = [event(1, received_at="2026-01-02T00:00:00Z"), event(2, turn=9), event(3)]
    file = write_events(tmp_path / "b.jsonl", later)
    answer = flywheel("ingest", file, "--root", root, "--json")
    assert answer.json["quarantined"] == {"conflicting_id": 1, "duplicate": 1}
    assert stored(root)["event_id"].to_pylist() == ["ev_1", "ev_2", "ev_3"]
    assert stored(root, "quarantined_events")["row"].to_pylist() == [0, 1]


def test_csv_and_parquet_say_the_same_as_jsonl(flywheel, tmp_path):
    jsonl = write_events(tmp_path / "e.jsonl", [event(n) for n in range(20)])
    table = read_events(jsonl).select(list(event(0)))
    table.to_pandas().to_csv(tmp_path / "e.csv", index=False)
    pq.write_table(table, tmp_path / "e.parquet")
    for kind in ("jsonl", "csv", "parquet"):
        flywheel("ingest", tmp_path / f"e.{kind}", "--root", tmp_path / kind)
    digests = {
        open_stores(tmp_path / kind).append.logical_digest("events")
        for kind in ("jsonl", "csv", "parquet")
    }
    assert len(digests) == 1


def test_a_folder_is_one_delivery(flywheel, root, tmp_path):
    folder = tmp_path / "day"
    folder.mkdir()
    write_events(folder / "a.jsonl", [event(1)])
    write_events(folder / "b.jsonl", [event(2)])
    answer = flywheel("ingest", folder, "--root", root, "--json")
    assert answer.json["accepted"] == 2
    assert len(open_stores(root).append.batches("events")) == 1


def test_a_dry_run_writes_nothing(flywheel, root, tmp_path):
    file = write_events(tmp_path / "e.jsonl", [event(1)])
    answer = flywheel("ingest", file, "--root", root, "--dry-run", "--json")
    assert answer.json["accepted"] == 1
    assert answer.json["dry_run"]
    assert not root.exists()


def test_rows_carry_a_label_from_their_source(flywheel, root, tmp_path):
    answer = flywheel("ingest", write_events(tmp_path / "e.jsonl", [event(1)]), "--root", root,
                      "--json")  # fmt: skip
    catalogue = open_stores(root).catalogue
    assert catalogue.label(f"events/{answer.json['batch']}") == GENERAL
    assert catalogue.label("append/events") == GENERAL


def test_events_of_another_owner_are_refused_before_anything_is_stored(flywheel, root, tmp_path):
    flywheel("ingest", write_events(tmp_path / "a.jsonl", [event(1)]), "--root", root)
    file = write_events(tmp_path / "b.jsonl", [event(2)])
    answer = flywheel("ingest", file, "--root", root, "--owner", "studio")
    assert answer.code == REFUSED
    assert_one_sentence(answer)
    assert stored(root).num_rows == 1
    other = flywheel("ingest", file, "--root", tmp_path / "own", "--owner", "studio")
    assert other.code == 0
    label = open_stores(tmp_path / "own").catalogue.label("append/events")
    assert label == Label(frozenset({"studio"}))


def test_who_named_the_wrong_owner_can_ingest_the_same_file_with_the_right_one(
    flywheel, root, tmp_path
):
    flywheel("ingest", write_events(tmp_path / "a.jsonl", [event(1)]), "--root", root)
    file = write_events(tmp_path / "b.jsonl", [event(2)])
    assert flywheel("ingest", file, "--root", root, "--owner", "studio").code == REFUSED
    assert flywheel("ingest", file, "--root", root).code == 0
    assert stored(root)["event_id"].to_pylist() == ["ev_1", "ev_2"]


@pytest.mark.parametrize("table", ["events", "quarantined_events"])
def test_a_delivery_killed_before_an_append_is_completed_by_a_second_run(root, tmp_path, table):
    """The first attempt's moment decides: an event from its future stays refused."""
    rows = [event(1), event(2, kind="applaud"), event(3, received_at="2031-01-01T00:00:00Z")]
    file = write_events(tmp_path / "e.jsonl", rows)
    killed = f"""
import os, signal
from pipelines.stores.append import AppendTables
append = AppendTables.append
def killing(self, name, rows, *, batch):
    if name == {table!r}:
        os.kill(os.getpid(), signal.SIGKILL)
    return append(self, name, rows, batch=batch)
AppendTables.append = killing
from pipelines.cli import main
main(["ingest", {str(file)!r}, "--root", {str(root)!r}])
"""
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    later = datetime(2040, 1, 1, tzinfo=UTC)
    whole = ingest_delivery(
        open_stores(root), read_delivery(file), label=GENERAL, now=later, by="me",
        step=lambda _: None,
    )  # fmt: skip
    assert whole.fresh
    assert (whole.received, whole.accepted) == (3, 1)
    assert stored(root).num_rows == 1
    assert stored(root, "quarantined_events").num_rows == 2


def test_a_truncated_parquet_is_refused_whole(flywheel, root, tmp_path):
    pq.write_table(pa.table({"event_id": ["e"] * 1000}), tmp_path / "e.parquet")
    content = (tmp_path / "e.parquet").read_bytes()
    (tmp_path / "e.parquet").write_bytes(content[: len(content) // 2])
    answer = flywheel("ingest", tmp_path / "e.parquet", "--root", root)
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert "not a whole Parquet file" in answer.err


def test_a_missing_column_is_named(flywheel, root, tmp_path):
    rows = [{name: value for name, value in event(1).items() if name != "kind"}]
    answer = flywheel("ingest", write_events(tmp_path / "e.jsonl", rows), "--root", root)
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert "column kind missing" in answer.err


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "applaud"}, "in_set(kind)"),
        ({"received_at": "2099-01-01T00:00:01Z"}, "not_after(received_at)"),
        ({"position": None}, "position"),
        ({"turn": "soon"}, "bad_type(turn)"),
    ],
)
def test_a_bad_row_is_quarantined_and_the_others_come_in(flywheel, root, tmp_path, changes, reason):
    file = write_events(tmp_path / "e.jsonl", [event(1), event(2, **changes), event(3)])
    answer = flywheel("ingest", file, "--root", root, "--json")
    assert answer.json["accepted"] == 2
    [found] = answer.json["quarantined"]
    assert reason in found


def test_an_exact_copy_in_one_file_is_a_duplicate(flywheel, root, tmp_path):
    file = write_events(tmp_path / "e.jsonl", [event(1), event(1)])
    answer = flywheel("ingest", file, "--root", root, "--json")
    assert answer.json["quarantined"] == {"duplicate": 1}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "holds no events"),
        (lambda path: None, "no such file or folder"),
        (lambda path: path.write_text(""), "not a kind of event file"),
    ],
)
def test_nothing_to_read_is_one_sentence(flywheel, root, tmp_path, make, says):
    make(tmp_path / "given")
    answer = flywheel("ingest", tmp_path / "given", "--root", root)
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert says in answer.err
    assert not root.exists()


def test_a_header_without_rows_is_one_sentence(flywheel, root, tmp_path):
    (tmp_path / "e.csv").write_text(",".join(event(0)) + "\n")
    answer = flywheel("ingest", tmp_path / "e.csv", "--root", root)
    assert answer.code == MISTAKE
    assert_one_sentence(answer)


def test_a_full_disk_is_one_sentence_and_a_second_run_completes(flywheel, tmp_path, tiny_disk):
    noise = np.random.default_rng(7)
    rows = [event(n, session_id=noise.bytes(30).hex()) for n in range(20_000)]
    file = write_events(tmp_path / "e.jsonl", rows)
    with tiny_disk(tmp_path / "disk", "700k") as disk:
        answer = flywheel("ingest", file, "--root", disk / "zone")
        assert answer.code == FAILED
        assert_one_sentence(answer)
        assert "no space left" in answer.err
        assert open_stores(disk / "zone").append.batches("events") == []
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        again = flywheel("ingest", file, "--root", disk / "zone", "--json")
        assert again.json["accepted"] == 20_000
