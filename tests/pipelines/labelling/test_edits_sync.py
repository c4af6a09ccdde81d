"""Edited texts are stored once, and their table is what a fresh full sync would make of the server.

The server is small and in this process; the real one is asked in tests/annotation/label_studio.
"""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from small_server import SmallServer, edited

from data_contracts.contract import load_contract
from data_contracts.errors import FlywheelError
from data_contracts.schemas import GENERATION
from pipelines.labelling import sync as sync_module
from pipelines.labelling.edits import RELEASE, edited_generations
from pipelines.labelling.gold import marked_gold
from pipelines.labelling.ledger import (
    ANSWERS,
    ASSIGNMENTS,
    EDITS,
    PROJECTS,
    READS,
    open_ledger,
    record_people,
)
from pipelines.labelling.planning import Original, Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.sync import annotations_of, quarantined_of, sync_answers
from pipelines.stores import open_stores
from pipelines.stores.catalogue_tables import transaction
from pipelines.stores.digests import bytes_digest
from pipelines.stores.enforcer import find_violations

BEFORE = "The disc are red."
TEXTS = ("The disc is red.", "A red disc.", BEFORE, "")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Zone:
    """A zone whose two annotators were asked to edit three texts each."""

    def __init__(self, root, *, count=3):
        self.root, self.server = root, SmallServer()
        self.ledger = open_ledger(root)
        names = ("ann-1", "ann-2")
        record_people(
            self.ledger,
            [{"annotator_id": name, "user_id": n, "address": name} for n, name in enumerate(names)],
            [{"project_id": n, "annotator_id": name, "interface": "edit_text"}
             for n, name in enumerate(names)],
        )  # fmt: skip
        questions = [
            Question(
                task_id=f"t{n}", prompt="Which colour?",
                first=Shown(generation_id=f"g{n}", modality="text", text=BEFORE),
                original=Original(tenant_id="studio", project_id="p", prompt_id=f"pr{n}"),
            )
            for n in range(count)
        ]  # fmt: skip
        plan_assignments(self.ledger, "turn-001", questions, overlap=2)
        push_assignments(root, self.server)
        with transaction(self.ledger, writes=False) as connection:
            rows = connection.execute(
                sa.select(ASSIGNMENTS).order_by(ASSIGNMENTS.c.annotator_id, ASSIGNMENTS.c.task_id)
            ).all()
        self.given = [(row.server_task, row.project_id, row) for row in rows]

    def answer(self, at, text, *codes):
        task, user, _ = self.given[at]
        return self.server.answer(task, user, edited(text, *codes))

    def sync(self):
        return sync_answers(self.root, self.server)

    def tables(self):
        return edited_generations(self.ledger), annotations_of(self.ledger)

    def fresh(self, folder):
        """The tables of somebody who syncs everything with the same record of assignments."""
        shutil.copytree(self.root / "labelling", folder / "labelling")
        ledger = open_ledger(folder)
        with transaction(ledger) as connection:
            for table in (ANSWERS, EDITS, READS):
                connection.execute(sa.delete(table))
            connection.execute(sa.update(PROJECTS).values(read_to=None))
        sync_answers(folder, self.server)
        return edited_generations(ledger), annotations_of(ledger)

    def written(self):
        """The texts of the edited generations, as the zone's blobs hold them."""
        blobs = open_stores(self.root).blobs
        return sorted(blobs.get(d).decode() for d in self.tables()[0]["blob"].to_pylist())


@pytest.fixture
def zone(tmp_path):
    return Zone(tmp_path / "zone")


def test_an_edited_text_is_a_generation_of_the_same_prompt_tenant_and_project(zone):
    zone.answer(0, TEXTS[0], "clumsy_wording")
    assert zone.sync().accepted == 1
    found, said = zone.tables()
    assert found.schema == GENERATION
    assert find_violations(found, load_contract("generation"), now=NOW).num_rows == 0
    [row] = found.to_pylist()
    original = zone.given[0][2].left_id
    assert (row["parent_generation_id"], row["prompt_id"]) == (original, f"pr{original[1:]}")
    assert (row["tenant_id"], row["project_id"], row["modality"]) == ("studio", "p", "text")
    assert row["model_release"] == RELEASE
    assert row["session_id"] is row["turn"] is row["seed"] is row["skill_id"] is None
    assert row["blob"] == bytes_digest(TEXTS[0].encode())
    assert zone.written() == [TEXTS[0]]
    edit = next(each for each in said.to_pylist() if each["kind"] == "edit")
    assert (edit["generation_id"], edit["other_generation_id"]) == (original, row["generation_id"])
    assert edit["text"] is None, "what was written lies in the blobs alone"


def test_a_second_sync_makes_nothing_twice(zone, tmp_path):
    for at in range(6):
        zone.answer(at, TEXTS[0])
    assert zone.sync().accepted == 6
    before = zone.tables()
    done = zone.sync()
    assert (done.accepted, done.quarantined, done.deleted) == (0, 0, 0)
    assert zone.tables() == before == zone.fresh(tmp_path / "fresh")


