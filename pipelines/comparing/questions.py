"""Blind questions: one sample of each policy for each held-out prompt, and people's answers.

The table holds ids and blobs, never text. Whoever labels sees neither policy nor score.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import expit

from data_contracts.errors import FlywheelError
from data_contracts.labels import GENERAL
from finetune.measured import Comparison
from pipelines.labelling.planning import Question
from pipelines.labelling.shown import shown_media
from pipelines.stores import (
    AssetTable,
    Stores,
    asset_partitions,
    read_asset_table,
    write_asset_table,
)

ASSET: Final = "finetune/blind_questions"
QUESTIONS: Final = pa.schema(
    [
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("generation_id", pa.string(), nullable=False),  # the candidate's sample
        pa.field("other_generation_id", pa.string(), nullable=False),  # the champion's
        pa.field("blob", pa.string(), nullable=False),
        pa.field("other_blob", pa.string(), nullable=False),
        pa.field("candidate", pa.string(), nullable=False),  # checkpoint ids
        pa.field("champion", pa.string(), nullable=False),
        # The reward model's probability that the candidate's sample is better.
        pa.field("predicted", pa.float64(), nullable=False),
    ]
)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindAnswers:
    """Axes: n answers."""

    wins: Floats  # (n,) 1 candidate, 0 champion, .5 tie
    predicted: Floats  # (n,)
    prompts: list[str]  # (n,) prompt ids


def store_questions(
    stores: Stores,
    comparison: Comparison,
    *,
    partition: str,
    prompt_ids: Sequence[str],
    candidate: str,
    champion: str,
    parents: Sequence[str],
    at: datetime,
) -> pa.Table:
    """Store the first well-formed sample of each policy for each prompt as a blind question.

    The first, not the best: nobody chooses what people see. The same samples give the same ids.
    A prompt for which either policy has none is left out.

    Args:
        stores: of the zone.
        comparison: the samples; rows in the order of *prompt_ids*.
        partition: where they go, such as a turn of the wheel.
        prompt_ids: held out of training.
        candidate: checkpoint id.
        champion: checkpoint id.
        parents: catalogue ids of what else the pictures rest on.
        at: now.
    """
    table = _questions(stores, comparison, prompt_ids, candidate=candidate, champion=champion)
    write_asset_table(
        stores, ASSET, table, parents=[candidate, champion, *parents], by="evaluation", at=at,
        partition=partition,
    )  # fmt: skip
    return table


def add_questions(
    stores: Stores,
    comparison: Comparison,
    *,
    prompt_ids: Sequence[str],
    candidate: str,
    champion: str,
    parents: Sequence[str],
    at: datetime,
) -> int:
    """Store questions about prompts that this pair was not asked about yet; return how many.

    Questions that stand are kept, for people may have answered them; measuring again with another
    seed gives nobody another draw. Arguments as of `store_questions`.
    """
    known = stored_questions(stores, candidate, champion)
    before = [] if known is None else known.table["prompt_id"].to_pylist()
    fresh = _questions(
        stores, comparison, prompt_ids, candidate=candidate, champion=champion, besides=set(before)
    )
    if fresh.num_rows:
        table = fresh if known is None else pa.concat_tables([known.table, fresh])
        rests_on = [] if known is None else [known.digest]
        write_asset_table(
            stores, ASSET, table, parents=[candidate, champion, *parents, *rests_on],
            by="evaluation", at=at, partition=f"{candidate[:12]}-{champion[:12]}",
        )  # fmt: skip
    return fresh.num_rows


def _questions(
    stores: Stores,
    comparison: Comparison,
    prompt_ids: Sequence[str],
    *,
    candidate: str,
    champion: str,
    besides: Collection[str] = (),
) -> pa.Table:
    first, other = _firsts(comparison.candidate), _firsts(comparison.champion)
    asked = [
        i
        for i, prompt_id in enumerate(prompt_ids)
        if prompt_id not in besides and first[i] is not None and other[i] is not None
    ]
    mine = stores.blobs.put_many([comparison.candidate[i][first[i]] for i in asked])  # type: ignore[index, misc]  # both were found
    theirs = stores.blobs.put_many([comparison.champion[i][other[i]] for i in asked])  # type: ignore[index, misc]
    rows = []
    for i, blob, other_blob in zip(asked, mine, theirs, strict=True):
        gap = comparison.candidate_scores[i, first[i]] - comparison.champion_scores[i, other[i]]
        names = [_name("gen", policy, prompt_ids[i], digest)
                 for policy, digest in ((candidate, blob), (champion, other_blob))]  # fmt: skip
        rows.append(
            {
                "task_id": _name("blind", *names),
                "prompt_id": prompt_ids[i],
                "generation_id": names[0],
                "other_generation_id": names[1],
                "blob": blob,
                "other_blob": other_blob,
                "candidate": candidate,
                "champion": champion,
                "predicted": float(expit(gap)),
            }
        )
    return pa.Table.from_pylist(rows, schema=QUESTIONS)


def questions_about(stores: Stores, candidate: str, champion: str) -> pa.Table | None:
    """Return the questions about *candidate* against *champion*; None: none were made."""
    found = stored_questions(stores, candidate, champion)
    return None if found is None else found.table


def stored_questions(stores: Stores, candidate: str, champion: str) -> AssetTable | None:
    """Return the same with its digest: the longest list, of equal ones the newest turn's."""
    longest: AssetTable | None = None
    for partition in reversed(asset_partitions(stores, ASSET)):
        found = read_asset_table(stores, ASSET, clearance=GENERAL, partition=partition)
        named = pc.and_(
            pc.equal(found.table["candidate"], candidate),
            pc.equal(found.table["champion"], champion),
        )
        rows = found.table.num_rows
        if rows and pc.all(named).as_py() and (not longest or rows > longest.table.num_rows):
            longest = found
    return longest


