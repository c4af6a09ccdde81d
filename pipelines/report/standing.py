"""Where an arm stands after a turn of the wheel, all seeds together."""

from collections.abc import Iterable
from statistics import fmean
from typing import Protocol, TypeVar

from pipelines.report.looks import ARMS, FEATURED
from pipelines.report.model import (
    Arm,
    ArmName,
    AspectName,
    Comparison,
    Demo,
    Diversity,
    Interval,
    Turn,
    Validity,
)


class _Seeded(Protocol):
    @property
    def turn(self) -> int: ...
    @property
    def seed(self) -> int | None: ...


_Row = TypeVar("_Row", bound=_Seeded)


def in_order(arms: Iterable[Arm]) -> list[Arm]:
    """Sort arms into the order of telling: base first, ours last."""
    order = list(ARMS)
    return sorted(arms, key=lambda arm: order.index(arm.name))


def title_of(demo: Demo, name: ArmName) -> str:
    """Return what an arm is called, present or not."""
    given = next((arm.title for arm in demo.arms if arm.name == name), None)
    return given or ARMS[name].title


def featured(demo: Demo) -> Arm:
    """Return the arm that the page is about."""
    return min(demo.arms, key=lambda arm: FEATURED.index(arm.name))


def turns_of(arm: Arm) -> list[int]:
    """Return the turns that were measured, ascending."""
    return sorted({row.turn for row in arm.turns})


def preferred(rows: Iterable[_Row]) -> list[_Row]:
    """Keep rows for all seeds together where a turn has them, else every seed's row."""
    given = list(rows)
    whole = {row.turn for row in given if row.seed is None}
    return [row for row in given if row.seed is None or row.turn not in whole]


def standing(arm: Arm, turn: int | None = None) -> Turn | None:
    """Return one row for *turn* (None: the last); None if it was not measured.

    Without a row for all seeds together, means are averaged over seeds and the interval is the
    hull of the seeds' intervals: too wide rather than too narrow.
    """
    wanted = turn if turn is not None else max(turns_of(arm), default=0)
    rows = [row for row in preferred(arm.turns) if row.turn == wanted]
    if len(rows) < 2:
        return rows[0] if rows else None
    aspects = [aspect for aspect in rows[0].quality if all(aspect in row.quality for row in rows)]
    decisions = [row.released for row in rows if row.released is not None]
    return Turn(
        turn=wanted,
        released=all(decisions) if decisions else None,
        quality={aspect: _interval([row.quality[aspect] for row in rows]) for aspect in aspects},
        validity=_validity([row.validity for row in rows if row.validity]),
        diversity=_diversity([row.diversity for row in rows if row.diversity]),
    )


def compared(
    demo: Demo, arm: ArmName, against: ArmName, *, aspect: AspectName = "overall"
) -> Comparison | None:
    """Return the comparison after the last turn of the wheel, if one was made."""
    found = [
        row
        for row in demo.comparisons
        if (row.arm, row.against, row.aspect) == (arm, against, aspect)
    ]
    return max(found, key=_latest, default=None)


def _latest(row: Comparison) -> tuple[float, int]:
    return (row.turn if row.turn is not None else float("inf"), len(row.seeds))


def _interval(rows: list[Interval]) -> Interval:
    return Interval(
        mean=fmean(row.mean for row in rows),
        low=min(row.low for row in rows),
        high=max(row.high for row in rows),
    )


def _validity(rows: list[Validity]) -> Validity | None:
    if not rows:
        return None
    return Validity(
        share=fmean(row.share for row in rows),
        low=min(row.low for row in rows),
        high=max(row.high for row in rows),
        samples=sum(row.samples or 0 for row in rows) or None,
    )


def _diversity(rows: list[Diversity]) -> Diversity | None:
    if not rows:
        return None
    return Diversity(
        value=fmean(row.value for row in rows),
        low=min(row.low for row in rows),
        high=max(row.high for row in rows),
    )