def test_the_same_words_of_two_people_are_two_generations_of_one_blob(zone):
    zone.answer(0, TEXTS[0])
    zone.answer(3, TEXTS[0])
    zone.sync()
    found = zone.tables()[0]
    assert found.num_rows == 2
    assert len(set(found["parent_generation_id"].to_pylist())) == 1
    assert len(set(found["blob"].to_pylist())) == 1


def test_what_is_refused_leaves_no_generation_and_no_blob(zone):
    zone.answer(0, BEFORE)
    zone.answer(1, "  ")
    zone.answer(2, TEXTS[0], "ugly")
    task, user, _ = zone.given[3]
    zone.server.answer(task, 1 - user, edited(TEXTS[0]))
    assert zone.sync().quarantined == 4
    assert zone.tables()[0].num_rows == 0
    assert not open_stores(zone.root).blobs.has(bytes_digest(TEXTS[0].encode()))
    reasons = quarantined_of(zone.ledger)
    assert sum("unchanged" in r or "without text" in r for r in reasons) == 2
    assert not [reason for reason in reasons if "disc" in reason]


def test_an_edit_that_is_changed_or_deleted_is_followed(zone, tmp_path):
    numbers = [zone.answer(at, TEXTS[0]) for at in range(5)]
    zone.sync()
    changed, gone, untasked, undone, kept = (zone.given[at][0] for at in range(5))
    zone.server.change(changed, numbers[0], edited(TEXTS[1]))
    zone.server.delete(gone, numbers[1])
    del zone.server.tasks[untasked]
    zone.server.change(undone, numbers[3], edited(BEFORE))
    done = zone.sync()
    assert (done.accepted, done.deleted, done.quarantined) == (1, 2, 1)
    assert zone.written() == sorted([TEXTS[0], TEXTS[1]])
    assert zone.server.tasks[kept]["annotations"]
    assert zone.tables() == zone.fresh(tmp_path / "fresh")


class Killed(BaseException):
    """Nothing catches it: as if the process had ended here."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["store_texts", "record_edits", "record_reads", "move_cursor"])
def test_a_sync_that_dies_leaves_what_a_fresh_one_would(zone, tmp_path, monkeypatch, step, when):
    number = zone.answer(0, TEXTS[1])
    zone.sync()
    zone.server.change(zone.given[0][0], number, edited(TEXTS[0]))
    zone.answer(1, TEXTS[0])
    zone.answer(2, BEFORE)
    real = getattr(sync_module, step)

    def die(*given):
        if when == "after":
            real(*given)
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(sync_module, step, die)
        with pytest.raises(Killed):
            zone.sync()
    zone.sync()
    assert zone.written() == [TEXTS[0]] * 2
    assert zone.tables() == zone.fresh(tmp_path / "fresh")


ACTS = st.tuples(
    st.sampled_from(["answer", "change", "delete", "sync"]),
    st.integers(0, 3),
    st.sampled_from(TEXTS),
)


@settings(max_examples=15)
@given(st.lists(ACTS, max_size=14))
def test_whatever_people_do_the_table_is_that_of_a_fresh_full_sync(acts):
    with tempfile.TemporaryDirectory() as folder:
        zone, numbers = Zone(Path(folder) / "zone", count=2), {}
        for act, at, text in acts:
            if act == "sync":
                zone.sync()
            elif act == "answer":
                numbers.setdefault(at, []).append(zone.answer(at, text))
            elif numbers.get(at):
                task, number = zone.given[at][0], numbers[at][-1]
                if act == "change":
                    zone.server.change(task, number, edited(text))
                else:
                    zone.server.delete(task, numbers[at].pop())
        zone.sync()
        assert zone.tables() == zone.fresh(Path(folder) / "fresh")
        said = zone.tables()[1].to_pylist()
        named = {row["other_generation_id"] for row in said if row["kind"] == "edit"}
        assert named == set(zone.tables()[0]["generation_id"].to_pylist())


def test_an_edit_is_no_gold(zone):
    assignment = zone.given[0][2].assignment_id
    with pytest.raises(FlywheelError, match="an edit has no known answer"):
        marked_gold(zone.ledger, [f"{assignment}=A"])


def test_a_text_of_another_tenant_is_another_generation(zone, tmp_path):
    zone.answer(0, TEXTS[0])
    zone.sync()
    with transaction(zone.ledger) as connection:
        connection.exec_driver_sql("UPDATE originals SET tenant_id = 'other'")
    there = zone.fresh(tmp_path / "fresh")[0].to_pylist()[0]
    here = zone.tables()[0].to_pylist()[0]
    assert there["generation_id"] != here["generation_id"]
    assert there["blob"] == here["blob"]
