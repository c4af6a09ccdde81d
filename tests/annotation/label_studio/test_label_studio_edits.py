"""Edits on the real server: what it stores is read back, followed, and stored once."""

import pytest
from answering import answer, assignments, choice, rows_in
from killing import killed_at_every_step
from real_server import ANNOTATORS, silent

from pipelines.labelling.edits import edited_generations
from pipelines.labelling.ledger import open_ledger
from pipelines.labelling.planning import Original, Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.service import bring_up
from pipelines.labelling.sync import quarantined_of, sync_answers
from pipelines.stores import open_stores

pytestmark = pytest.mark.slow  # a real server, installed once: minutes

BEFORE = "Line one \U0001f4a1\n  line are two.\n"
AFTER = "Line one \U0001f4a1\n  line two.\n"


@pytest.fixture
def pushed(studio_root, lead):
    """Push edits as a turn of its own; return its assignments."""
    bring_up(studio_root, ANNOTATORS[:1], ["edit_text"], port=1, url=None, bars=silent)
    ledger = open_ledger(studio_root)

    def push(turn, count):
        original = Original(tenant_id="studio", project_id="film", prompt_id="pe")
        asked = [
            Question(task_id=f"{turn}_{n}", prompt="Which?", original=original,
                     first=Shown(generation_id=f"ge_{turn}_{n}", modality="text", text=BEFORE))
            for n in range(count)
        ]  # fmt: skip
        plan_assignments(ledger, turn, asked, overlap=1)
        push_assignments(studio_root, lead)
        return ledger, assignments(ledger, turn)

    return push


def field(text):
    return {"id": "f", "from_name": "edited", "to_name": "only", "type": "textarea",
            "origin": "manual", "value": {"text": [text]}}  # fmt: skip


def written(studio_root, ledger, turn):
    """What the edited generations of *turn* hold, by what was edited."""
    blobs = open_stores(studio_root).blobs
    rows = edited_generations(ledger, turn).to_pylist()
    return {row["parent_generation_id"]: blobs.get(row["blob"]).decode() for row in rows}


def test_an_edit_is_read_back_followed_and_taken_back(studio_root, lead, desks, pushed):
    ledger, rows = pushed("edits", 5)
    desk = desks[rows[0].annotator_id]
    why = choice("why", "clumsy_wording", "only")
    made = [answer(desk, row.server_task, [field(AFTER), why]) for row in rows[:3]]
    answer(desk, rows[3].server_task, [field(BEFORE), why])
    answer(desk, rows[4].server_task, [field(BEFORE), choice("overall", "declined", "only")])
    done = sync_answers(studio_root, lead)
    assert (done.accepted, done.quarantined) == (4, 1)
    assert written(studio_root, ledger, "edits") == {row.left_id: AFTER for row in rows[:3]}
    assert any("unchanged" in reason for reason in quarantined_of(ledger))
    kinds = [row["kind"] for row in rows_in(ledger, "edits")]
    assert sorted(kinds) == ["comment"] * 3 + ["declined"] + ["edit"] * 3
    assert sync_answers(studio_root, lead).accepted == 0

    again = {"result": [field("Another."), why]}
    desk.request("PATCH", f"api/annotations/{made[0]}/", json=again)
    lead.request("DELETE", f"api/annotations/{made[1]}/")
    lead.request("DELETE", f"api/tasks/{rows[2].server_task}/")
    done = sync_answers(studio_root, lead)
    assert (done.accepted, done.deleted) == (1, 2)
    assert written(studio_root, ledger, "edits") == {rows[0].left_id: "Another."}


def test_a_sync_of_edits_that_is_killed_at_any_step_stores_each_once(
    studio_root, lead, desks, pushed
):
    ledger, rows = pushed("killed-edits", 8)
    for n, row in enumerate(rows):
        answer(desks[row.annotator_id], row.server_task, [field(f"{AFTER}{n}")])
    assert killed_at_every_step(studio_root, "sync", last=9) > 12
    sync_answers(studio_root, lead)
    assert written(studio_root, ledger, "killed-edits") == {
        row.left_id: f"{AFTER}{n}" for n, row in enumerate(rows)
    }
