"""What came in through the door lands in `events`, by command and by Dagster."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from door_events import event, written

from data_contracts.errors import SensitivityError
from data_contracts.labels import GENERAL, Label
from pipelines.cli import DONE, MISTAKE, REFUSED, run
from pipelines.definitions import build_definitions
from pipelines.intake.door import AccessBook, Journal, journal_folder
from pipelines.landing import land_events, waiting_events
from pipelines.landing_job import landing, landing_sensor
from pipelines.resources import Wheel
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_stores


def send(place, rows):
    with place.open() as client:
        assert client.post("/v1/events", content=written(rows)).status_code == 202


def stored(place, table="events"):
    return open_stores(place.zone).append.read(table)


def flywheel(capsys, *words):
    code = run([str(word) for word in words])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_same_rules_admit_what_a_file_brings_and_what_the_door_brings(place, tmp_path, capsys):
    rows = [event(n, value=0.5) for n in range(20)]
    rows += [event(20, kind="impression"), event(21, kind="edit", value=7.0),
             event(22, occurred_at="2999-01-01T00:00:00Z")]  # fmt: skip
    send(place, rows)
    list(land_events(place.zone, now=datetime.now(UTC), by="me"))
    file = tmp_path / "e.jsonl"
    told = {"tenant_id": "acme", "received_at": "2026-11-01T00:00:00Z"}
    file.write_bytes(b"".join(written(row | told) + b"\n" for row in rows))
    assert flywheel(capsys, "ingest", file, "--root", tmp_path / "other")[0] == DONE
    other = open_stores(tmp_path / "other").append
    assert (
        stored(place)
        .drop_columns("received_at")
        .equals(other.read("events").drop_columns("received_at"))
    )
    reasons = stored(place, "quarantined_events")["reason"].to_pylist()
    assert reasons == other.read("quarantined_events")["reason"].to_pylist()
    assert len(set(reasons)) == 3


def test_the_command_lands_all_and_a_dry_run_nothing(place, capsys):
    send(place, [event(n) for n in range(3)])
    _, out, _ = flywheel(capsys, "land", "--root", place.zone, "--dry-run")
    assert out == "dry run: 3 events wait in the journal\n"
    assert waiting_events(place.zone) == 3
    _, out, _ = flywheel(capsys, "land", "--root", place.zone)
    assert out == "landed 3 = accepted 3 + quarantined 0\n"
    assert stored(place)["event_id"].to_pylist() == ["ev_0", "ev_1", "ev_2"]
    assert waiting_events(place.zone) == 0


def test_an_event_repeated_after_its_landing_is_still_known(place):
    send(place, event(1))
    list(land_events(place.zone, now=datetime.now(UTC), by="me"))
    with place.open() as client:
        again = client.post("/v1/events", content=written(event(1)))
        assert again.json() == {"accepted": 0, "known": 1}
        assert client.post("/v1/events", content=written(event(1, turn=1))).status_code == 409
    assert waiting_events(place.zone) == 0


def test_what_has_landed_leaves_no_bytes_in_the_journal(place):
    send(place, [event(n, user_id="u_erase_me") for n in range(500)])
    list(land_events(place.zone, now=datetime.now(UTC), by="me"))
    left = b"".join(f.read_bytes() for f in journal_folder(place.zone).iterdir() if f.is_file())
    assert b"u_erase_me" not in left
    assert b"ev_499" in left


@pytest.mark.parametrize("moment", ["written", "unlinked"])
def test_what_a_killed_landing_wrote_goes_with_the_next(place, monkeypatch, moment):
    """Killed before its file has its name, or after the journal forgot what is in the file."""
    folder = journal_folder(place.zone)
    send(place, event(1, user_id="u_erase_me"))
    if moment == "written":
        (folder / ".partial").mkdir()
        (folder / ".partial" / "0").write_bytes(b"u_erase_me")
    unlink = Path.unlink

    def killed(file, **told):
        if file.name.startswith("landing-"):
            raise KeyboardInterrupt
        unlink(file, **told)

    if moment == "unlinked":
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", killed)
            with pytest.raises(KeyboardInterrupt):
                list(land_events(place.zone, now=datetime.now(UTC), by="me"))
    list(land_events(place.zone, now=datetime.now(UTC), by="me"))
    left = b"".join(f.read_bytes() for f in folder.rglob("*") if f.is_file())
    assert b"u_erase_me" not in left
    assert stored(place)["event_id"].to_pylist() == ["ev_1"]


def test_a_zone_without_a_journal_has_nothing_to_land(tmp_path, capsys):
    code, out, _ = flywheel(capsys, "land", "--root", tmp_path / "zone")
    assert (code, out) == (DONE, "landed 0 = accepted 0 + quarantined 0\n")
    assert not (tmp_path / "zone").exists()


def test_a_journal_of_another_label_than_its_zone_is_refused_and_waits(place):
    open_stores(place.zone).catalogue.register("other", "source", label=Label(frozenset({"x"})))
    open_stores(place.zone).catalogue.register("append/events", "events", ["other"])
    send(place, event(1))
    with pytest.raises(SensitivityError):
        list(land_events(place.zone, now=datetime.now(UTC), by="me"))
    assert waiting_events(place.zone) == 1


@pytest.fixture
def wheel(tmp_path):
    """A wheel whose own folder is the zone that the door writes for."""
    root = tmp_path / "wheel"
    write_resolved(WheelSettings(), root)
    with closing(AccessBook(tmp_path / "wheel_door")) as book:
        book.place("acme", ["campaign-7"], zone=root, label=GENERAL)
    return root


def test_the_sensor_asks_for_a_landing_only_while_something_waits(place, wheel):
    sensor = landing_sensor(place.zone)
    with dg.instance_for_test() as instance:
        context = dg.build_sensor_context(instance=instance)
        assert isinstance(sensor(context), dg.SkipReason)
        send(place, [event(1), event(2, kind="impression")])
        assert isinstance(sensor(context), dg.RunRequest)
        instance.create_run_for_job(landing, status=dg.DagsterRunStatus.STARTED)
        assert "under way" in sensor(context).skip_message
        done = landing.execute_in_process(
            instance=instance, resources={"wheel": Wheel(root=str(place.zone))}
        )
        assert isinstance(sensor(context), dg.SkipReason)
    [told] = done.asset_materializations_for_node("land_journal")
    assert told.metadata["accepted"].value == 1
    assert stored(place)["event_id"].to_pylist() == ["ev_1"]


def test_a_wheel_shows_the_landing_and_its_sensor(wheel):
    definitions = build_definitions(wheel)
    assert definitions.resolve_job_def("landing")
    assert definitions.resolve_sensor_def("journal_waits").default_status.value == "RUNNING"


def test_a_key_is_made_listed_and_revoked_by_command(tmp_path, capsys):
    door = tmp_path / "door"
    words = ("key", "acme", "--project", "p", "--root", tmp_path / "zone", "--door", door)
    code, out, _ = flywheel(capsys, *words)
    assert code == DONE
    key = out.splitlines()[1]
    with closing(AccessBook(door)) as book:
        caller = book.caller(key)
        assert caller.tenant_id == "acme"
    flywheel(capsys, "key", "--revoke", caller.key_id, "--door", door)
    with closing(AccessBook(door)) as book:
        assert book.caller(key) is None
    _, out, _ = flywheel(capsys, "key", "--list", "--door", door)
    assert caller.key_id in out
    assert key not in out
    moved = flywheel(capsys, *words[:5], tmp_path / "elsewhere", "--door", door)
    assert moved[0] == REFUSED
    assert flywheel(capsys, "key", "--door", door)[0] == MISTAKE


def test_a_second_door_on_a_journal_is_one_sentence(place, capsys):
    with place.open():
        code, out, err = flywheel(capsys, "serve", "--door", place.folder, "--port", 18765)
    assert (code, out) == (MISTAKE, "")
    assert err.startswith("flywheel: another door writes the journal")
    assert err.count("\n") == 1
    with closing(Journal(journal_folder(place.zone))) as journal:
        assert journal.known() == 0
