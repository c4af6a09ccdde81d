"""Pairs: of two generations for one prompt, which is better, how surely, and on what evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.errors import ContractError
from data_contracts.schemas import GENERATION, PREFERENCE_PAIR
from pipelines.preferences.channels import OVERALL
from pipelines.preferences.evidence import EVIDENCE, direct_votes
from pipelines.preferences.finishing import Judging, backed
from pipelines.preferences.intent import IntentFit
from pipelines.preferences.splits import SplitSettings, split_prompts
from pipelines.preferences.target import TargetSettings, targets
from pipelines.signals.drops import drops_table
from pipelines.signals.engines import DUCKDB, Engine
from pipelines.signals.joining import reasons
from pipelines.signals.query import conform, query, subset
from pipelines.signals.signal_table import BoolArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_ASKED: Final = subset(GENERATION, ("generation_id", "prompt_id", "skill_id")).append(
    pa.field("tenant_id", pa.string())  # absent: of one tenant
)

CANDIDATE: Final = pa.schema(
    [
        pa.field("prompt_id", pa.string()),
        pa.field("chosen_id", pa.string()),
        pa.field("rejected_id", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("target", pa.float64()),
        pa.field("weight", pa.float64()),
        pa.field("kept", pa.bool_()),
        pa.field("known", pa.bool_()),  # there is evidence about at least one of the two
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSettings:
    """Which pairs are made and which are kept."""

    aspects: tuple[str, ...] = ("overall",)
    per_prompt: int = 12  # most certain pairs kept of one prompt and aspect
    keep_undecided: bool = False  # every pair once, undecided ones too
    # Pairs that are surely equal in an aspect are kept as ties. Never overall: policies learn
    # from those pairs, and a tie has nothing to imitate.
    ties: bool = False
    target: TargetSettings = field(default_factory=TargetSettings)
    splits: SplitSettings = field(default_factory=SplitSettings)


class Pairs(NamedTuple):
    """Preference pairs in canonical order, and how many were left out, by reason."""

    table: pa.Table
    drops: pa.Table


def make_pairs(
    fit: IntentFit,
    prompts: pa.Table,
    generations: pa.Table,
    evidence: pa.Table,
    *,
    annotations: pa.Table | None = None,
    instead: pa.Table | None = None,
    splits: pa.Table | None = None,
    settings: PairSettings | None = None,
    engine: Engine = DUCKDB,
) -> Pairs:
    """Compare all generations of one prompt, tenant and skill by the fit's posterior.

    Args:
        fit: posterior by generation and aspect.
        prompts: prompt contract; decides the split.
        generations: generation contract; those the fit does not know are dropped.
        evidence: from `gather_evidence`; what each pair points back to.
        annotations: raw answers; where many compared the same two and truly split, the target
            is soft. None: every target is hard.
        instead: CANDIDATE rows that stand in place of the posterior's about the same two.
        splits: from `split_prompts`, where it is known already; else it follows from *prompts*.
        settings: thresholds, cap, splits.
        engine: who finishes the pairs; the rows are the same.

    Returns:
        Rows of the preference_pair contract; drops by reason: no_evidence, undecided,
        prompt_cap, unknown_prompt, two_tenants, other_skill. Pairs of one prompt = rows +
        drops.

    Raises:
        ContractError: a required column is missing, or an aspect was not fitted.
    """
    settings = settings or PairSettings()
    votes = direct_votes(annotations)
    parts = [
        _candidates(fit, generations, aspect, votes, settings=settings)
        for aspect in settings.aspects
    ]
    candidates = pa.concat_tables(parts)
    if instead is not None and instead.num_rows:
        candidates = query(_REPLACED, candidates=candidates, instead=instead).cast(CANDIDATE)
    return finish_pairs(
        candidates,
        prompts,
        evidence,
        settings=settings,
        stage="preferences",
        splits=splits,
        engine=engine,
        apart=pairs_apart(generations, fit.generation_ids, aspects=len(settings.aspects)),
    )


def same_prompt_indices(group: IntArray) -> tuple[IntArray, IntArray]:
    """Return every unordered pair of rows with equal *group*, each once; *group* is sorted."""
    first, second = [], []
    sizes = np.unique(group, return_counts=True)[1]
    for lag in range(1, int(sizes.max(initial=1))):
        at = np.flatnonzero(group[lag:] == group[:-lag])
        first.append(at)
        second.append(at + lag)
    if not first:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate(first), np.concatenate(second)


def candidate_table(
    generations: pa.Table, ids: tuple[str, ...], *, what: str
) -> tuple[pa.Table, IntArray, IntArray, IntArray]:
    """Return generations sorted by prompt, their index in *ids* (-1: none), and pair indices.

    Pairs are of one prompt, one tenant and one skill: nobody's work is compared with a rival's,
    and what differs in its guidance answers another question.
    """
    rows = query(
        "SELECT generation_id, min(prompt_id) AS prompt_id, "
        "coalesce(min(tenant_id), '') AS tenant_id, coalesce(min(skill_id), '') AS skill_id "
        "FROM rows GROUP BY generation_id ORDER BY prompt_id, tenant_id, skill_id, generation_id",
        rows=conform(generations, _ASKED, what=what),
    )
    place = pc.index_in(rows["generation_id"], value_set=pa.array(ids, pa.string()))
    index = pc.fill_null(place, -1).to_numpy().astype(np.int64)
    # Rows are sorted by all three, so a group begins where one of them changes.
    begins: BoolArray = np.zeros(max(rows.num_rows - 1, 0), dtype=bool)
    for name in ("prompt_id", "tenant_id", "skill_id"):
        column = rows[name].combine_chunks()
        begins |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    group = np.concatenate([np.zeros(min(rows.num_rows, 1), np.int64), np.cumsum(begins)])
    first, second = same_prompt_indices(group.astype(np.int64))
    return rows.select(["generation_id", "prompt_id"]), index, first, second


def pairs_apart(generations: pa.Table, ids: Sequence[str], *, aspects: int = 1) -> dict[str, int]:
    """Count the pairs of *ids* that answer one prompt but are not compared, by reason.

    They are of two tenants, or of one under different skills (or one without); each counts once
    for every one of so many *aspects*.
    """
    rows = conform(generations, _ASKED, what="generations")
    (found,) = query(
        """
        WITH asked AS (
            SELECT min(prompt_id) AS prompt_id, coalesce(min(tenant_id), '') AS tenant_id,
                coalesce(min(skill_id), '') AS skill_id
            FROM rows SEMI JOIN named USING (generation_id) GROUP BY generation_id
        ), alike AS (
            SELECT prompt_id, tenant_id, count(*) AS n FROM asked
            GROUP BY prompt_id, tenant_id, skill_id
        ), owned AS (
            SELECT prompt_id, sum(n) AS n, (sum(n) * sum(n) - sum(n * n)) / 2 AS apart FROM alike
            GROUP BY prompt_id, tenant_id
        ), of_prompt AS (
            SELECT sum(apart) AS skills, (sum(n) * sum(n) - sum(n * n)) / 2 AS tenants FROM owned
            GROUP BY prompt_id)
        SELECT CAST(coalesce(sum(tenants), 0) AS BIGINT) AS two_tenants,
            CAST(coalesce(sum(skills), 0) AS BIGINT) AS other_skill
        FROM of_prompt
        """,
        rows=rows,
        named=pa.table({"generation_id": pa.array(ids, pa.string())}),
    ).to_pylist()
    return {reason: int(rows) * aspects for reason, rows in found.items()}


def all_pairs(
    fit: IntentFit,
    generations: pa.Table,
    *,
    annotations: pa.Table | None = None,
    settings: PairSettings | None = None,
) -> pa.Table:
    """Compare every two generations of one prompt, each pair once, sure or not.

    Args:
        fit: posterior by generation and aspect.
        generations: generation contract.
        annotations: raw answers, as for `make_pairs`.
        settings: aspects and thresholds; cap and splits do not matter.

    Returns:
        CANDIDATE rows sorted by prompt, aspect, chosen and rejected; where nothing speaks for
        either, probability is .5 and *known* is false.

    Raises:
        ContractError: a required column is missing, or an aspect was not fitted.
    """
    settings = settings or PairSettings()
    votes = direct_votes(annotations)
    parts = [
        _candidates(fit, generations, aspect, votes, settings=settings)
        for aspect in settings.aspects
    ]
    order = [(name, "ascending") for name in ("prompt_id", "aspect", "chosen_id", "rejected_id")]
    return pa.concat_tables(parts).sort_by(order)


def finish_pairs(
    candidates: pa.Table,
    prompts: pa.Table,
    evidence: pa.Table,
    *,
    settings: PairSettings,
    stage: str,
    splits: pa.Table | None = None,
    apart: Mapping[str, int] | None = None,
    engine: Engine = DUCKDB,
) -> Pairs:
    """Cap, split, name and back every candidate (CANDIDATE schema) with its evidence.

    *apart*, from `pairs_apart`, were no candidates.
    """
    if splits is None:
        splits = split_prompts(prompts, settings=settings.splits)
    judge = Judging(settings.per_prompt, settings.keep_undecided)
    with engine.hold(judge, candidates=candidates, splits=splits) as judged:
        found = engine.run(reasons, judged=judged).to_pylist()
        table = engine.run(backed, judged=judged, evidence=evidence.cast(EVIDENCE))
    counts = {row["reason"]: row["rows"] for row in found if row["reason"] != "kept"}
    counts |= apart or {}
    return Pairs(
        table.select(PREFERENCE_PAIR.names).cast(PREFERENCE_PAIR), drops_table(stage, counts)
    )


def _candidates(
    fit: IntentFit, generations: pa.Table, aspect: str, votes: pa.Table, *, settings: PairSettings
) -> pa.Table:
    if aspect not in fit.aspects:
        raise ContractError(
            f"aspect {aspect} was not fitted; fitted are {', '.join(sorted(fit.aspects))}"
        )
    rows, index, first, second = candidate_table(
        generations, fit.generation_ids, what="generations"
    )
    inside = (index[first] >= 0) & (index[second] >= 0)
    first, second = first[inside], second[inside]
    chance = np.round(fit.better_chance(index[first], index[second], aspect), 12)
    names = rows["generation_id"].combine_chunks()
    prompts = rows["prompt_id"].combine_chunks()
    # At .5 the smaller id is chosen; rows are sorted by id, so that is the first.
    wins = chance >= 0.5
    probability = np.maximum(chance, 1 - chance)
    known = (fit.has_evidence[index[first]] + fit.has_evidence[index[second]]) > 0
    chosen, rejected = np.where(wins, first, second), np.where(wins, second, first)
    table = pa.table(
        {
            "row": np.arange(len(first)),
            "prompt_id": prompts.take(pa.array(first)),
            "chosen_id": names.take(pa.array(chosen)),
            "rejected_id": names.take(pa.array(rejected)),
            "aspect": pa.repeat(pa.scalar(aspect), len(first)),
            "probability": probability,
            "known": known,
        }
    )
    heard = query(_VOTES, pairs=table, votes=votes)
    alike = settings.ties and aspect != OVERALL
    aim = targets(
        probability,
        settings=settings.target,
        votes_for=heard["votes_for"].to_numpy(),
        votes=heard["votes"].to_numpy(),
        votes_tied=heard["votes_tied"].to_numpy(),
        equal=fit.equal_chance(index[first], index[second], aspect) if alike else None,
    )
    for name, column in zip(("target", "weight", "kept"), aim, strict=True):
        table = table.append_column(name, pa.array(column))
    return table.select(CANDIDATE.names).cast(CANDIDATE)


_VOTES: Final = """
SELECT row, coalesce(CASE WHEN chosen_id < rejected_id THEN won ELSE votes - won END, 0.0)
    AS votes_for, CAST(coalesce(votes, 0) AS DOUBLE) AS votes,
    CAST(coalesce(tied, 0) AS DOUBLE) AS votes_tied
FROM pairs LEFT JOIN votes ON first_id = least(chosen_id, rejected_id)
    AND second_id = greatest(chosen_id, rejected_id) AND votes.aspect = pairs.aspect
ORDER BY row
"""
_REPLACED: Final = """
SELECT * FROM candidates ANTI JOIN instead ON candidates.aspect = instead.aspect
    AND least(candidates.chosen_id, candidates.rejected_id)
        = least(instead.chosen_id, instead.rejected_id)
    AND greatest(candidates.chosen_id, candidates.rejected_id)
        = greatest(instead.chosen_id, instead.rejected_id)
UNION ALL BY NAME SELECT * FROM instead
ORDER BY prompt_id, aspect, chosen_id, rejected_id
"""
