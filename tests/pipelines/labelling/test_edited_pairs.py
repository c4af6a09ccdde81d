"""From a text that somebody edited to a pair that training gets, through the real asset graph."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from small_server import SmallServer, edited

from data_contracts.errors import FlywheelError
from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from data_contracts.schemas import ANNOTATION, EVENT, GENERATION, PROMPT
from pipelines.append_io import AppendIOManager
from pipelines.bundle import SnapshotBundle
from pipelines.definitions import MODULES
from pipelines.demo import DemoOptions, demo_settings
from pipelines.inbox import Inbox
from pipelines.io_managers import TableIOManager
from pipelines.labelling import desk as desk_module
from pipelines.labelling.desk import LabelStudioDesk
from pipelines.labelling.ledger import ASSIGNMENTS, PROJECTS, open_ledger, record_people
from pipelines.labelling.warnings import WARNING, warned_of
from pipelines.post_training import generations_of
from pipelines.resources import Wheel
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_stores, read_asset_table
from pipelines.stores.catalogue_tables import transaction
from pipelines.stores.digests import bytes_digest

TURN, PROMPTS, EDITS = "turn-001", 6, 3
REPORTED = "g0a"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SNAPSHOT, ASKED = (
    dg.AssetSelection.assets(key).upstream().required_multi_asset_neighbors()
    for key in (["preferences", "preference_snapshot"], ["annotation", "annotation_tasks"])
)
ASSETS = dg.load_assets_from_modules(MODULES)
CHECKS = dg.load_asset_checks_from_modules(MODULES)


def deliver(root):
    """Six prompts with two texts each, and users who looked at all and reported one."""
    prompts = [{"prompt_id": f"pr{p}", "text": f"What lies on floor {p}?"} for p in range(PROMPTS)]
    texts = {f"g{p}{s}": f"On floor {p} are a disc, {s}." for p in range(PROMPTS) for s in "ab"}
    generations = [
        {"generation_id": name, "tenant_id": "studio", "project_id": "film", "modality": "text",
         "prompt_id": f"pr{name[1]}", "model_release": "release-1", "created_at": BEGIN,
         "blob": bytes_digest(text.encode())}
        for name, text in texts.items()
    ]  # fmt: skip
    reported = [
        {"event_id": "report", "tenant_id": "studio", "project_id": "film", "user_id": "u0",
         "session_id": "s0", "turn": 0, "kind": "report", "surface": "feed",
         "generation_id": REPORTED, "occurred_at": BEGIN + timedelta(minutes=1),
         "received_at": BEGIN + timedelta(minutes=1)}
    ]  # fmt: skip
    moments = [BEGIN + timedelta(seconds=at) for at in range(len(texts))]
    events = [
        {"event_id": f"e{user}{name}", "tenant_id": "studio", "project_id": "film",
         "user_id": f"u{user}", "session_id": f"s{user}", "turn": 0, "kind": "impression",
         "surface": "feed", "generation_id": name, "position": 0,
         "occurred_at": moment, "received_at": moment}
        for user in range(4)
        for name, moment in zip(texts, moments, strict=True)
    ]  # fmt: skip
    Inbox(root).deliver(
        TURN,
        prompts=pa.Table.from_pylist(prompts, schema=PROMPT),
        generations=pa.Table.from_pylist(generations, schema=GENERATION),
        media={bytes_digest(text.encode()): text.encode() for text in texts.values()},
        events=pa.Table.from_pylist(events + reported, schema=EVENT),
    )


class Turn:
    """A turn whose people sit before a small Label Studio."""

    def __init__(self, root, server):
        self.root, self.server, self.instance = root, server, dg.DagsterInstance.ephemeral()
        self.instance.add_dynamic_partitions("turn", [TURN])

    def make(self, selection):
        root = str(self.root)
        done = dg.materialize(
            [*ASSETS, *CHECKS], selection=selection, partition_key=TURN, instance=self.instance,
            resources={"tables": TableIOManager(root=root), "append": AppendIOManager(root=root),
                       "wheel": Wheel(root=root), "desk": LabelStudioDesk(root=root),
                       "pipes": dg.PipesSubprocessClient()},
        )  # fmt: skip
        assert done.success

    def given(self, interface):
        query = (
            sa.select(ASSIGNMENTS, PROJECTS.c.interface)
            .join(PROJECTS, PROJECTS.c.project_id == ASSIGNMENTS.c.project_id)
            .where(PROJECTS.c.interface == interface)
            .order_by(ASSIGNMENTS.c.left_id)
        )
        with transaction(open_ledger(self.root), writes=False) as connection:
            return connection.execute(query).all()

    def edit_everything(self):
        """Let people edit what they were given; return what became of which generation."""
        rows = self.given("edit_text")
        made = {row.left_id: row.data["only"].replace("are", "is") for row in rows}
        for row in rows:
            result = edited(made[row.left_id], "clumsy_wording")
            self.server.answer(row.server_task, int(row.annotator_id[-1]), result)
        return made

    def table(self, asset):
        return read_asset_table(
            open_stores(self.root), asset, clearance=GENERAL, partition=TURN
        ).table


@pytest.fixture
def turn(tmp_path, monkeypatch):
    root, server = tmp_path / "wheel", SmallServer()
    told = demo_settings(DemoOptions(nano=True)).model_dump()
    told |= {"desk": "label_studio", "queue": {"budget": 40, "edits": EDITS}}
    write_resolved(WheelSettings.model_validate(told), root)
    people = ("ann-1", "ann-2")
    forms = ("pair_text", "critique_text", "edit_text")
    record_people(
        open_ledger(root),
        [{"annotator_id": name, "user_id": int(name[-1]), "address": name} for name in people],
        [{"project_id": 10 * at + int(name[-1]), "annotator_id": name, "interface": form}
         for name in people for at, form in enumerate(forms)],
    )  # fmt: skip
    monkeypatch.setattr(desk_module, "client_of", lambda _root: server)
    deliver(root)
    return Turn(root, server)


def test_an_edit_becomes_a_pair_whose_content_training_can_open(turn):
    turn.make(ASKED)
    asked = turn.given("edit_text")
    assert len(asked) == len({row.data["prompt"] for row in asked}) == EDITS
    made = turn.edit_everything()
    turn.make(SNAPSHOT - ASKED)

    said = turn.table("annotation/edited_generations")
    versions = dict(zip(said["parent_generation_id"].to_pylist(),
                        said["generation_id"].to_pylist(), strict=True))  # fmt: skip
    assert set(versions) == set(made)
    pairs = {(row["chosen_id"], row["rejected_id"]): row
             for row in turn.table("preferences/preference_pairs").to_pylist()}  # fmt: skip
    stores = open_stores(turn.root)
    bundle = SnapshotBundle(
        stores,
        snapshot_id=SnapshotId(stores.catalogue.pointer(f"preferences/preference_snapshot/{TURN}")),
        prompts=stores.catalogue.pointer(f"artifacts/prompts/{TURN}"),
        generations=generations_of(stores, TURN),
    )
    for before, text in made.items():
        pair = pairs[versions[before], before]
        assert pair["aspect"] == "overall"
        assert 0.5 < pair["probability"] < 1, "one annotator's word, no certainty"
        assert [each for each in pair["evidence"] if each.startswith("ls-")]
        assert "comparisons" in pair["sources"]
        assert bundle.content(versions[before]) == text.encode()
        assert bundle.modality(versions[before]) == "text"


def test_without_edits_the_whole_table_is_the_policies_own(turn):
    """Nothing that rests on no answer is said to rest on one."""
    turn.make(ASKED)
    turn.make(SNAPSHOT - ASKED)
    stores = open_stores(turn.root)
    whole, own = (stores.catalogue.pointer(f"{name}/{TURN}")
                  for name in ("annotation/all_generations", "artifacts/generations"))  # fmt: skip
    assert whole == own
    assert turn.table("annotation/edited_generations").equals(GENERATION.empty_table())
    rests_on = stores.catalogue.ancestry([own])
    assert not [known.kind for known in rests_on.values() if "annotation" in known.kind]


def test_an_edit_that_was_taken_back_leaves_no_pair(turn):
    turn.make(ASKED)
    turn.edit_everything()
    turn.make(SNAPSHOT - ASKED)
    gone, *_ = turn.given("edit_text")
    [answer] = turn.server.tasks[gone.server_task]["annotations"]
    turn.server.delete(gone.server_task, answer["id"])
    turn.make(SNAPSHOT - ASKED)
    left = turn.table("annotation/edited_generations")
    assert left.num_rows == EDITS - 1
    assert gone.left_id not in left["parent_generation_id"].to_pylist()
    pairs = turn.table("preferences/preference_pairs").to_pylist()
    known = set(turn.table("annotation/all_generations")["generation_id"].to_pylist())
    assert {each[side] for each in pairs for side in ("chosen_id", "rejected_id")} <= known


def test_who_is_asked_about_what_was_reported_is_warned_and_nobody_else(turn):
    turn.make(ASKED)
    warned = {
        (form, row.left_id, row.right_id): row.data["warning"]
        for form in ("pair_text", "critique_text", "edit_text")
        for row in turn.given(form)
    }
    about = {sides for sides in warned if REPORTED in sides}
    assert {form for form, *_ in about} >= {"pair_text", "critique_text"}
    assert {warned[sides] for sides in about} == {WARNING}
    assert {said for sides, said in warned.items() if sides not in about} == {""}


def test_a_low_safety_rating_or_code_warns_as_a_report_does_and_a_hide_does_not(tmp_path):
    stores = open_stores(tmp_path)
    common = {"task_id": "t", "annotator_id": "a", "updated_at": BEGIN}
    said = [
        {"annotation_id": "1", "kind": "rating", "aspect": "safety", "value": 2.0,
         "generation_id": "low", **common},
        {"annotation_id": "2", "kind": "rating", "aspect": "safety", "value": 3.0,
         "generation_id": "fair", **common},
        {"annotation_id": "3", "kind": "rating", "aspect": "aesthetics", "value": 1.0,
         "generation_id": "ugly", **common},
        {"annotation_id": "4", "kind": "region", "reason_code": "harmful",
         "generation_id": "coded", **common},
    ]  # fmt: skip
    event = {"tenant_id": "t", "project_id": "p", "user_id": "u", "session_id": "s", "turn": 0,
             "surface": "grid", "occurred_at": BEGIN, "received_at": BEGIN}  # fmt: skip
    seen = [{**event, "event_id": kind, "kind": kind, "generation_id": kind}
            for kind in ("report", "hide")]  # fmt: skip
    everything = ["low", "fair", "ugly", "coded", "report", "hide"]
    assert warned_of(stores, everything) == set(), "nothing was said yet"
    stores.append.append("annotations", pa.Table.from_pylist(said, schema=ANNOTATION), batch="a")
    stores.append.append("events", pa.Table.from_pylist(seen, schema=EVENT), batch="e")
    assert warned_of(stores, everything) == {"low", "coded", "report"}
    assert warned_of(stores, ["fair"]) == set()


def test_a_wheel_that_asks_for_edits_says_who_is_missing(turn):
    with transaction(open_ledger(turn.root)) as connection:
        connection.execute(sa.delete(PROJECTS).where(PROJECTS.c.interface == "edit_text"))
    with pytest.raises(FlywheelError, match="nobody answers edit_text"):
        turn.make(ASKED)
