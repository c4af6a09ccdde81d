"""Blind questions on the real server: asked once, unnamed, and the answers decide a release.

Buys what no stand-in shows: that the gate's questions come back through accounts, sides and sync as
answers that `promote` counts.
"""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from answering import answer, assignments, verdict
from safetensors.numpy import save_file

from backbone.pictures import write_png
from data_contracts.labels import GENERAL
from data_contracts.schemas import PROMPT
from finetune.measured import Comparison
from pipelines.cli import DONE, REFUSED
from pipelines.cli import run as flywheel
from pipelines.comparing.asking import round_name
from pipelines.comparing.questions import add_questions
from pipelines.labelling.ledger import open_ledger
from pipelines.settings import GateConfig, WheelSettings, write_resolved
from pipelines.stores import CheckpointFields, open_stores, write_asset_table

pytestmark = pytest.mark.slow  # a real server, installed once: minutes

AT = datetime(2026, 1, 2, tzinfo=UTC)
PROMPTS = [f"blind_prompt_{n}" for n in range(3)]


def policy(stores, value):
    fields = CheckpointFields(
        kind="dpo", parents=(), label=(), label_epoch=0, code_version="1",
        configuration_digest="c", modalities=("image",),
    )  # fmt: skip
    with stores.checkpoints.writer(fields) as writer:
        save_file({"weight": np.full(4, value)}, writer.folder / "model.safetensors")
    stores.catalogue.register(writer.checkpoint_id, "checkpoint", label=GENERAL)
    return writer.checkpoint_id


def picture(shade):
    """A real one: who labels later on the same server is shown it too."""
    return write_png(np.full((32, 32, 3), shade, np.uint8))


@pytest.fixture
def pair(studio_root):
    """A champion that is released, a candidate, and three questions about them."""
    gate = GateConfig(min_human_prompts=2)
    write_resolved(WheelSettings(evidence="real", gate=gate), studio_root)
    stores = open_stores(studio_root)
    champion, candidate = policy(stores, 1.0), policy(stores, 2.0)
    stores.catalogue.promote("policy", champion, reason="first", by="test", at=AT)
    prompts = pa.Table.from_pylist(
        [{"prompt_id": name, "text": f"text of {name}"} for name in PROMPTS], schema=PROMPT
    )
    stores.catalogue.register("delivery", "delivery", label=GENERAL)
    asset = "artifacts/prompts"
    write_asset_table(stores, asset, prompts, parents=["delivery"], by="test", at=AT,
                      partition="turn-001")  # fmt: skip
    scores = np.zeros((len(PROMPTS), 1))
    drawn = Comparison(
        measured=None, candidate=[[picture(n)] for n in range(3)],
        champion=[[picture(100 + n)] for n in range(3)],
        candidate_scores=scores, champion_scores=scores,
    )  # fmt: skip
    add_questions(stores, drawn, prompt_ids=PROMPTS, candidate=candidate, champion=champion,
                  parents=["delivery"], at=AT)  # fmt: skip
    yield candidate, champion
    (studio_root / "wheel.json").unlink()


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
    first = blind()
    assert (first["questions"], first["new_tasks"], first["human"]) == (3, 9, None)
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
    assert (second["new_tasks"], second["answered"]) == (0, 9)
    assert second["human"]["win_share"]["mean"] == 1.0
    assert second["human"]["prompts"] == 3
    assert promote() == DONE
    assert open_stores(studio_root).catalogue.release("policy") == candidate


def _questions(root):
    from pipelines.comparing.questions import ASSET
    from pipelines.stores import asset_partitions, read_asset_table

    stores = open_stores(root)
    (partition,) = asset_partitions(stores, ASSET)
    return read_asset_table(stores, ASSET, clearance=GENERAL, partition=partition).table.to_pylist()
