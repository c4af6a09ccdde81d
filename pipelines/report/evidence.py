"""What the model learned from: intents found against truth, dropped rows, agreement."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Final

from pipelines.report.looks import ASPECTS, REASONS
from pipelines.report.model import (
    Confusion,
    Demo,
    Drop,
    ExampleUser,
    Intents,
    Interval,
    MockShare,
)  # fmt: skip
from pipelines.report.plots import Plot, user_histogram
from pipelines.report.standing import featured, in_order, title_of
from pipelines.report.verdict import bracket, number

_FEWEST: Final = 10  # prompts below which an interval over prompts says nothing
_SLIGHT: Final = 0.2  # Landis & Koch (1977): slight agreement at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Intents as found (rows) against the truth (columns)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]  # name, (count, share of column)
    right: str  # share of all users on the diagonal; empty if the axes differ
    commonest: str  # share of the most frequent true intent: what a guess of it would get right


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentView:
    """One turn's de-noising, told to a newcomer."""

    arm: str
    title: str
    turn: int
    seed: int | None
    matrix: Matrix | None
    histogram: Plot | None
    auc: str
    downloads: MockShare | None
    examples: tuple[ExampleUser, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DropView:
    """Rows one arm left out, most first; the bar is relative to the largest."""

    title: str
    arm: str
    total: int
    rows: tuple[
        tuple[str, str, str, int, float], ...
    ]  # stage, reason, what it means, rows, bar in %


def intents(demo: Demo) -> list[IntentView]:
    """List what was found, the featured arm's last turn first."""
    lead = featured(demo).name
    ordered = sorted(
        demo.intents, key=lambda row: (row.arm != lead, -row.turn, row.arm, row.seed or 0)
    )
    return [_intent(demo, row) for row in ordered]


def drops(demo: Demo) -> list[DropView]:
    """Sum dropped rows over turns and seeds, the featured arm first."""
    lead = featured(demo).name
    names = [arm.name for arm in in_order(demo.arms)]
    ordered = sorted(names, key=lambda name: name != lead)
    grouped = {name: [row for row in demo.drops if row.arm == name] for name in ordered}
    return [_drop(title_of(demo, name), name, rows) for name, rows in grouped.items() if rows]


def agreement(demo: Demo) -> list[tuple[str, str, str, str, str, str]]:
    """List rows as (arm, turn, aspect, alpha, interval, answers)."""
    return [
        (
            title_of(demo, row.arm),
            str(row.turn) + (f", seed {row.seed}" if row.seed is not None else ""),
            ASPECTS[row.aspect][0],
            "undefined" if row.alpha is None else number(row.alpha, digits=3),
            "" if row.low is None or row.high is None else bracket(row.low, row.high, digits=3),
            "" if row.answers is None else f"{row.answers:,}",
        )
        for row in demo.agreement
    ]


def skills(demo: Demo) -> list[tuple[str, str, str, str, list[str]]]:
    """List rows as (arm, turn, skill, quality, shares that follow each skill), ids as they are.

    Below ten prompts a row says so instead of an interval.
    """
    ids = skill_ids(demo)
    return [
        (
            title_of(demo, row.arm),
            str(row.turn) + (f", seed {row.seed}" if row.seed is not None else ""),
            row.skill_id or "no skill",
            _measured(row.quality, row.prompts, scale=1, digits=1),
            [_measured(row.followed[name], row.prompts, scale=100, digits=0) for name in ids],
        )
        for row in demo.skills
    ]


def skill_ids(demo: Demo) -> list[str]:
    """Return the skills whose following was measured."""
    return list(demo.skills[0].followed) if demo.skills else []


def _measured(found: Interval, prompts: int, *, scale: float, digits: int) -> str:
    mean = number(scale * found.mean, digits=digits)
    if prompts < _FEWEST:
        return f"{mean} (too few prompts for an interval: {prompts})"
    return f"{mean} {bracket(scale * found.low, scale * found.high, digits=digits)}"


def agrees_little(demo: Demo) -> bool:
    """Say whether most of the alphas lie below what people call slight agreement."""
    known = [row.alpha for row in demo.agreement if row.alpha is not None]
    return bool(known) and median(known) < _SLIGHT


def _intent(demo: Demo, row: Intents) -> IntentView:
    mockers = [user.mock_share for user in row.users if user.is_mocker]
    others = [user.mock_share for user in row.users if not user.is_mocker]
    return IntentView(
        arm=row.arm,
        title=title_of(demo, row.arm),
        turn=row.turn,
        seed=row.seed,
        matrix=_matrix(row.found_against_truth) if row.found_against_truth else None,
        histogram=user_histogram(
            mockers=mockers, others=others, title="Who mocks, as found, by what users truly are"
        )
        if row.users
        else None,
        auc="" if row.mocker_auc is None else number(100 * row.mocker_auc),
        downloads=row.mock_share_of_downloads,
        examples=row.example_users,
    )


def _matrix(found: Confusion) -> Matrix:
    totals = [sum(row[place] for row in found.counts) for place in range(len(found.columns))]
    square = found.rows == found.columns and sum(totals) > 0
    diagonal = sum(row[place] for place, row in enumerate(found.counts)) if square else 0
    return Matrix(
        columns=found.columns,
        rows=tuple(
            (
                name,
                tuple(
                    (count, count / total if total else 0.0)
                    for count, total in zip(row, totals, strict=True)
                ),
            )
            for name, row in zip(found.rows, found.counts, strict=True)
        ),
        right=number(100 * diagonal / sum(totals)) if square else "",
        commonest=number(100 * max(totals) / sum(totals)) if square else "",
    )


def _drop(title: str, arm: str, rows: list[Drop]) -> DropView:
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        sums[row.stage, row.reason] += row.rows
    most = max(sums.values()) or 1
    ordered = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    return DropView(
        title=title,
        arm=arm,
        total=sum(sums.values()),
        rows=tuple(
            (stage, reason.replace("_", " "), REASONS.get(reason, ""), count, 100 * count / most)
            for (stage, reason), count in ordered
        ),
    )
