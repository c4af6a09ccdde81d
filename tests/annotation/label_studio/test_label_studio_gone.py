"""What is deleted on the real server: tasks while they are listed, and a whole project."""

import pytest
from answering import answer, assignments, questions, rows_in, signed_in, verdict
from real_server import free_port, silent

from annotation.server import read_or_make_secrets
from data_contracts.errors import FlywheelError
from pipelines.labelling import push as push_module
from pipelines.labelling.examination import examine_desk
from pipelines.labelling.ledger import open_ledger, projects_of
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.push import push_assignments, recognise
from pipelines.labelling.service import bring_up, client_of, server_folder, take_down
from pipelines.labelling.sync import sync_answers

pytestmark = pytest.mark.slow  # a real server, installed once: minutes


@pytest.fixture
def zone(tmp_path):
    """A zone of one annotator with five text pairs, of which they answered one."""

    def seat(*who):
        return bring_up(tmp_path, who, ["pair_text"] if who else [], port=free_port(), url=None,
                        bars=silent, outlives=False)  # fmt: skip

    try:
        [link] = seat("ann-1").links
        ledger, lead = open_ledger(tmp_path), client_of(tmp_path)
        plan_assignments(ledger, "turn-0", questions("text", 5), overlap=1)
        assert push_assignments(tmp_path, lead) == 5
        password = read_or_make_secrets(server_folder(tmp_path)).passwords[link.address]
        desk = signed_in(lead.url, link.address, password)
        answer(desk, assignments(ledger, "turn-0")[0].server_task, verdict())
        assert sync_answers(tmp_path, lead).accepted == 1
        yield tmp_path, ledger, lead, seat
    finally:
        take_down(tmp_path)


def test_what_is_deleted_hides_nothing_and_a_gone_project_is_made_again(zone, monkeypatch):
    root, ledger, lead, seat = zone
    [project] = projects_of(ledger)
    tasks = sorted(row.server_task for row in assignments(ledger, "turn-0"))
    answered = assignments(ledger, "turn-0")[0].server_task
    first = next(task for task in tasks if task != answered)
    real = lead.request

    def request(method, path, **more):
        found = real(method, path, **more)
        if path == "api/tasks/" and found["tasks"] and found["tasks"][-1]["id"] == tasks[1]:
            real("DELETE", f"api/tasks/{first}/")
        return found

    with monkeypatch.context() as paged:
        paged.setattr(push_module, "PAGE", 2)
        paged.setattr(lead, "request", request)
        found = recognise(ledger, lead, project.project_id)
    assert set(tasks) - {first} <= found.tasks
    assert sync_answers(root, lead).deleted == 0

    before = rows_in(ledger)
    lead.request("DELETE", f"api/projects/{project.project_id}/")
    with pytest.raises(FlywheelError, match="gone on the server: pair_text of ann-1"):
        sync_answers(root, lead)
    told = next(each for each in examine_desk(root) if each.subject == "projects")
    assert told.says.endswith("with --annotator ann-1 --interface pair_text")
    seat()
    assert push_assignments(root, lead) == 3, "neither what was answered nor what was deleted"
    assert sync_answers(root, lead).deleted == 0
    assert rows_in(ledger) == before
    [again] = projects_of(ledger)
    assert again.project_id != project.project_id
    assert {each.state for each in examine_desk(root)} <= {"ok", "note"}
