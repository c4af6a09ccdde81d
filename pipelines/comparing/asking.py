"""Blind questions reach people and answers come back: tasks of Label Studio, rows of annotations.

Which side is left is drawn and recorded when a question is given out; a task holds its prompt and
two addresses, and names no policy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from annotation.client import LabelStudioClient
from data_contracts.conform import conform
from data_contracts.contract import load_contract
from data_contracts.ids import CheckpointId
from data_contracts.schemas import ANNOTATION
from finetune.standing import HumanComparison
from pipelines.append_io import write_batch
from pipelines.comparing.questions import blind_questions, stored_questions
from pipelines.comparing.standing import people_say
from pipelines.labelling.ledger import given_questions, open_ledger
from pipelines.labelling.ledger import standing_of as given_and_answered
from pipelines.labelling.planning import lacking, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.sync import annotations_of, sync_answers
from pipelines.stores import Stores
from pipelines.stores.atomic import locked
from pipelines.stores.enforcer import split_rows

OVERLAP: Final = 3  # annotators who answer each question


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How far people are with the questions about one candidate and champion."""

    questions: int
    covered: int  # questions that somebody was given
    given: int  # tasks, over all annotators
    answered: int
    quarantined: int
    people: tuple[dict[str, object], ...]  # annotator_id, given, answered, quarantined of each
    human: HumanComparison | None  # what they said; None: nothing that counts yet


def round_name(candidate: str, champion: str) -> str:
    """Return what these questions belong to, in the ledger and among annotations.

    Not a turn of the wheel: no training ever reads the answers.
    """
    return f"blind-{candidate[:12]}-{champion[:12]}"


def tasks_to_give(
    stores: Stores, candidate: CheckpointId, champion: CheckpointId, *, overlap: int = OVERLAP
) -> dict[str, int]:
    """Return how many new tasks each annotator would get; nothing is given.

    Raises:
        FlywheelError: no questions were made, or nobody answers blind comparisons.
    """
    questions = blind_questions(stores, candidate, champion)
    name, ledger = round_name(candidate, champion), open_ledger(stores.root)
    counts: dict[str, int] = {}
    for _, who in lacking(ledger, name, questions, overlap=overlap):
        counts[who] = counts.get(who, 0) + 1
    return dict(sorted(counts.items()))


def ask_people(
    stores: Stores,
    candidate: CheckpointId,
    champion: CheckpointId,
    client: LabelStudioClient,
    *,
    overlap: int = OVERLAP,
    most: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> int:
    """Give every question about this pair to *overlap* annotators; return how many are new.

    Asking again gives nobody a question twice; what a push that died left over is sent.

    Args:
        stores: of the zone.
        candidate: who wants to be released.
        champion: whom it is compared with.
        client: of the zone's server.
        overlap: annotators who answer each question.
        most: answers that all of it may cost, however often it is asked; None: no limit. Questions
            are left out by their ids, which are hashes, so that nobody chooses.
        advance: told how many of how many tasks were sent.

    Raises:
        FlywheelError: as `tasks_to_give`, or the server is away or refuses.
    """
    questions = blind_questions(stores, candidate, champion)
    name, ledger = round_name(candidate, champion), open_ledger(stores.root)
    if most is not None:
        before = given_questions(ledger, name)
        # Who was asked already comes first: more questions later must not cost more answers.
        questions.sort(key=lambda each: (each.task_id not in before, each.task_id))
        questions = questions[: most // overlap]
    new = plan_assignments(ledger, name, questions, overlap=overlap)
    push_assignments(stores.root, client, advance=advance)
    return new


def take_answers(
    stores: Stores,
    candidate: CheckpointId,
    champion: CheckpointId,
    client: LabelStudioClient,
    *,
    by: str,
    at: datetime,
) -> Asked:
    """Pull what people answered into the table `annotations`, where the gate looks.

    The answers stand there as the server holds them now: changed ones are replaced, deleted ones
    go. Rows that break the annotation contract are left out.

    Args:
        stores: of the zone.
        candidate: who wants to be released.
        champion: whom it was compared with.
        client: of the zone's server.
        by: who pulls, for the history.
        at: now.

    Raises:
        FlywheelError: the server is away or refuses.
    """
    root: Path = stores.root
    name, ledger = round_name(candidate, champion), open_ledger(root)
    asked = stored_questions(stores, candidate, champion)
    assert asked is not None, "asked of people, so made"
    sync_answers(root, client, thorough=True)
    with locked(root / "labelling" / ".blind", exclusive=True):
        _store(stores, name, annotations_of(ledger, name), rests_on=asked.digest, by=by, at=at)
    people = given_and_answered(ledger, name)
    return Asked(
        questions=asked.table.num_rows,
        covered=len(given_questions(ledger, name)),
        given=sum(each["given"] for each in people),
        answered=sum(each["answered"] for each in people),
        quarantined=sum(each["quarantined"] for each in people),
        people=tuple(people),
        human=people_say(stores, asked.table),
    )


def _store(
    stores: Stores, name: str, answers: pa.Table, *, rests_on: str, by: str, at: datetime
) -> None:
    whole = conform(answers, ANNOTATION, what="annotations")
    accepted, _ = split_rows(whole, load_contract("annotation"), now=at)
    known = any(b.startswith(f"{name}-") for b in stores.append.batches("annotations"))
    if accepted.num_rows or known:
        write_batch(
            stores, "annotations", accepted, partition=name, parents=[rests_on], by=by, at=at
        )
