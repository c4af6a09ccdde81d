"""The desk of a real Label Studio: tasks are pushed to annotators, answers pulled."""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from annotation.next_questions import QueueRules
from annotation.queue import TASK
from data_contracts.conditioning import Skill, conditioned_text
from data_contracts.ids import Digest
from data_contracts.labels import GENERAL
from pipelines.intake.skills import skills_by_id
from pipelines.labelling.gold import mix_gold, record_gold
from pipelines.labelling.ledger import open_assignments, open_ledger
from pipelines.labelling.planning import Original, Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.rounds import Budget, plan_round, settled_questions
from pipelines.labelling.service import client_of
from pipelines.labelling.shown import shown_media
from pipelines.labelling.sync import annotations_of, sync_answers
from pipelines.labelling.warnings import WARNING, warned_of
from pipelines.settings import read_resolved
from pipelines.stores import Stores, open_stores, read_asset_table


class LabelStudioDesk(dg.ConfigurableResource):
    """Implements `pipelines.resources.AnnotationDesk` with people in Label Studio.

    Ratings go to *overlap* annotators each. Comparisons are given out in rounds: first to one
    annotator each, then where an answer tells most, until settled. They cost no more answers
    than *overlap* a comparison on average. Gold comes on top of both, and so do the texts whose
    better version is asked for, each of one annotator.
    """

    root: str
    overlap: int = 3
    each: int = 20  # comparisons an annotator gets in one round
    exploration: float = 0.1
    settled: float = 0.97  # how sure one side must be before a comparison is closed
    gold: float = 0.08  # share of everybody's questions whose answer is known
    known: float = 0.995  # how sure one side must be before a comparison may serve as gold

    def push(self, turn: str, tasks: pa.Table) -> None:
        """Hand over the tasks of *turn*; handing them over again changes nothing."""
        root = Path(self.root)
        questions = questions_of(open_stores(root), turn, tasks)
        ledger = open_ledger(root)
        compared = [q for q in questions if q.other is not None]
        rated = [q for q in questions if q.other is None]
        plan_assignments(ledger, turn, rated, overlap=self.overlap)
        plan_assignments(ledger, turn, compared, overlap=min(1, self.overlap))
        edits = read_resolved(root).queue.edits
        asked = edits_asked(open_stores(root), turn, tasks, count=edits) if edits else []
        plan_assignments(ledger, turn, asked, overlap=1)
        mix_gold(ledger, turn, rate=self.gold)
        push_assignments(root, client_of(root))

    def pull(self, turn: str) -> pa.Table:
        """Return what was answered of *turn* until now, as rows of the annotation contract."""
        root = Path(self.root)
        sync_answers(root, client_of(root), thorough=True)
        return annotations_of(open_ledger(root), turn)

    def ask_more(self, turn: str, tasks: pa.Table) -> int:
        """Give out another round of comparisons once all are answered; return how many.

        0 while somebody still owes an answer, and when there is nothing left that is worth asking.
        """
        root = Path(self.root)
        ledger = open_ledger(root)
        if open_assignments(ledger, turn):
            return 0
        rules = QueueRules(
            exploration=self.exploration, settled=self.settled,
            most=2 * self.overlap, per_prompt=2,
        )  # fmt: skip
        questions = questions_of(open_stores(root), turn, tasks)
        if self.gold:
            record_gold(
                ledger,
                settled_questions(ledger, turn, questions, least=self.overlap, sure=self.known),
            )
        new = plan_round(
            ledger,
            turn,
            questions,
            rules=rules,
            budget=Budget(answers=self.overlap, each=self.each),
            rng=np.random.default_rng(_seed(turn)),
        )
        if new:
            # Never alone: gold by itself would be known for what it is, and the turn never end.
            new += mix_gold(ledger, turn, rate=self.gold)
            push_assignments(root, client_of(root))
        return new


def _seed(turn: str) -> int:
    return int.from_bytes(blake2b(turn.encode(), digest_size=8).digest(), "big")


