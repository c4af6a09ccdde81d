"""Weighing: how much each exposure may count as evidence, every change under its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from pipelines.signals.coordination import find_groups
from pipelines.signals.drops import drops_table
from pipelines.signals.exposures import EXPOSURE, training_exposures
from pipelines.signals.indiscriminate import find_indiscriminate
from pipelines.signals.one_sided import find_one_sided
from pipelines.signals.query import conform
from pipelines.signals.repeats import fresh_share
from pipelines.signals.signal_table import BoolArray, FloatArray
from pipelines.signals.tenant_users import IntArray, User, number_users

REASONS: Final = (
    "repeated", "coordinated", "indiscriminate", "one_sided", "user_cap", "tenant_cap",
)  # fmt: skip
NAMED: Final = ("coordinated", "indiscriminate", "one_sided")  # reasons that name users


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighingSettings:
    """Which exposures are weighed down; *keep* undoes any of REASONS."""

    alike: float = 0.5  # of what two users saw and praised, how much both surely praised
    repeats: int = 3  # exposures of one generation that one user may give
    user_share: float = 0.01  # of all evidence that one user may give ...
    user_floor: int = 500  # ... but never fewer exposures than this
    tenant_share: float = 1.0  # of the evidence that remains, that one tenant may give
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.keep) - set(REASONS))
        if unknown:
            raise ContractError(
                f"keep: {', '.join(unknown)} is no reason; use {', '.join(REASONS)}"
            )
        if self.repeats < 1:
            raise ContractError(f"repeats is {self.repeats}; give at least 1 exposure")
        if not 0 < self.tenant_share <= 1:
            raise ContractError(
                f"tenant_share is {self.tenant_share}; give a share above 0, at most 1"
            )


class Weighed(NamedTuple):
    """Exposures with their weights, how much evidence each reason took, and who was named."""

    table: pa.Table
    drops: pa.Table
    reasons: pa.Table  # user_id, tenant_id, reason, group (null but for coordinated)


def weigh(
    exposures: pa.Table, generations: pa.Table, *, settings: WeighingSettings | None = None
) -> Weighed:
    """Weigh down groups, one-sided and indiscriminate voters, and whoever gives too much evidence.

    What one user gives about one generation beyond *repeats* exposures adds nothing. A group
    counts as one user; one-sided and indiscriminate voters count for nothing; a cap scales
    all exposures of its user or tenant alike. Exposures stay in the table, so every change can be
    undone with *keep*. Drops count exposures by reason, rounded from the weight they lost.

    Args:
        exposures: from `exposures`; rows of weight 0 stay as they are.
        generations: generation_id, model_release; one-sidedness is between releases.
        settings: thresholds and caps.
    """
    settings = settings or WeighingSettings()
    table = conform(exposures, EXPOSURE, what="exposures")
    weight = table["weight"].to_numpy().astype(np.float64)
    asked = [
        "user_id", "tenant_id", "generation_id", "position", "pattern", "weight", "heldout",
    ]  # fmt: skip
    believed = training_exposures(table.select(asked))
    voting_together = "coordinated" not in settings.keep
    given = weigh_rows(
        table["user_id"], table["tenant_id"], weight,
        heldout=table["heldout"].to_numpy(zero_copy_only=False),
        fresh=_fresh(table, settings),
        sided=[] if "one_sided" in settings.keep else find_one_sided(believed, generations),
        groups=find_groups(believed, alike=settings.alike) if voting_together else {},
        anything=[] if "indiscriminate" in settings.keep else find_indiscriminate(believed),
        settings=settings,
    )  # fmt: skip
    at = table.schema.get_field_index("weight")
    return Weighed(
        table.set_column(at, "weight", pa.array(given.weight)), given.drops, given.reasons
    )


def _fresh(exposures: pa.Table, settings: WeighingSettings) -> FloatArray:
    """Return (e,) how much of each exposure is no repetition."""
    _, user = number_users(exposures["user_id"], exposures["tenant_id"])
    ids = pc.dictionary_encode(exposures["generation_id"].combine_chunks())
    item = ids.indices.to_numpy().astype(np.int64)
    return fresh_share(user, item, most=settings.repeats)


class RowWeights(NamedTuple):
    """The weight of each row, and what a `Weighed` says beside it."""

    weight: FloatArray
    drops: pa.Table
    reasons: pa.Table


def weigh_rows(
    user: pa.ChunkedArray,
    tenant: pa.ChunkedArray,
    weight: FloatArray,
    *,
    heldout: BoolArray,
    sided: Sequence[User],
    groups: Mapping[User, int],
    settings: WeighingSettings,
    anything: Sequence[User] = (),
    times: FloatArray | float = 1.0,
    fresh: FloatArray | float = 1.0,
) -> RowWeights:
    """Weigh rows of exposures down: all of one user and tenant alike, but for what is *fresh*.

    Args:
        user: (n,) user_id.
        tenant: (n,) tenant_id.
        weight: (n,) before, in [0, 1].
        heldout: (n,) rows that are no evidence and are not counted as lost.
        sided: users who count for nothing.
        groups: group of each user who belongs to one.
        settings: caps, and what to keep.
        anything: users who praise anything; they count for nothing unless *sided* or in *groups*.
        times: (n,) exposures that each row stands for.
        fresh: (n,) how much of each row is no repetition, from `fresh_share`.
    """
    lost: dict[str, float] = {}
    named: list[tuple[User, str, int | None]] = []
    users, of_row = number_users(user, tenant)

    def scale(reason: str, factor: FloatArray) -> None:
        nonlocal weight
        lost[reason] = float((weight * (1 - factor) * times)[~heldout].sum())
        weight = weight * factor

    if "repeated" not in settings.keep:
        scale("repeated", np.ones(len(of_row)) * fresh)
    # Who follows a plan does not praise just anything, however much that is.
    planned = {*sided, *groups}
    anything = [each for each in anything if each not in planned]
    for reason, who in (("one_sided", sided), ("indiscriminate", anything)):
        if reason not in settings.keep:
            named += [(each, reason, None) for each in who]
            scale(reason, np.where(users.marked(who), 0.0, 1.0)[of_row])
    if "coordinated" not in settings.keep:
        named += [(each, "coordinated", group) for each, group in groups.items()]
        group = np.array(list(groups.values()), dtype=np.int64)
        share = np.ones(len(users))
        share[users.find(list(groups))] = 1.0 / np.bincount(group)[group]
        scale("coordinated", share[of_row])
    if "user_cap" not in settings.keep:
        cap = max(settings.user_floor, settings.user_share * (weight * times).sum())
        scale("user_cap", _capped(of_row, weight * times, cap))
    several = len(users.tenants) > 1
    if "tenant_cap" not in settings.keep and several and settings.tenant_share < 1:
        owner = (users.code % len(users.tenants))[of_row]
        evidence = np.where(heldout, 0.0, weight * times)
        given = np.bincount(owner, weights=evidence, minlength=len(users.tenants))
        cap = remaining_cap(given.astype(np.float64), settings.tenant_share)
        scale("tenant_cap", _capped(owner, evidence, cap))
    counts = {reason: round(rows) for reason, rows in lost.items()}
    reasons = pa.table(
        {
            "user_id": pa.array([each.user_id for each, _, _ in named], pa.string()),
            "tenant_id": pa.array([each.tenant_id for each, _, _ in named], pa.string()),
            "reason": pa.array([reason for _, reason, _ in named], pa.string()),
            "group": pa.array([group for _, _, group in named], pa.int64()),
        }
    )
    return RowWeights(weight, drops_table("weighing", counts), reasons)


def remaining_cap(total: FloatArray, share: float) -> float:
    """Return the largest cap with which nobody gives more than *share* of what then remains.

    The k who give most are cut to c, which is *share* of k times c and all that the others give.
    Of n who give anything somebody gives 1 / n at least: under a smaller *share* all are cut to
    what the least of them gives.

    Args:
        total: (n,) what each gives, >= 0.
        share: in (0, 1).

    Example:
        >>> remaining_cap(np.array([900.0, 60.0, 40.0]), 0.5)
        100.0
    """
    least = np.sort(total[total > 0])
    most, rest = least[::-1], np.cumsum(least)[::-1]  # of the k-th, and of all from there on
    for k in range(len(most)):
        open_share = 1.0 - share * k
        if open_share > 0 and most[k] * open_share <= share * rest[k]:
            return float(share * rest[k] / open_share)
    return float(most[-1]) if len(most) else 0.0


def _capped(owner: IntArray, weight: FloatArray, cap: float) -> FloatArray:
    """Return the factor by which each row is scaled so that no *owner* weighs more than *cap*."""
    if len(owner) == 0:
        return np.ones(0)
    total = np.bincount(owner, weights=weight)
    factor = np.where(total > cap, cap / np.maximum(total, 1e-300), 1.0)
    return factor[owner].astype(np.float64)
