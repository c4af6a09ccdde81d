"""Files of events: a bad row is kept with its refusal, a bad file is refused in one sentence."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import ContractError, FlywheelError
from data_contracts.schemas import EVENT
from pipelines.intake.event_files import read_events
from pipelines.intake.limits import IntakeLimits
from pipelines.intake.raw_events import RAW_EVENT

AT = "2026-05-01T12:00:00+00:00"


def row(**changes: Any) -> dict[str, Any]:
    return {
        "event_id": "ev_1",
        "tenant_id": "t_1",
        "project_id": "p_1",
        "user_id": "u_1",
        "session_id": "s_1",
        "turn": 0,
        "kind": "impression",
        "generation_id": "g_1",
        "surface": "grid",
        "position": 0,
        "propensity": 0.25,
        "occurred_at": AT,
        "received_at": AT,
    } | changes


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


every_kind = pytest.mark.parametrize(
    ("name", "write"),
    [("e.jsonl", write_jsonl), ("e.csv", write_csv), ("e.parquet", write_parquet)],
)
Writer = Callable[[Path, list[dict[str, Any]]], Path]


@every_kind
def test_the_three_kinds_of_file_read_alike(tmp_path: Path, name: str, write: Writer) -> None:
    file = write(tmp_path / name, [row(), row(event_id="ev_2", position=None, propensity=None)])
    raw = read_events(file)
    assert raw.schema == RAW_EVENT
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    expected = {field: None for field in RAW_EVENT.names} | row()
    expected |= {"occurred_at": moment, "received_at": moment, "_row": 0, "_source": digest}
    second = {"event_id": "ev_2", "position": None, "propensity": None, "_row": 1}
    assert raw.to_pylist() == [expected, expected | second]


@every_kind
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"turn": "soon"}, "bad_type(turn)"),
        ({"turn": 2.5}, "bad_type(turn)"),
        ({"turn": 2**40}, "bad_type(turn)"),
        ({"propensity": "often"}, "bad_type(propensity)"),
        ({"occurred_at": "yesterday"}, "bad_type(occurred_at)"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "bad_type(occurred_at)"),
        ({"occurred_at": "then", "turn": "soon"}, "bad_type(turn)"),
    ],
)
def test_a_misfit_refuses_its_row_only(
    tmp_path: Path, name: str, write: Writer, changes: dict[str, Any], refusal: str
) -> None:
    texts = {key: str(row()[key]) for key in changes} if name == "e.parquet" else {}
    if name == "e.parquet":  # a column has one type there
        changes = {key: str(value) for key, value in changes.items()}
    raw = read_events(write(tmp_path / name, [row(**changes), row(**texts) if texts else row()]))
    refusals = raw.column("_refusal").to_pylist()
    assert refusals[0] == refusal
    assert raw.column("event_id").to_pylist() == ["ev_1", "ev_1"]
    assert len(refusals) == 2


def test_one_misfit_among_json_rows_leaves_the_others_alone(tmp_path: Path) -> None:
    rows = [row(turn=1), row(turn="soon"), row(turn=3.0), row(turn=True), row(user_id=7)]
    raw = read_events(write_jsonl(tmp_path / "e.jsonl", rows))
    assert raw.column("turn").to_pylist() == [1, None, 3, None, 0]
    assert raw.column("_refusal").to_pylist() == [
        None,
        "bad_type(turn)",
        None,
        "bad_type(turn)",
        "bad_type(user_id)",
    ]


@pytest.mark.parametrize("written", ["0x10", "1_000", "٣", "1e2", " 1", "--1"])
def test_a_csv_number_is_written_plainly(tmp_path: Path, written: str) -> None:
    raw = read_events(write_csv(tmp_path / "e.csv", [row(turn=written), row(turn="1.0"), row()]))
    assert raw.column("turn").to_pylist() == [None, 1, 0]
    assert raw.column("_refusal").to_pylist() == ["bad_type(turn)", None, None]


@pytest.mark.parametrize(
    "written",
    ["2026-05-01T12:00:00Z", "2026-05-01 12:00:00", "2026-05-01T14:00:00+02:00",
     "2026-05-01T12:00:00.000000000Z"],
)  # fmt: skip
def test_times_are_utc_whatever_their_zone(tmp_path: Path, written: str) -> None:
    rows = [row(occurred_at=written), row(occurred_at=AT)]
    moments = read_events(write_jsonl(tmp_path / "e.jsonl", rows)).column("occurred_at")
    assert set(moments.to_pylist()) == {datetime(2026, 5, 1, 12, tzinfo=UTC)}


def test_missing_numbers_written_as_nan_are_null(tmp_path: Path) -> None:
    raw = read_events(write_csv(tmp_path / "e.csv", [row(position="nan", propensity="NaN"), row()]))
    assert raw.column("position").to_pylist() == [None, 0]
    assert raw.column("propensity").to_pylist() == [None, 0.25]
    assert raw.column("_refusal").null_count == 2


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1, 2]",
        b'"event"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"turn": NaN}',
        b'{"turn": ' + b"9" * 5000 + b"}",
        b'{"event_id": "' + b"x" * 3000 + b'"}',
        b"\x00",
    ],
)
def test_a_line_that_is_no_object_is_one_refused_row(tmp_path: Path, line: bytes) -> None:
    good = json.dumps(row()).encode()
    (tmp_path / "e.jsonl").write_bytes(b"\xef\xbb\xbf" + good + b"\n\n" + line + b"\n" + good)
    raw = read_events(tmp_path / "e.jsonl", limits=IntakeLimits(row_bytes=2048))
    assert raw.column("_refusal").to_pylist() == [None, "unparsable", None]
    assert raw.column("_row").to_pylist() == [0, 1, 2]


def test_half_a_character_is_a_misfit(tmp_path: Path) -> None:
    raw = read_events(write_jsonl(tmp_path / "e.jsonl", [row(user_id="\ud800"), row()]))
    assert raw.column("_refusal").to_pylist() == ["bad_type(user_id)", None]


def test_a_csv_record_of_another_width_is_one_refused_row(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "e.csv", [row(), row(event_id="ev_2")])
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], "ev_9,t_1", "", "x" * 200_000, *lines[2:], ""]))
    raw = read_events(file)
    assert raw.column("_refusal").to_pylist() == [None, "unparsable", "unparsable", None]
    assert raw.column("event_id").to_pylist() == ["ev_1", None, None, "ev_2"]


def test_csv_bytes_that_are_not_text_refuse_their_row_only(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "e.csv", [row(user_id="bad"), row()])
    file.write_bytes(file.read_bytes().replace(b"bad", b"\xff\xfe"))
    assert read_events(file).column("_refusal").to_pylist() == ["bad_type(user_id)", None]


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "day=2").mkdir()
    write_parquet(tmp_path / "day=2" / "part.parquet", [row(event_id="ev_3")])
    write_csv(tmp_path / "b.csv", [row(event_id="ev_2")])
    write_jsonl(tmp_path / "a.jsonl", [row(event_id="ev_1")])
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part.crc").write_text("x")
    raw = read_events(tmp_path)
    assert raw.column("event_id").to_pylist() == ["ev_1", "ev_2", "ev_3"]
    assert raw.column("_row").to_pylist() == [0, 0, 0]
    assert len(set(raw.column("_source").to_pylist())) == 3


def test_times_that_no_calendar_holds_are_misfits(tmp_path: Path) -> None:
    stamps = pa.array([-(2**62), 0, 2**62], pa.timestamp("us", tz="UTC"))
    table = pa.Table.from_pylist([row()] * 3).set_column(11, "occurred_at", stamps)
    pq.write_table(table, tmp_path / "e.parquet")
    raw = read_events(tmp_path / "e.parquet")
    misfit = "bad_type(occurred_at)"
    assert raw.column("_refusal").to_pylist() == [misfit, None, misfit]


def _one_sentence(error: pytest.ExceptionInfo[FlywheelError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


@every_kind
def test_a_missing_needed_column_refuses_the_file(tmp_path: Path, name: str, write: Writer) -> None:
    rows = [{key: value for key, value in row().items() if key != "received_at"}]
    with pytest.raises(ContractError, match="column received_at missing") as error:
        read_events(write(tmp_path / name, rows))
    _one_sentence(error)


@every_kind
def test_nullable_columns_may_be_absent(tmp_path: Path, name: str, write: Writer) -> None:
    needed = {field.name for field in EVENT if not field.nullable}
    rows = [{key: value for key, value in row().items() if key in needed}]
    raw = read_events(write(tmp_path / name, rows))
    assert raw.schema == RAW_EVENT
    assert raw.column("position").to_pylist() == [None]


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_parquet_is_refused(tmp_path: Path, kept: float) -> None:
    whole = write_parquet(tmp_path / "e.parquet", [row()] * 50).read_bytes()
    (tmp_path / "e.parquet").write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(FlywheelError, match="not a whole Parquet file") as error:
        read_events(tmp_path / "e.parquet")
    _one_sentence(error)


def test_a_csv_cut_off_within_quotes_is_refused(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "e.csv", [row()])
    file.write_text(file.read_text() + '"ev_2,t_1')
    with pytest.raises(FlywheelError, match="ends inside a quoted field"):
        read_events(file)


def test_a_header_that_repeats_a_name_is_refused(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "e.csv", [row()])
    file.write_text(file.read_text().replace("surface", "kind", 1))
    with pytest.raises(ContractError, match="the header repeats kind"):
        read_events(file)


def test_a_first_row_that_stands_for_the_header_is_never_printed(tmp_path: Path) -> None:
    """Without a header the first row is taken for one, and somebody's values may repeat."""
    file = write_csv(tmp_path / "e.csv", [row(user_id="my secret", session_id="my secret")])
    file.write_text(file.read_text().partition("\n")[2])
    with pytest.raises(ContractError, match="repeats 3 names that are no event's") as error:
        read_events(file)
    assert "secret" not in _one_sentence(error)
    assert "t_1" not in _one_sentence(error)


