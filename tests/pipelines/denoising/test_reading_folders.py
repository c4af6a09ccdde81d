"""Files of one folder may differ in the nullable columns that they have."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from small_studio import studio, write_studio

from data_contracts.errors import ContractError
from pipelines.denoising.reading import EVENTS, GENERATIONS, read_batches, read_table


def folder_of(tmp_path, *tables):
    made = tmp_path / "made"
    made.mkdir()
    for n, table in enumerate(tables):
        pq.write_table(table, made / f"{n}.parquet")
    return made


@pytest.mark.parametrize("first", ["without", "with"])
def test_a_column_that_one_file_lacks_is_kept_of_the_others(tmp_path, first):
    rows = studio(prompts=2, shown=50).events
    halves = [rows.slice(0, 20).drop_columns(["position"]), rows.slice(20)]
    path = folder_of(tmp_path, *(halves if first == "without" else halves[::-1]))
    whole, parted = read_table(path, EVENTS), read_batches(path, EVENTS).whole()
    assert whole["position"].null_count == 20
    assert whole.equals(parted)
    assert set(whole["position"].to_pylist()) == {None, 0, 1, 2, 3}


def test_files_of_one_column_in_other_types_are_brought_to_the_contracts(tmp_path):
    rows = studio(prompts=2, shown=50).generations
    named = rows.append_column("skill_id", pa.array(["k"] * rows.num_rows).dictionary_encode())
    nameless = rows.append_column("skill_id", pa.nulls(rows.num_rows))
    table = read_table(folder_of(tmp_path, nameless, named, rows), GENERATIONS)
    assert table["skill_id"].to_pylist() == [None] * 8 + ["k"] * 8 + [None] * 8


def test_a_row_of_a_later_file_is_named_by_its_place_in_the_whole(tmp_path):
    rows = studio(prompts=2, shown=50).events
    names = pa.array([None, *rows["user_id"].to_pylist()[1:]])
    at = rows.schema.get_field_index("user_id")
    path = folder_of(tmp_path, rows.slice(0, 30), rows.set_column(at, "user_id", names))
    for read in (read_table, lambda *told: read_batches(*told).whole()):
        with pytest.raises(ContractError, match=r"have no user_id \(row 30: e000000"):
            read(path, EVENTS)


def test_a_partitioned_delta_table_keeps_the_column_that_its_folders_name(tmp_path):
    rows = studio(prompts=2, shown=50).events
    write_deltalake(tmp_path / "d", rows, partition_by=["kind"])
    whole = read_table(tmp_path / "d", EVENTS).sort_by("event_id")
    assert whole["kind"].to_pylist() == rows.sort_by("event_id")["kind"].to_pylist()
    assert whole.equals(read_batches(tmp_path / "d", EVENTS).whole().sort_by("event_id"))


def test_the_memory_limit_does_not_change_what_a_folder_says(flywheel, tmp_path):
    w = studio()
    words = write_studio(w, tmp_path)
    path = folder_of(
        tmp_path, w.events.slice(0, 500).drop_columns(["position"]), w.events.slice(500)
    )
    words[words.index("--events") + 1] = path
    examined = []
    for name, limit in (("a", []), ("b", ["--memory-limit", "16MB"])):
        code, _, _ = flywheel("denoise", *words, *limit, "--out", tmp_path / name)
        assert code == 0
        examined.append(json.loads((tmp_path / name / "report.json").read_text())["examined"])
    assert examined[0] == examined[1]
    assert {"grid:0", "grid:3", "grid:unknown"} <= set(examined[0])
