"""Blind questions on the real server: asked once, unnamed, and the answers decide a release.

Buys what no stand-in shows: that the gate's questions come back through accounts, sides and sync as
answers that `promote` counts.
"""

import json

import dagster as dg
import pytest
from answering import answer, assignments, verdict
from blind_pair import AT, blind_pair

from data_contracts.labels import GENERAL
from pipelines.cli import DONE, REFUSED
from pipelines.cli import run as flywheel
from pipelines.comparing.asking import round_name
from pipelines.comparing.blind_sensor import blind_sensor
from pipelines.labelling.ledger import open_ledger
from pipelines.settings import GateConfig, QueueConfig, WheelSettings, write_resolved
from pipelines.stores import open_stores

pytestmark = pytest.mark.slow  # a real server, installed once: minutes

PROMPTS = [f"blind_prompt_{n:02d}" for n in range(11)]


@pytest.fixture
def pair(studio_root):
    """Eleven questions about a candidate and a released champion, on evidence that is real."""
    told = WheelSettings(
        evidence="real", desk="label_studio",
        gate=GateConfig(min_human_prompts=10), queue=QueueConfig(blind=30),
    )  # fmt: skip
    write_resolved(told, studio_root)
    stores = open_stores(studio_root)
    candidate, champion = blind_pair(stores, PROMPTS)
    report(stores, candidate, champion)
    yield candidate, champion
    (studio_root / "wheel.json").unlink()


def report(stores, candidate, champion):
    """Say that a turn's report found nothing lacking but people's word."""
    findings = [{"rule": "win_rate", "passed": True}, {"rule": "human", "passed": False}]
    found = {"candidate": candidate, "champion": champion, "findings": findings}
    (stores.root / "jobs").mkdir()
    (stores.root / "jobs" / "turn-001-policy_report.result.json").write_text(json.dumps(found))
    stores.catalogue.swap_pointer("finetune/dpo_policy/turn-001", expected=None, new=candidate,
                                  reason="trained", by="test", at=AT)  # fmt: skip


def wheel_looks(root):
    """Let the wheel's own sensor look once; return what Dagster's page shows of it."""
    with dg.build_sensor_context() as context:
        [seen] = blind_sensor(root)(context).asset_events
    return {name: value.value for name, value in seen.metadata.items()}


def test_people_decide_a_release_without_knowing_whose_picture_is_whose(
    studio_root, pair, lead, desks, capsys
):
    candidate, champion = pair
    where = ("--root", str(studio_root))

    def blind():
        assert flywheel(["annotate", "blind", candidate, *where, "--json"]) == DONE
        return json.loads(capsys.readouterr().out)

    def promote():
        return flywheel(["promote", candidate, *where, "--reason", "people prefer it"])

    assert promote() == REFUSED
    assert "nobody compared blindly" in capsys.readouterr().err
    shown = wheel_looks(studio_root)
    assert (shown["blind_questions_given"], shown["blind_given"]) == (10, 30), "within its budget"
    first = blind()
    assert (first["questions"], first["new_tasks"], first["human"]) == (11, 3, None)
    given = assignments(open_ledger(studio_root), round_name(candidate, champion))
    assert {row.interface for row in given} == {"blind_image"}
    mine = {row["generation_id"] for row in _questions(studio_root)}
    left = [row.left_id in mine for row in given]
    assert 0 < sum(left) < len(left), "sides are shuffled"
    for row in given:
        seen = json.dumps(lead.request("GET", f"api/tasks/{row.server_task}/"))
        hidden = (candidate[:12], champion[:12], row.left_id, row.right_id, row.task_id)
        assert not [name for name in hidden if name in seen]
        side = "left_much" if row.left_id in mine else "right"
        answer(desks[row.annotator_id], row.server_task, verdict(side))
    second = blind()
    assert (second["new_tasks"], second["answered"]) == (0, 33)
    assert second["human"]["win_share"]["mean"] == 1.0
    assert second["human"]["prompts"] == 11
    shown = wheel_looks(studio_root)
    assert (shown["blind_answered"], shown["blind_win_share"]) == (33, 1.0)
    assert promote() == DONE
    assert open_stores(studio_root).catalogue.release("policy") == candidate


def _questions(root):
    from pipelines.comparing.questions import ASSET
    from pipelines.stores import asset_partitions, read_asset_table

    stores = open_stores(root)
    (partition,) = asset_partitions(stores, ASSET)
    return read_asset_table(stores, ASSET, clearance=GENERAL, partition=partition).table.to_pylist()