def test_a_repeated_column_that_nobody_asked_for_is_counted_beside_one_that_is_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / "e.csv"
    file.write_text("kind,note,kind,note,other\n1,2,3,4,5\n")
    with pytest.raises(ContractError, match="repeats kind, 1 name that is no event's; name"):
        read_events(file)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.jsonl", None, "no such file or folder"),
        ("e.jsonl", b"", "the file is empty"),
        ("e.jsonl", b"not json\n{}\n", "no line is an event"),
        ("e.csv", b"\n", "columns event_id, tenant_id, .* missing"),
        ("e.xlsx", b"PK", "not a kind of event file"),
    ],
)
def test_a_file_without_events_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FlywheelError, match=message) as error:
        read_events(tmp_path / name)
    _one_sentence(error)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlywheelError, match="the folder holds no events"):
        read_events(tmp_path)


@every_kind
def test_caps_hold(tmp_path: Path, name: str, write: Writer) -> None:
    file = write(tmp_path / name, [row()] * 3)
    assert read_events(file, limits=IntakeLimits(rows=3)).num_rows == 3
    with pytest.raises(FlywheelError, match="above 2 rows"):
        read_events(file, limits=IntakeLimits(rows=2))
    with pytest.raises(FlywheelError, match="more than the 100 allowed"):
        read_events(file, limits=IntakeLimits(file_bytes=100))


