"""Which models learned from a person: against a plain walk over the same files."""

import json
import re
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from data_contracts.errors import FlywheelError
from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from pipelines.audit.page import write_page
from pipelines.auditing import PersonTrace, trace_person
from pipelines.cli import MISTAKE
from pipelines.cli import run as flywheel
from pipelines.stores import open_snapshot, open_stores

TURN = "turn-001"
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def stores(nano_wheel):
    return open_stores(nano_wheel)


def pairs_of(stores):
    name = stores.catalogue.pointer(f"preferences/preference_snapshot/{TURN}")
    return open_snapshot(stores, SnapshotId(name), GENERAL).pairs.to_pylist()


def busiest(stores, table, column, owner):
    """Return who is named in most pairs, and whose ids those are."""
    rows = stores.append.read(table, columns=[column, owner]).to_pylist()
    whose = {row[column]: row[owner] for row in rows}
    count = Counter(whose[e] for p in pairs_of(stores) for e in p["evidence"] if e in whose)
    person = max(sorted(count), key=count.__getitem__)
    return person, {name for name, who in whose.items() if who == person}


@pytest.mark.parametrize(
    "asked",
    [("events", "event_id", "user_id"), ("annotations", "annotation_id", "annotator_id")],
    ids=["user", "annotator"],
)
def test_every_count_is_that_of_a_plain_walk(stores, asked):
    person, ids = busiest(stores, *asked)
    found = trace_person(stores, person)
    touched = [p for p in pairs_of(stores) if ids & set(p["evidence"])]
    training = [p for p in touched if p["split"] == "train"]
    assert training
    (snapshot,) = found.snapshots
    assert (snapshot.pairs, snapshot.training) == (len(touched), len(training))
    assert found.events + found.answers == len(ids)

    pairs = {p["pair_id"] for p in training}
    shown = {g for p in training for g in (p["chosen_id"], p["rejected_id"])}
    by_kind = {model.kind: model for model in found.models}
    for kind, names in (("dpo", pairs), ("aspects", pairs), ("sft", shown)):
        model = by_kind[kind]
        file = stores.checkpoints.path(model.checkpoint) / "samples_seen.json"
        steps = json.loads(file.read_text())
        assert model.samples == sum(name in names for step in steps for name in step)
        assert model.of == sum(map(len, steps))
        first = [n for n, step in enumerate(steps, 1) if names & set(step)]
        assert model.first_step == (first[0] if first else None)


def test_what_is_built_on_a_model_that_learned_inherits_it(stores):
    person, _ = busiest(stores, "events", "event_id", "user_id")
    models = {model.kind: model for model in trace_person(stores, person).models}
    assert models["sft"].samples > 0
    assert models["sft"].checkpoint in models["dpo"].inherits
    assert not models["backbone"].learned
    assert f"finetune/dpo_policy/{TURN}" in models["dpo"].pointers


def test_a_held_out_user_is_in_no_model(stores):
    """Users set aside to measure transfer have events, and nothing learned from them."""
    rows = stores.append.read("events", columns=["event_id", "user_id"]).to_pylist()
    used = {e for p in pairs_of(stores) for e in p["evidence"]}
    quiet = sorted({r["user_id"] for r in rows} - {r["user_id"] for r in rows
                                                   if r["event_id"] in used})  # fmt: skip
    found = trace_person(stores, quiet[0])
    assert found.events > 0
    assert not any(model.learned for model in found.models)


def test_namesakes_of_two_tenants_are_told_and_told_apart(
    stores, nano_wheel, monkeypatch, tmp_path, capsys
):
    """Every other event of one user becomes that of another tenant's user of the same id."""
    person, _ = busiest(stores, "events", "event_id", "user_id")
    real = type(stores.append).read

    def read(tables, name, columns=None, where=None):
        if name != "events":
            return real(tables, name, columns=columns, where=where)
        rows = real(tables, name)
        whose = [("acme", "globex")[n % 2] for n in range(rows.num_rows)]
        at = rows.schema.get_field_index("tenant_id")
        rows = rows.set_column(at, "tenant_id", pa.array(whose))
        return (rows if where is None else rows.filter(where)).select(columns)

    monkeypatch.setattr(type(stores.append), "read", read)
    both = trace_person(stores, person)
    apart = [trace_person(stores, person, tenant=name) for name in ("acme", "globex")]
    assert both.tenants == ("acme", "globex")
    assert [each.tenants for each in apart] == [("acme",), ("globex",)]
    assert sum(each.events for each in apart) == both.events
    assert all(each.events for each in apart)
    with pytest.raises(FlywheelError, match="knows no event"):
        trace_person(stores, person, tenant="initech")
    page = tmp_path / "page.html"
    words = ["audit", person, "--root", str(nano_wheel), "--html", str(page)]
    assert flywheel(words) == 0
    assert "users of 2 tenants (acme, globex) have this id" in capsys.readouterr().out
    assert "Users of 2 tenants have this id" in page.read_text("utf-8")
    assert flywheel([*words, "--tenant", "acme"]) == 0
    assert "look first" not in capsys.readouterr().out
    assert "A user of tenant acme" in page.read_text("utf-8")
    assert flywheel([*words[:-2], "--generation", "--tenant", "acme"]) == MISTAKE


def test_an_unknown_person_is_one_sentence(stores, nano_wheel, capsys):
    with pytest.raises(FlywheelError, match="knows no event and no answer of nobody"):
        trace_person(stores, "nobody")
    assert flywheel(["audit", "nobody", "--root", str(nano_wheel)]) == MISTAKE
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_answers_in_columns_and_in_json(stores, nano_wheel, capsys):
    person, _ = busiest(stores, "events", "event_id", "user_id")
    assert flywheel(["audit", person, "--root", str(nano_wheel)]) == 0
    told = capsys.readouterr().out
    assert "first step" in told
    assert "finetune/dpo_policy" in told
    assert flywheel(["audit", person, "--root", str(nano_wheel), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["learned"]


def test_the_page_says_the_same_and_loads_nothing(stores, nano_wheel, tmp_path, capsys):
    person, _ = busiest(stores, "annotations", "annotation_id", "annotator_id")
    file = tmp_path / "new" / "page.html"
    words = ["audit", person, "--root", str(nano_wheel), "--html", str(file), "--json"]
    assert flywheel(words) == 0
    told, page = json.loads(capsys.readouterr().out), file.read_text("utf-8")
    assert f"{len(told['learned'])} of {len(told['models'])} models learned from" in page
    for model in told["models"]:
        assert f'title="{model["checkpoint"]}"' in page
        assert all(pointer in page for pointer in model["pointers"])
    assert not re.search(r'(?:src|href)="', page)


def test_a_name_with_markup_is_only_text(tmp_path):
    """Ids come from outside; one that holds a tag must not become one."""
    nobody = PersonTrace(events=1, answers=0, tenants=(), snapshots=(), models=())
    write_page(tmp_path / "p.html", nobody, person="<script>x</script>", zone="z", at=AT)
    page = (tmp_path / "p.html").read_text("utf-8")
    assert "<script>" not in page
    assert "No model of 0 learned from" in page
