"""One nano turn in a studio whose users work under skills: from delivery to report, end to end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from data_contracts.errors import FlywheelError
from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from pipelines.asked import usual_skills
from pipelines.auditing_generation import trace_generation
from pipelines.bundle import SnapshotBundle
from pipelines.cli import run as flywheel
from pipelines.demo import DemoOptions, demo_settings
from pipelines.inbox import Inbox
from pipelines.intake.skills import text_digest
from pipelines.labelling.desk import questions_of
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_snapshot, open_stores
from pipelines.training import TrainingJob
from pipelines.wheel import turn_wheel
from pipelines.world.desk import SimulatedDesk

TURN = "turn-001"
SKILLS = ("at-night", "by-day")


def settings() -> WheelSettings:
    told = demo_settings(DemoOptions(nano=True)).model_dump()
    told["studio"] |= {"skills": SKILLS}
    told["gate"] |= {"prompts": 8}
    return WheelSettings.model_validate(told)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guided") / "a"
    write_resolved(settings(), folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    turn_wheel(folder, turns=1, deliveries=None, say=lambda *_, **__: None)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(scope="module")
def stores(root):
    return open_stores(root)


def table(stores, asset):
    return stores.derived.read(stores.catalogue.pointer(f"{asset}/{TURN}"))


def skill_of(stores):
    made = table(stores, "artifacts/generations")
    return dict(zip(*(made[n].to_pylist() for n in ("generation_id", "skill_id")), strict=True))


def job_of(stores, kind):
    jobs = [json.loads(f.read_text()) for f in (stores.root / "jobs").glob(f"{TURN}-*_*.json")]
    return next(job for job in jobs if job.get("kind") == kind)


def bundle_of(stores, **changes):
    told = job_of(stores, "dpo")
    digests = {name: told[name] for name in ("prompts", "generations", "skills")} | changes
    return SnapshotBundle(stores, snapshot_id=SnapshotId(told["snapshot_id"]), **digests)


def result(stores, name):
    return json.loads((stores.root / "jobs" / f"{TURN}-{name}.result.json").read_text())


def test_skills_stand_with_the_texts_that_generations_saw(stores):
    skills = table(stores, "artifacts/skills")
    assert set(skill_of(stores).values()) == {None, *SKILLS}
    assert skills["skill_id"].to_pylist() == list(SKILLS)
    assert skills["digest"].to_pylist() == [text_digest(t) for t in skills["text"].to_pylist()]


def test_no_pair_crosses_skills_and_the_card_counts_them(stores):
    under = skill_of(stores)
    name = SnapshotId(stores.catalogue.pointer(f"preferences/preference_snapshot/{TURN}"))
    snapshot = open_snapshot(stores, name, GENERAL)
    sides = [(under[p["chosen_id"]], under[p["rejected_id"]]) for p in snapshot.pairs.to_pylist()]
    assert all(one == other for one, other in sides)
    counted = {skill or "no skill": sides.count((skill, skill)) for skill in {s for s, _ in sides}}
    assert snapshot.manifest.card["by_skill"] == counted
    assert set(counted) == {"no skill", *SKILLS}


def test_every_training_reads_the_guidance_of_what_it_learns_from(stores):
    assert {job_of(stores, kind)["skills"] for kind in ("sft", "dpo", "aspects")} == {
        stores.catalogue.pointer(f"artifacts/skills/{TURN}")
    }
    bundle, under = bundle_of(stores), skill_of(stores)
    texts = dict(zip(*(table(stores, "artifacts/skills")[n].to_pylist()
                       for n in ("skill_id", "text")), strict=True))  # fmt: skip
    for pair in bundle.pairs("train"):
        skill = bundle.skill(pair.chosen_id)
        assert (skill and skill.skill_id) == under[pair.chosen_id]
        assert skill is None or skill.text == texts[skill.skill_id]


def test_another_text_is_another_training(stores, tmp_path):
    """What was read is kept by the bundle's digest, so it must tell texts apart."""
    skills = table(stores, "artifacts/skills")
    other = skills.set_column(3, skills.schema.field(3), pa.array(["x", "y"]))
    digest = stores.derived.write(other, sort_by=["skill_id"]).digest
    stores.catalogue.register(digest, "skills", label=GENERAL)
    assert bundle_of(stores, skills=digest).digest != bundle_of(stores).digest
    with pytest.raises(FlywheelError, match=r"generation g_\w+ was made under skill .*at hand"):
        _ = bundle_of(stores, skills=None).digest


def test_the_gate_measures_prompts_as_they_were_asked_and_says_so_by_skill(stores):
    found = result(stores, "policy_report")["skills"]
    made = table(stores, "artifacts/generations")
    usual = usual_skills(made)
    blind = table(stores, "finetune/blind_questions")["prompt_id"].to_pylist()
    assert {usual[prompt] for prompt in blind} <= {None}  # those pages show the prompt alone
    assert (
        sum(row["prompts"] for row in found)
        == result(stores, "policy_report")["measured"]["prompts"]
    )
    assert {row["skill_id"] for row in found} & set(SKILLS)
    assert all(row["says"].startswith("too few") for row in found)
    card = stores.root / result(stores, "policy_report")["card"]
    assert "Quality by skill" in card.read_text("utf-8")


