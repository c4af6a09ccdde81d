"""Queue: which prompts to ask people about next."""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from math import isfinite
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import ContractError

TASK: Final = pa.schema(
    [
        pa.field("task_id", pa.string()),
        pa.field("kind", pa.string()),  # rating or comparison
        pa.field("prompt_id", pa.string()),
        pa.field("generation_id", pa.string()),
        pa.field("other_generation_id", pa.string()),  # null for ratings
        pa.field("aspect", pa.string()),
    ]
)


class _Member(NamedTuple):
    """One answer to a prompt, and under which skill it was made."""

    generation: str
    modality: str
    tenant: str | None
    skill: str | None


def choose_tasks(
    generations: pa.Table,
    uncertainty: pa.Table | None,
    *,
    budget: int,
    exploration: float,
    rng: np.random.Generator,
    aspects: Sequence[str] | None = None,
    comparisons: int = 2,
) -> pa.Table:
    """Choose whole prompts: the least certain ones, and some at random.

    Of a chosen prompt every generation is rated on every aspect of its modality, and the least
    certain generations are compared. A question keeps its task_id whenever it is asked.

    Args:
        generations: generation_id, prompt_id, modality; tenant_id where there are several, and
            skill_id where there are skills: only answers of one tenant under one skill are
            compared.
        uncertainty: generation_id, uncertainty (higher is less certain) from the previous turn;
            None in the first. Generations it does not know count as the least certain.
        budget: tasks at most; a prompt that does not fit ends the queue.
        exploration: share of prompts taken at random, in [0, 1], so that the queue also meets
            what the model is wrongly sure of.
        rng: decides the random prompts and breaks ties.
        aspects: which to rate; None: all of the modality.
        comparisons: how many pairs to compare of each prompt.

    Raises:
        ContractError: a column is missing, or a share or size is out of range.
    """
    if budget < 0 or not 0 <= exploration <= 1:
        raise ContractError("budget must be at least 0, and exploration a share in [0, 1]")
    missing = {"generation_id", "prompt_id", "modality"} - set(generations.column_names)
    if missing:
        raise ContractError(f"generations: column {', '.join(sorted(missing))} missing")
    doubt = _doubts(uncertainty)
    unknown = max(doubt.values(), default=0.0) + 1.0
    by_prompt: dict[str, list[_Member]] = {}
    known = [n for n in ("prompt_id", "generation_id", "modality", "tenant_id", "skill_id")
             if n in generations.column_names]  # fmt: skip
    rows = generations.select(known).sort_by(
        [("prompt_id", "ascending"), ("generation_id", "ascending")]
    )
    for row in rows.to_pylist():
        member = _Member(
            row["generation_id"], row["modality"], row.get("tenant_id"), row.get("skill_id")
        )
        by_prompt.setdefault(row["prompt_id"], []).append(member)
    prompts = list(by_prompt)
    unsure = np.array(
        [np.mean([doubt.get(g, unknown) for g, *_ in by_prompt[p]]) for p in prompts], dtype=float
    )
    tasks: list[dict[str, str | None]] = []
    for n in _order(unsure, exploration=exploration, rng=rng):
        asked = _ask(
            prompts[n], by_prompt[prompts[n]], doubt, unknown, aspects=aspects, pairs=comparisons
        )
        if len(tasks) + len(asked) > budget:
            break
        tasks += asked
    return pa.Table.from_pylist(tasks, schema=TASK)


def _order(unsure: np.ndarray[tuple[int, ...], np.dtype[np.float64]], *, exploration: float,
           rng: np.random.Generator) -> list[int]:  # fmt: skip
    """Merge two orders of the prompts, least certain first and random, by weighted coins."""
    size = len(unsure)
    random = rng.permutation(size)
    by_doubt = np.lexsort((rng.permutation(size), -unsure))
    explores = rng.random(size) < exploration
    merged: list[int] = []
    seen: set[int] = set()
    queues = {True: iter(random.tolist()), False: iter(by_doubt.tolist())}
    for explore in explores.tolist():
        n = next(n for n in queues[explore] if n not in seen)
        seen.add(n)
        merged.append(n)
    return merged


def _ask(
    prompt: str,
    members: list[_Member],
    doubt: dict[str, float],
    unknown: float,
    *,
    aspects: Sequence[str] | None,
    pairs: int,
) -> list[dict[str, str | None]]:
    tasks = [
        task_row("rating", prompt, generation, None, aspect.name)
        for generation, modality, *_ in members
        for aspect in ASPECT_TABLE
        if modality in aspect.modalities and (aspects is None or aspect.name in aspects)
    ]
    ranked = sorted(members, key=lambda m: (-doubt.get(m.generation, unknown), m.generation))
    under: dict[tuple[str | None, str | None], list[str]] = {}
    for member in ranked:
        under.setdefault((member.tenant, member.skill), []).append(member.generation)
    duels = [
        duel
        for names in under.values()
        for duel in [*((names[0], other) for other in names[1:]), *pairwise(names[1:])]
    ]
    return tasks + [
        task_row("comparison", prompt, min(duel), max(duel), "overall") for duel in duels[:pairs]
    ]


def task_row(
    kind: str, prompt: str, generation: str, other: str | None, aspect: str
) -> dict[str, str | None]:
    """Return one row of `TASK`; the same question has the same task_id whoever asks it.

    Args:
        kind: rating or comparison.
        prompt: its id.
        generation: what is judged; of a comparison the smaller id.
        other: its rival; None for a rating.
        aspect: what is asked about; overall for a comparison.
    """
    question = "\x1f".join((kind, generation, other or "", aspect))
    return {
        "task_id": "task_" + blake2b(question.encode(), digest_size=10).hexdigest(),
        "kind": kind,
        "prompt_id": prompt,
        "generation_id": generation,
        "other_generation_id": other,
        "aspect": aspect,
    }


def _doubts(uncertainty: pa.Table | None) -> dict[str, float]:
    if uncertainty is None:
        return {}
    names, values = (uncertainty[n].to_pylist() for n in ("generation_id", "uncertainty"))
    pairs = zip(names, values, strict=True)
    return {name: float(value) for name, value in pairs if value is not None and isfinite(value)}
