"""Push and sync against the real server: exactly once, whatever is done to it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from answering import (
    answer,
    answers_in,
    assignments,
    box,
    choice,
    labels,
    questions,
    rows_in,
    verdict,
)
from killing import killed_at_every_step

from annotation.client import LabelStudioClient
from data_contracts.errors import FlywheelError
from pipelines.labelling.ledger import ANSWERS, ASSIGNMENTS, PROJECTS, open_ledger, projects_of
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.push import push_assignments, recognise
from pipelines.labelling.service import client_of
from pipelines.labelling.sync import quarantined_of, sync_answers
from pipelines.stores.catalogue_tables import transaction

pytestmark = pytest.mark.slow  # a real server, installed once: minutes

_TURNS = iter(range(10_000))


@pytest.fixture
def ledger(studio_root):
    return open_ledger(studio_root)


@pytest.fixture
def pushed(studio_root, ledger, lead):
    """Push questions as a turn of its own; return its assignments."""

    def push(modality="image", count=1, *, overlap=1, critique=False):
        turn = f"turn-{next(_TURNS)}"
        start = 1000 * int(turn.split("-")[1])
        plan_assignments(ledger, turn, questions(modality, count, start=start, critique=critique),
                         overlap=overlap)  # fmt: skip
        push_assignments(studio_root, lead)
        return assignments(ledger, turn)

    return push


def fresh_full_sync(studio_root, client, tmp_path):
    """The table that somebody gets who syncs everything with the same record of assignments."""
    copy = tmp_path / "fresh"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(studio_root / "labelling", copy / "labelling")
    ledger = open_ledger(copy)
    with transaction(ledger) as connection:
        connection.execute(sa.delete(ANSWERS))
        connection.execute(sa.update(PROJECTS).values(read_to=None))
    sync_answers(copy, client)
    return rows_in(ledger)


def by_name(rows):
    return {row["annotation_id"].split("-", 2)[2]: row for row in rows}


def test_three_annotators_get_fifty_of_each_once_and_never_twice(studio_root, ledger, lead):
    """Fifty image, video and text pairs, each to all three; sides are shuffled, and hidden."""
    every = [q for modality in ("image", "video", "text") for q in questions(modality, 50)]
    pictures = [p.project_id for p in projects_of(ledger) if p.interface == "pair_image"]

    def counted():
        return [lead.request("GET", f"api/projects/{p}/")["task_number"] for p in pictures]

    before = counted()
    assert plan_assignments(ledger, "fifty", every, overlap=3) == 450
    assert push_assignments(studio_root, lead) == 450
    assert plan_assignments(ledger, "fifty", every, overlap=3) == 0
    assert push_assignments(studio_root, lead) == 0
    given = assignments(ledger, "fifty")
    for row in given[::45]:
        task = lead.request("GET", f"api/tasks/{row.server_task}/")
        assert task["data"] == row.data
        assert task["project"] == row.project_id
    swapped = sum(row.left_id.endswith("y") for row in given)
    assert 450 * 0.4 < swapped < 450 * 0.6
    hidden = [row for row in given if "text" not in row.left_id]
    assert not any(row.left_id in json.dumps(row.data) for row in hidden)
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [50, 50, 50]


def test_every_control_of_a_picture_pair_is_read_back_exactly(
    studio_root, ledger, lead, desks, pushed
):
    [row] = pushed("image")
    result = [
        *verdict("right_much"),
        choice("aspect_prompt_alignment", "left"),
        choice("aspect_physical_plausibility", "same"),
        choice("aspect_aesthetics", "right"),
        *box("left", "floating", x=25, y=50, width=25, height=12.5),
        labels("unmet", ["unmet_right"], "prompt", "u1", start=7, end=8),
        {"id": "t", "from_name": "comment", "to_name": "left", "type": "textarea",
         "value": {"text": ["two\nlines 💡"]}, "origin": "manual"},
    ]  # fmt: skip
    sync_answers(studio_root, lead)  # what other tests left unread
    answer(desks[row.annotator_id], row.server_task, result)
    assert sync_answers(studio_root, lead).accepted == 1
    rows = by_name(rows_in(ledger, row.turn))
    sign = 1 if row.left_id < row.right_id else -1
    first, other = sorted((row.left_id, row.right_id))
    overall = rows["overall"]
    assert (overall["generation_id"], overall["other_generation_id"]) == (first, other)
    assert (overall["value"], overall["aspect"]) == (-2.0 * sign, "overall")
    assert (overall["annotator_id"], overall["shown_left"]) == (row.annotator_id, row.left_id)
    assert overall["lead_time_s"] == 4.5
    assert overall["is_gold"] is False
    assert rows["aspect_prompt_alignment"]["value"] == sign
    assert rows["aspect_physical_plausibility"]["value"] == 0
    assert rows["aspect_aesthetics"]["value"] == -sign
    region = rows["left_reason-r1-floating"]
    assert json.loads(region["geometry"]) == {"box": [128, 256, 128, 64], "size": [512, 512]}
    assert (region["aspect"], region["reason_code"], region["generation_id"]) == (
        "physical_plausibility", "floating", row.left_id,
    )  # fmt: skip
    unmet = rows["unmet_right-u1"]
    assert json.loads(unmet["geometry"]) == {"span": [7, 8]}
    assert unmet["generation_id"] == row.right_id
    assert rows["comment"]["text"] == "two\nlines 💡"


@pytest.mark.parametrize(
    ("said", "value", "tie"),
    [
        ("both_good", 0.0, "both_good"),
        ("both_bad", 0.0, "both_bad"),
        ("cannot_judge", None, None),
    ],
)
def test_ties_and_no_judgement_keep_their_kind(
    studio_root, ledger, lead, desks, pushed, said, value, tie
):
    [row] = pushed("text")
    answer(desks[row.annotator_id], row.server_task, verdict(said))
    sync_answers(studio_root, lead)
    [overall] = rows_in(ledger, row.turn)
    assert (overall["kind"], overall["value"], overall["tie_kind"]) == ("comparison", value, tie)


def test_who_declines_is_held_to_nothing_else(studio_root, ledger, lead, desks, pushed):
    [row] = pushed("image")
    result = [*verdict("declined"), choice("aspect_aesthetics", "left")]
    answer(desks[row.annotator_id], row.server_task, result)
    sync_answers(studio_root, lead)
    assert [r["kind"] for r in rows_in(ledger, row.turn)] == ["declined"]


def test_segments_and_passages_are_in_the_generations_own_coordinates(
    studio_root, ledger, lead, desks, pushed
):
    [film] = pushed("video")
    segment = {"id": "s", "from_name": "left_segment", "to_name": "left", "type": "timelinelabels",
               "origin": "manual",
               "value": {"ranges": [{"start": 3, "end": 11}],
                         "timelinelabels": ["flicker"]}}  # fmt: skip
    answer(desks[film.annotator_id], film.server_task, [*verdict(), segment])
    [text] = pushed("text")
    passage = labels("left_span", ["clumsy_wording"], "left", "p", start=7, end=9)
    answer(desks[text.annotator_id], text.server_task, [*verdict(), passage])
    sync_answers(studio_root, lead)
    found = by_name(rows_in(ledger, film.turn))["left_segment-s-flicker"]
    assert json.loads(found["geometry"]) == {"frames": [2, 11]}
    found = by_name(rows_in(ledger, text.turn))["left_span-p-clumsy_wording"]
    assert json.loads(found["geometry"]) == {"span": [7, 9]}


def test_stars_are_ratings_on_their_scale(studio_root, ledger, lead, desks, pushed):
    [row] = pushed("image", critique=True)
    stars = {"id": "x", "from_name": "aspect_safety", "to_name": "only", "type": "rating",
             "origin": "manual", "value": {"rating": 4}}  # fmt: skip
    answer(desks[row.annotator_id], row.server_task, [stars])
    sync_answers(studio_root, lead)
    [rating] = rows_in(ledger, row.turn)
    assert (rating["kind"], rating["aspect"], rating["value"], rating["scale"]) == (
        "rating", "safety", 4.0, "1..5",
    )  # fmt: skip


GARBAGE = {
    "nonsense": [{"from_name": "overall", "value": "left"}],
    "a choice that the interface does not offer": verdict("perfect"),
    "a control that the interface does not have": [*verdict(), choice("aspect_safety", "left")],
    "reason codes that the interface does not offer": [
        *verdict(), *box("left", "ugly", x=1, y=1, width=5, height=5)],
    "a box without area": [*verdict(), *box("left", "noise", x=1, y=1, width=0, height=5)],
    "a passage outside its text": [
        *verdict(), labels("unmet", ["unmet_left"], "prompt", "u", start=5, end=99_999)],
    "two results for overall": verdict() * 2,
    "no verdict": [choice("aspect_aesthetics", "left")],
    "a region whose edges are not numbers": [
        *verdict(), *box("left", "noise", x="1", y=1, width=5, height=5)],
}  # fmt: skip


def test_garbage_that_the_server_takes_is_quarantined_with_its_reason(
    studio_root, ledger, lead, desks, pushed
):
    rows = pushed("image", len(GARBAGE))
    before = quarantined_of(ledger)
    for row, result in zip(rows, GARBAGE.values(), strict=True):
        answer(desks[row.annotator_id], row.server_task, result)
    assert sync_answers(studio_root, lead).quarantined == len(GARBAGE)
    assert rows_in(ledger, rows[0].turn) == []
    new = [r for r, count in quarantined_of(ledger).items() if count > before.get(r, 0)]
    missing = [name for name in list(GARBAGE)[1:] if not any(name in reason for reason in new)]
    assert missing == []


def test_a_forged_annotator_is_quarantined(studio_root, ledger, lead, desks, pushed):
    """Another account answers; and an import claims to be the right one."""
    [row, other, third] = pushed("image", 3)
    stranger = next(c for name, c in desks.items() if name != row.annotator_id)
    answer(stranger, row.server_task, verdict())
    answer(lead, other.server_task, verdict(), completed_by=other.user_id)
    answers = [{"result": verdict(), "completed_by": third.user_id}]
    task = {"data": third.data, "annotations": answers}
    lead.request("DELETE", f"api/tasks/{third.server_task}/")
    lead.request("POST", f"api/projects/{third.project_id}/import", json=[task])
    done = sync_answers(studio_root, lead)
    assert done.accepted == 0
    assert done.quarantined >= 2  # the imported one counts too where the server reuses its number
    assert rows_in(ledger, row.turn) == []


def test_changes_deletions_and_second_answers_converge(
    studio_root, ledger, lead, desks, pushed, tmp_path
):
    rows = pushed("text", 5)
    made = [answer(desks[r.annotator_id], r.server_task, verdict("left")) for r in rows]
    assert sync_answers(studio_root, lead).accepted == 5
    assert sync_answers(studio_root, lead).accepted == 0
    changed, gone, untasked, doubled, _ = range(5)
    again = {"result": verdict("right")}
    desks[rows[changed].annotator_id].request(
        "PATCH", f"api/annotations/{made[changed]}/", json=again
    )
    lead.request("DELETE", f"api/annotations/{made[gone]}/")
    lead.request("DELETE", f"api/tasks/{rows[untasked].server_task}/")
    answer(desks[rows[doubled].annotator_id], rows[doubled].server_task, verdict("right"))
    done = sync_answers(studio_root, lead)
    assert (done.accepted, done.deleted, done.quarantined) == (1, 2, 1)
    table = {r["task_id"]: r["value"] for r in rows_in(ledger, rows[0].turn)}
    assert sorted(table) == sorted(rows[n].task_id for n in (changed, doubled, 4))
    states = answers_in(ledger)
    assert states[made[gone]].state == states[made[untasked]].state == "deleted"
    assert states[made[gone]].rows == []
    assert fresh_full_sync(studio_root, lead, tmp_path) == rows_in(ledger)


def test_when_the_first_answer_goes_the_second_counts(studio_root, ledger, lead, desks, pushed):
    [row] = pushed("text")
    first = answer(desks[row.annotator_id], row.server_task, verdict("left"))
    answer(desks[row.annotator_id], row.server_task, verdict("both_bad"))
    sync_answers(studio_root, lead)
    lead.request("DELETE", f"api/annotations/{first}/")
    sync_answers(studio_root, lead)
    assert [r["tie_kind"] for r in rows_in(ledger, row.turn)] == ["both_bad"]


def test_a_task_that_was_altered_on_the_server_is_not_believed(
    studio_root, ledger, lead, desks, pushed
):
    [row] = pushed("text")
    lead.request("PATCH", f"api/tasks/{row.server_task}/",
                 json={"data": {**row.data, "left": "another answer"}})  # fmt: skip
    answer(desks[row.annotator_id], row.server_task, verdict())
    sync_answers(studio_root, lead)
    assert rows_in(ledger, row.turn) == []
    assert any("changed on the server" in reason for reason in quarantined_of(ledger))


def test_a_strangers_task_is_left_alone(studio_root, ledger, lead, desks, pushed):
    [row] = pushed("text")
    strange = {"project": row.project_id, "data": dict(row.data, assignment="x")}
    made = lead.request("POST", "api/tasks/", json=strange)
    answer(lead, made["id"], verdict())
    before = len(rows_in(ledger))
    sync_answers(studio_root, lead)
    assert len(rows_in(ledger)) == before
    lead.request("DELETE", f"api/tasks/{made['id']}/")
    sync_answers(studio_root, lead)


def test_a_push_that_is_killed_at_any_step_sends_everything_once(studio_root, ledger, lead):
    """Before and after each request of a push in three chunks; the next one goes on."""
    turn = "killed-push"
    plan_assignments(ledger, turn, questions("text", 8, start=900_000), overlap=1)
    counts = {p.project_id: lead.request("GET", f"api/projects/{p.project_id}/")["task_number"]
              for p in projects_of(ledger) if p.interface == "pair_text"}  # fmt: skip
    assert killed_at_every_step(studio_root, "push", last=6) > 4
    push_assignments(studio_root, lead)
    given = assignments(ledger, turn)
    assert len({row.server_task for row in given}) == 8
    after = {number: lead.request("GET", f"api/projects/{number}/")["task_number"]
             for number in counts}  # fmt: skip
    assert sum(after.values()) - sum(counts.values()) == 8


def test_a_sync_that_is_killed_at_any_step_leaves_what_a_fresh_one_would(
    studio_root, ledger, lead, desks, pushed, tmp_path
):
    rows = pushed("text", 8)
    for row in rows:
        answer(desks[row.annotator_id], row.server_task, verdict("left"))
    assert killed_at_every_step(studio_root, "sync", last=9) > 12
    sync_answers(studio_root, lead)
    assert len(rows_in(ledger, rows[0].turn)) == 8
    assert fresh_full_sync(studio_root, lead, tmp_path) == rows_in(ledger)


def test_two_syncs_at_once_are_one(studio_root, ledger, lead, desks, pushed, tmp_path):
    rows = pushed("text", 6)
    for row in rows:
        answer(desks[row.annotator_id], row.server_task, verdict("left"))
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: sync_answers(studio_root, client_of(studio_root)), range(2)))
    assert sum(each.accepted for each in done) == 6
    assert len(rows_in(ledger, rows[0].turn)) == 6
    assert fresh_full_sync(studio_root, lead, tmp_path) == rows_in(ledger)


def test_a_server_that_goes_away_in_the_middle_is_one_sentence_and_no_harm(
    studio_root, ledger, lead, monkeypatch
):
    turn = "away"
    plan_assignments(ledger, turn, questions("text", 4, start=800_000), overlap=1)
    real, calls = LabelStudioClient.request, iter([True, True, False])
    dead = LabelStudioClient("http://127.0.0.1:9", "x" * 40)

    def request(self, method, path, **more):
        return real(self if next(calls, False) else dead, method, path, **more)

    with monkeypatch.context() as broken:
        broken.setattr(LabelStudioClient, "request", request)
        with pytest.raises(FlywheelError, match="does not answer") as refused:
            push_assignments(studio_root, lead)
    assert "\n" not in str(refused.value)
    push_assignments(studio_root, lead)
    assert all(row.server_task is not None for row in assignments(ledger, turn))


def test_a_lost_record_is_found_again_and_a_double_task_removed(studio_root, ledger, lead, pushed):
    """As if a push had died after the server took the tasks, and another had sent them again."""
    rows = pushed("text", 3)
    project = rows[0].project_id
    mine = [row for row in rows if row.project_id == project]
    lead.request("POST", f"api/projects/{project}/import", json=[{"data": mine[0].data}])
    with transaction(ledger) as connection:
        connection.execute(
            sa.update(ASSIGNMENTS)
            .where(ASSIGNMENTS.c.assignment_id == mine[0].assignment_id)
            .values(server_task=None)
        )
    assert push_assignments(studio_root, lead) == 0
    again = {row.assignment_id: row.server_task for row in assignments(ledger, rows[0].turn)}
    assert again == {row.assignment_id: row.server_task for row in rows}
    recognise(ledger, lead, project)