def test_the_row_cap_counts_the_whole_folder(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [row()] * 2)
    write_jsonl(tmp_path / "b.jsonl", [row()] * 2)
    with pytest.raises(FlywheelError, match="above 3 rows"):
        read_events(tmp_path, limits=IntakeLimits(rows=3))


def test_a_parquet_that_unpacks_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "e.parquet", [row(event_id="x" * 100_000)] * 100)
    cap = IntakeLimits(file_bytes=file.stat().st_size + 1)
    with pytest.raises(FlywheelError, match="unpacks to"):
        read_events(file, limits=cap)


def test_a_parquet_that_says_it_is_small_is_measured_as_it_unpacks(tmp_path: Path) -> None:
    """One value, stored once and named by 100,000 rows: 1 kB each, and 20 kB of file."""
    rows = pa.Table.from_pylist([row(user_id="u" * 1000)]).take(pa.array([0] * 100_000))
    pq.write_table(rows, tmp_path / "e.parquet")
    size = (tmp_path / "e.parquet").stat().st_size
    meta = pq.ParquetFile(tmp_path / "e.parquet").metadata
    assert size < 30_000
    assert meta.row_group(0).total_byte_size < 30_000
    with pytest.raises(FlywheelError, match="more than the 1,000,000 bytes allowed; split it") as e:
        read_events(tmp_path / "e.parquet", limits=IntakeLimits(file_bytes=1_000_000))
    _one_sentence(e)
    whole = IntakeLimits(file_bytes=200_000_000)
    assert read_events(tmp_path / "e.parquet", limits=whole).num_rows == 100_000
