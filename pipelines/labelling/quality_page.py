"""The lead's view in Dagster: who needs a word, and how far people agree, with plots."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from pipelines.plots import ranges_picture

_LEAST: Final = 10  # comparisons without which nothing is said of a person
_HASTY: Final = 0.2  # share of hasty answers that wants a word
_SLOW: Final = 3.0  # times everybody's median time
_CHANCE: Final = (
    "Intervals of 95 %: of twenty annotators, one lies beyond each kind of them by chance. "
    "Agreement is with the others, not with the truth."
)
Row = Mapping[str, Any]


def quality_page(quality: pa.Table) -> str:
    """Return annotators, those who want a word first, as a table under a plot.

    Args:
        quality: rows of `annotation.quality.ANNOTATOR_QUALITY`.
    """
    rows: Sequence[Row] = quality.to_pylist()
    if not rows:
        return "No answers yet."
    noted = with_concerns(rows)
    head = "| annotator | answers | agrees with others | gold | left | hasty | drift | look at |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for told, row in noted:
        cells = (
            row["annotator_id"], str(row["answers"]), _of_100(row, "agrees"),
            _of_100(row, "gold_right", "gold"), _of_100(row, "left_share", "left"),
            _share(row["hasty"]),
            _points(row["drift"], row["drift_low"], row["drift_high"]), ", ".join(told),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    order = [row for _, row in noted]
    picture = ranges_picture(
        [row["annotator_id"] for row in order],
        [
            ("agrees with others", [_range(row, "agrees") for row in order], None),
            ("gold right", [_range(row, "gold_right", "gold") for row in order], None),
            ("share of left", [_range(row, "left_share", "left") for row in order], 0.5),
        ],
    )
    return "\n\n".join((picture, "\n".join(lines), _CHANCE))


def agreement_page(agreement: pa.Table) -> str:
    """Return agreement beyond chance by kind of answer and aspect.

    Args:
        agreement: rows of `annotation.quality.ASPECT_AGREEMENT`.
    """
    rows: Sequence[Row] = agreement.to_pylist()
    if not rows:
        return "No answers yet."
    lines = ["| answers to | aspect | alpha | answers | shared | annotators |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {row['kind']} | {row['aspect']} | {_alpha(row)} | {row['answers']} | {row['shared']} "
        f"| {row['annotators']} |"
        for row in rows
    ]
    names = [f"{row['aspect']} ({row['kind']})" for row in rows]
    ranges = [_range(row, "alpha", "") for row in rows]
    return (
        ranges_picture(names, [("Krippendorff's alpha", ranges, 0.0)]) + "\n\n" + "\n".join(lines)
    )


def with_concerns(rows: Sequence[Row]) -> list[tuple[list[str], Row]]:
    """Return each annotator with what a lead should look at, those who want a word first.

    Args:
        rows: of `annotation.quality.ANNOTATOR_QUALITY`.
    """
    agrees, right = (_together(rows, *names) for names in (("agrees", "shared"),
                                                           ("gold_right", "gold")))  # fmt: skip
    return sorted(
        ((concerns(row, agrees, right), row) for row in rows),
        key=lambda each: (-len(each[0]), each[1]["annotator_id"]),
    )


def concerns(row: Row, everybody: float | None, everybody_right: float | None = None) -> list[str]:
    """Return what a lead should look at: only what an interval, not a mean, says.

    Args:
        row: of `annotation.quality.ANNOTATOR_QUALITY`.
        everybody: agreement of all annotators together; None if nothing was shared.
        everybody_right: share of gold that all together get right; None if none was asked.
    """
    told = []
    enough = row["shared"] >= _LEAST
    if enough and everybody is not None and row["agrees_high"] < 0.5:
        told.append("says the opposite of others")
    elif enough and everybody is not None and row["agrees_high"] < everybody:
        told.append("agrees less than others")
    if row["gold"] >= _LEAST and everybody_right is not None and row["gold_high"] < everybody_right:
        told.append("misses gold more than others")
    if row["sided"] >= _LEAST and not row["left_low"] <= 0.5 <= row["left_high"]:
        told.append("prefers the left" if row["left_low"] > 0.5 else "prefers the right")
    if row["answers"] >= _LEAST and (row["hasty"] or 0.0) > _HASTY:
        told.append("answers in a hurry")
    if row["answers"] >= _LEAST and (row["pace_low"] or 0.0) > _SLOW:
        told.append("takes far longer than others")
    if enough and any((row[name] or 0.0) < 0 for name in ("drift_high", "trend_high")):
        told.append("agrees less than before")
    if (row["anchored_low"] or 0.0) > 0:
        told.append("follows predictions")
    return told


def _together(rows: Sequence[Row], share: str, count: str) -> float | None:
    total = sum(row[count] for row in rows)
    return sum((row[share] or 0.0) * row[count] for row in rows) / total if total else None


def _range(row: Row, name: str, edges: str | None = None) -> tuple[float, float, float] | None:
    before = name if edges is None else edges
    low, high = (f"{before}_{end}" if before else end for end in ("low", "high"))
    if row[name] is None:
        return None
    middle = float(row[name])
    return (middle, float(row[low] if row[low] is not None else middle),
            float(row[high] if row[high] is not None else middle))  # fmt: skip


def _of_100(row: Row, name: str, edges: str | None = None) -> str:
    found = _range(row, name, edges)
    return "" if found is None else "{:.0f} % [{:.0f}, {:.0f}]".format(*(100 * x for x in found))


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _points(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return ""
    return f"{100 * value:+.0f} [{100 * low:+.0f}, {100 * high:+.0f}]"


def _alpha(row: Row) -> str:
    found = _range(row, "alpha", "")
    return "undefined" if found is None else "{:.2f} [{:.2f}, {:.2f}]".format(*found)