def blind_questions(stores: Stores, candidate: str, champion: str) -> list[Question]:
    """Return the questions about *candidate* against *champion* as the annotation work pushes them.

    Raises:
        FlywheelError: none were made.
    """
    asked = questions_about(stores, candidate, champion)
    if asked is None:
        raise FlywheelError(
            f"there are no blind questions about {candidate[:12]} against {champion[:12]}; make "
            f"them with `flywheel evaluate {candidate[:12]} --against {champion[:12]}`"
        )
    texts = _texts(stores, set(asked["prompt_id"].to_pylist()))
    return [
        Question(
            task_id=row["task_id"],
            prompt=texts[row["prompt_id"]],
            first=shown_media(stores, row["generation_id"], row["blob"]),
            other=shown_media(stores, row["other_generation_id"], row["other_blob"]),
            blind=True,
        )
        for row in asked.to_pylist()
    ]


def _texts(stores: Stores, prompt_ids: set[str]) -> dict[str, str]:
    wanted = pa.array(sorted(prompt_ids), pa.string())
    texts: dict[str, str] = {}
    for turn in reversed(asset_partitions(stores, "artifacts/prompts")):
        prompts = read_asset_table(
            stores, "artifacts/prompts", clearance=GENERAL, partition=turn,
            columns=["prompt_id", "text"],
        ).table  # fmt: skip
        found = prompts.filter(pc.is_in(prompts["prompt_id"], wanted))
        texts |= dict(zip(*(column.to_pylist() for column in found.columns), strict=True))
    return texts


def read_answers(questions: pa.Table, annotations: pa.Table) -> BlindAnswers:
    """Return what people answered to *questions*; an annotator's last answer to each counts.

    Answers that name other generations than were asked about, and those of people who could not
    judge, are left out.

    Args:
        questions: rows of `QUESTIONS`.
        annotations: rows of the annotation contract, of any kind.
    """
    asked = {row["task_id"]: row for row in questions.to_pylist()}
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _comparisons(annotations, list(asked)).to_pylist():
        who = row["annotator_id"] or row["annotation_id"]
        last[row["task_id"], who] = row
    wins, predicted, prompts = [], [], []
    for (task, _), row in sorted(last.items()):
        question = asked[task]
        sides = (question["generation_id"], question["other_generation_id"])
        told = (row["generation_id"], row["other_generation_id"])
        if set(told) != set(sides) or row["value"] is None:
            continue
        value = row["value"] if told == sides else -row["value"]
        wins.append(0.5 * (np.sign(value) + 1))
        predicted.append(question["predicted"])
        prompts.append(question["prompt_id"])
    return BlindAnswers(
        wins=np.array(wins, np.float64), predicted=np.array(predicted, np.float64), prompts=prompts
    )


def _comparisons(annotations: pa.Table, tasks: list[str]) -> pa.Table:
    kept = pc.and_(
        pc.is_in(annotations["task_id"], pa.array(tasks, pa.string())),
        pc.and_(
            pc.equal(annotations["kind"], "comparison"),
            pc.fill_null(pc.equal(annotations["aspect"], "overall"), False),
        ),
    )
    return annotations.filter(kept).sort_by(
        [("updated_at", "ascending"), ("annotation_id", "ascending")]
    )


def _firsts(drawn: Sequence[Sequence[bytes | None]]) -> list[int | None]:
    return [next((j for j, png in enumerate(row) if png is not None), None) for row in drawn]


def _name(kind: str, *parts: str) -> str:
    return f"{kind}_" + blake2b("\x1f".join(parts).encode(), digest_size=10).hexdigest()