def test_a_prompt_stands_once_under_its_usual_skill():
    rows = pa.table(
        {
            "prompt_id": ["q", "q", "q", "r", "r", "s"],
            "skill_id": ["b", "b", "a", "b", None, "a"],
        }
    )
    assert usual_skills(rows) == {"q": "b", "r": None, "s": "a"}


def test_the_outcome_says_how_far_each_skill_was_followed(stores):
    told = json.loads((stores.root / "outcomes" / f"{TURN}.json").read_text())
    assert [row["skill_id"] for row in told["skills"]] == [None, *SKILLS]
    for row in told["skills"]:
        night, day = (np.array(row["followed"][name]) for name in SKILLS)
        np.testing.assert_array_equal(night + day, 1)
        assert night.shape == np.array(row["overall"]).shape


def test_an_auditor_sees_the_skill_by_id_and_never_its_text(stores, capsys):
    generation, skill = next((g, s) for g, s in sorted(skill_of(stores).items()) if s)
    found = trace_generation(stores, generation)
    assert (found.skill_id, found.turn) == (skill, TURN)
    assert found.skill_digest == text_digest({"at-night": "At night", "by-day": "By day"}[skill])
    assert flywheel(["audit", generation, "--generation", "--root", str(stores.root)]) == 0
    said = capsys.readouterr().out
    assert skill in said
    assert "At night" not in said
    assert "By day" not in said
    plain = next(g for g, s in skill_of(stores).items() if s is None)
    assert trace_generation(stores, plain).skill_digest is None
    with pytest.raises(FlywheelError, match="knows no generation g_none"):
        trace_generation(stores, "g_none")


def test_the_audit_of_a_generation_is_that_of_a_plain_walk(stores):
    pairs = table(stores, "preferences/preference_pairs").to_pylist()
    training = [p for p in pairs if p["split"] == "train"]
    seen = {k: [s for step in json.loads((stores.checkpoints.path(result(stores, name)[
        "checkpoint"]) / "samples_seen.json").read_text()) for s in step]
        for k, name in (("dpo", "dpo_policy"), ("sft", "sft_policy"))}  # fmt: skip
    generation = next(g for g in seen["sft"])
    mine = [p for p in pairs if generation in (p["chosen_id"], p["rejected_id"])]
    found = trace_generation(stores, generation)
    assert found.snapshots[0].pairs == len(mine)
    models = {model.kind: model for model in found.models}
    assert models["sft"].samples == seen["sft"].count(generation) > 0
    names = {p["pair_id"] for p in mine if p in training}
    assert models["dpo"].samples == sum(name in names for name in seen["dpo"])
    assert models["sft"].checkpoint in models["dpo"].inherits


def test_annotators_read_the_guidance(stores):
    tasks = table(stores, "annotation/annotation_tasks")
    under = skill_of(stores)
    texts = {None: "", "at-night": "At night\n", "by-day": "By day\n"}
    questions = questions_of(stores, TURN, tasks)
    assert {under[q.first.generation_id] for q in questions} >= set(SKILLS)
    assert all(q.prompt.startswith(texts[under[q.first.generation_id]]) for q in questions)
    rivals = [q for q in questions if q.other is not None]
    assert all(under[q.first.generation_id] == under[q.other.generation_id] for q in rivals)
    assert SimulatedDesk(root=str(stores.root)).pull(TURN).num_rows > 0


def changed_delivery(root: Path, folder: Path, change) -> Path:
    """Copy the delivery into a fresh wheel, its tables of skills and generations changed."""
    write_resolved(settings(), folder)
    inbox = Inbox(folder).folder(TURN)
    shutil.copytree(Inbox(root).folder(TURN), inbox)
    for name in ("skills", "generations"):
        file = inbox / f"{name}.parquet"
        pq.write_table(change(name, pq.read_table(file)), file)
    return folder


def foreign(name, rows):
    """The skills belong to another tenant."""
    if name == "skills":
        return rows.set_column(1, rows.schema.field(1), pa.array(["rival"] * rows.num_rows))
    return rows


def unknown(name, rows):
    """One skill was not delivered."""
    return rows.slice(1) if name == "skills" else rows


@pytest.mark.parametrize(
    ("change", "says"),
    [(foreign, "skill of another tenant or project"), (unknown, "name a skill that is unknown")],
    ids=["foreign", "unknown"],
)
def test_a_delivery_that_breaks_the_rules_of_skills_stops_at_the_door(
    root, tmp_path, change, says, capfd
):
    folder = changed_delivery(root, tmp_path / "b", change)
    with pytest.raises(FlywheelError, match="artifacts__generations"):
        turn_wheel(folder, turns=1, deliveries=None, say=lambda *_, **__: None)
    assert not open_stores(folder).catalogue.pointer(f"artifacts/generations/{TURN}")
    assert says in capfd.readouterr().err


def test_a_job_without_skills_is_named_as_before_there_were_any(stores):
    told = job_of(stores, "dpo")
    job = TrainingJob.model_validate(told)
    plain = job.model_copy(update={"skills": None})
    assert "skills" not in plain.model_dump()
    assert plain.digest != job.digest