def questions_of(stores: Stores, turn: str, tasks: pa.Table) -> list[Question]:
    """Return the questions of *tasks*: a pair is compared whole, ratings of one generation are one.

    Args:
        stores: the zone's, with prompts, generations and their media.
        turn: the turn of the wheel that the generations belong to.
        tasks: rows of `annotation.queue.TASK`.
    """
    generations = _by_id(stores, "generations", turn)
    prompts = _by_id(stores, "prompts", turn)
    skills = _skills(stores, turn, generations)

    def shown(generation_id: str) -> Shown:
        return _shown(stores, generations[generation_id])

    warned = warned_of(stores, generations)
    asked: dict[str, Question] = {}
    for task in tasks.to_pylist():
        first, other = task["generation_id"], task["other_generation_id"]
        identity = task["task_id"] if other is not None else _task_named("critique", first)
        if identity not in asked:
            asked[identity] = Question(
                task_id=identity,
                prompt=conditioned_text(
                    prompts[task["prompt_id"]]["text"], skills.get(generations[first]["skill_id"])
                ),
                first=shown(first),
                other=None if other is None else shown(other),
                warning=WARNING if warned & {first, other} else "",
            )
    return list(asked.values())


def edits_asked(stores: Stores, turn: str, tasks: pa.Table, *, count: int) -> list[Question]:
    """Return which texts of *tasks* are to be edited: at most *count*, one a prompt.

    A hash draws them, so that the same tasks ask for the same.

    Args:
        stores: the zone's, with prompts, generations and their media.
        turn: the turn of the wheel that the generations belong to.
        tasks: rows of `annotation.queue.TASK`.
        count: how many at most.
    """
    generations = _by_id(stores, "generations", turn)
    prompts = _by_id(stores, "prompts", turn)
    skills = _skills(stores, turn, generations)
    named = {*tasks["generation_id"].to_pylist(), *tasks["other_generation_id"].to_pylist()}
    texts = [
        row
        for name, row in generations.items()
        if name in named and row["modality"] == "text" and row["blob"] is not None
    ]
    texts.sort(key=lambda row: _task_named("edit", row["generation_id"]))
    of_prompt = {row["prompt_id"]: row for row in reversed(texts)}
    drawn = [row for row in texts if of_prompt[row["prompt_id"]] is row]
    warned = warned_of(stores, (row["generation_id"] for row in drawn))
    return [
        Question(
            task_id=_task_named("edit", row["generation_id"]),
            prompt=conditioned_text(prompts[row["prompt_id"]]["text"], skills.get(row["skill_id"])),
            first=_shown(stores, row),
            warning=WARNING if row["generation_id"] in warned else "",
            original=Original(
                tenant_id=row["tenant_id"],
                project_id=row["project_id"],
                prompt_id=row["prompt_id"],
            ),
        )
        for row in drawn[:count]
    ]


def tasks_of(stores: Stores, turn: str) -> pa.Table:
    """Return the tasks that were handed over in *turn*: rows of `annotation.queue.TASK`."""
    name = "annotation/annotation_tasks"
    waiting = stores.catalogue.pointer(f"{name}/{turn}")
    found: pa.Table = (
        TASK.empty_table()
        if waiting is None
        else read_asset_table(stores, name, clearance=GENERAL, partition=turn).table
    )
    return found


def _shown(stores: Stores, row: dict[str, str]) -> Shown:
    if row["modality"] == "video" and row["blob"] is not None:
        return shown_media(stores, row["generation_id"], row["blob"])
    text = None
    if row["modality"] == "text" and row["blob"] is not None:
        text = stores.blobs.get(Digest(row["blob"])).decode("utf-8", "replace")
    return Shown(
        generation_id=row["generation_id"], modality=row["modality"], text=text, blob=row["blob"]
    )


def _task_named(form: str, generation_id: str) -> str:
    return "task_" + blake2b(f"{form}\x1f{generation_id}".encode(), digest_size=10).hexdigest()


def _skills(stores: Stores, turn: str, generations: dict[str, dict[str, str]]) -> dict[str, Skill]:
    """Return the turn's skills by id: who judges an answer reads the guidance that it followed."""
    if not any(row["skill_id"] for row in generations.values()):
        return {}
    found = read_asset_table(stores, "artifacts/skills", clearance=GENERAL, partition=turn)
    return skills_by_id(found.table)


def _by_id(stores: Stores, name: str, turn: str) -> dict[str, dict[str, str]]:
    table = read_asset_table(stores, f"artifacts/{name}", clearance=GENERAL, partition=turn).table
    rows: Iterable[dict[str, str]] = table.to_pylist()
    return {row[f"{name[:-1]}_id"]: row for row in rows}
