"""What the numbers say, in words that stay honest when they say little or the opposite."""

from dataclasses import dataclass
from typing import Final, Literal

from pipelines.report.model import ArmName, Comparison, Demo, Turn
from pipelines.report.standing import compared, featured, standing, title_of, turns_of

Tone = Literal["better", "unclear", "worse"]

VALIDITY_MAY_FALL: Final = 0.01  # of unconstrained samples, against base
DIVERSITY_MAY_FALL: Final = 0.10  # relative to base

_RIVALS: Final[tuple[ArmName, ...]] = ("naive", "sft_only", "explicit_only", "oracle")
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition that a good score could hide."""

    holds: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The first thing a reader sees; *tone* judges the featured arm against base."""

    headline: str
    sentences: tuple[str, ...]
    checks: tuple[Check, ...]
    tone: Tone


def tone_of(row: Comparison) -> Tone:
    """Judge a difference by its interval alone: one that touches 0 decides nothing."""
    if row.low > 0:
        return "better"
    return "worse" if row.high < 0 else "unclear"


def number(value: float, *, digits: int = 1, signed: bool = False) -> str:
    """Write a number for readers: a true minus sign, and no minus before zero."""
    text = f"{abs(value):,.{digits}f}"
    is_zero = not any(digit in text for digit in "123456789")
    sign = "" if is_zero else "−" if value < 0 else "+" if signed else ""
    return sign + text


def bracket(low: float, high: float, *, digits: int = 1) -> str:
    """Write an interval that no line break splits."""
    return f"[{number(low, digits=digits)},\u00a0{number(high, digits=digits)}]"


def in_sentence(title: str) -> str:
    """Write an arm's title inside a sentence; abbreviations keep their capitals."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def turns_in_words(count: int) -> str:
    """Write how often the wheel turned."""
    written = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{written} turn{'' if count == 1 else 's'} of the wheel"


def give_verdict(demo: Demo) -> Verdict:
    """Sum the run up for somebody who reads one sentence."""
    arm = featured(demo)
    against_base = compared(demo, arm.name, "base")
    sentences = [
        _against(demo, row) for rival in _RIVALS if (row := compared(demo, arm.name, rival))
    ]
    naive = compared(demo, "naive", "base")
    if naive and arm.name != "naive":
        sentences.insert(0, _face_value(naive))
    return Verdict(
        headline=_headline(demo, against_base),
        sentences=tuple(sentences),
        checks=tuple(_checks(demo)),
        tone=tone_of(against_base) if against_base else "unclear",
    )


def _headline(demo: Demo, against_base: Comparison | None) -> str:
    arm = featured(demo)
    last = standing(arm)
    if last is None or "overall" not in last.quality:
        return (
            f"The quality of {in_sentence(title_of(demo, arm.name))} was not measured in this run."
        )
    score = last.quality["overall"]
    when = f"After {turns_in_words(last.turn)}" if last.turn else "Before any turn of the wheel"
    start = (
        f"{when}, {in_sentence(title_of(demo, arm.name))} scores {number(score.mean)} "
        f"{bracket(score.low, score.high)} out of 100"
    )
    if arm.name == "base":
        return f"{start}; nothing was trained to compare it with."
    if against_base is None:
        return f"{start}; it was not compared with base, so nothing is claimed."
    return f"{start}, {_difference(against_base)} base {_interval(against_base)}."


def _difference(row: Comparison) -> str:
    size = number(abs(row.difference))
    return {
        "better": f"{size} points above",
        "worse": f"{size} points below",
        "unclear": "no better than",
    }[tone_of(row)]


def _interval(row: Comparison) -> str:
    interval = bracket(row.low, row.high)
    if tone_of(row) != "unclear":
        return interval
    return f"(difference {number(row.difference, signed=True)}; {interval} includes 0)"


def _against(demo: Demo, row: Comparison) -> str:
    arm, rival = title_of(demo, row.arm), in_sentence(title_of(demo, row.against))
    if row.against == "oracle":
        standing = "not told from" if tone_of(row) == "unclear" else _difference(row)
        return f"{arm} is {standing} {rival}, the ceiling {_interval(row)}."
    return f"{arm} is {_difference(row)} {rival} {_interval(row)}."


def _face_value(row: Comparison) -> str:
    start = "Likes and downloads taken at face value"
    size = number(abs(row.difference))
    return {
        "better": f"{start} gain {size} points on base {_interval(row)}: what is meant "
        "among them outweighs the mockery, which pulls the other way.",
        "worse": f"{start} make the model {size} points worse than base {_interval(row)}.",
        "unclear": f"{start} leave it no better than base {_interval(row)}.",
    }[tone_of(row)]


def _checks(demo: Demo) -> list[Check]:
    arm = featured(demo)
    base = next((other for other in demo.arms if other.name == "base"), None)
    last, start = standing(arm), standing(base) if base else None
    found: list[Check] = []
    if last and start and arm.name != "base":
        found += _held(last, start)
    if last and last.released is not None:
        found.append(
            Check(
                holds=last.released,
                text="The gate released the last policy."
                if last.released
                else "The gate refused the last policy: what is shown is the release before it.",
            )
        )
    if shuffled := compared(demo, "shuffled", "base"):
        found.append(_nothing_from_nothing(shuffled))
    if len(demo.seeds) == 1 and max(turns_of(arm), default=0) > 0:
        found.append(
            Check(
                holds=False,
                text="One seed: the intervals cover the choice of prompts, "
                "not the luck of a training run.",
            )
        )
    return found


def _nothing_from_nothing(row: Comparison) -> Check:
    gained = tone_of(row) == "better"
    size = number(row.difference, signed=True)
    what = "gained: not all of the gain is from preferences" if gained else "gained nothing"
    return Check(
        holds=not gained,
        text=f"Shuffled preferences {what} ({size} points {bracket(row.low, row.high)}).",
    )


def _held(last: Turn, start: Turn) -> list[Check]:
    found: list[Check] = []
    if last.validity and start.validity:
        change = last.validity.share - start.validity.share
        holds = change >= -VALIDITY_MAY_FALL
        found.append(
            Check(
                holds=holds,
                text=f"Validity {'held' if holds else 'fell'}: "
                f"{number(100 * last.validity.share)} % of unconstrained samples parse, "
                f"{number(100 * change, digits=2, signed=True)} points against base; "
                f"{number(100 * VALIDITY_MAY_FALL, digits=0)} may be lost.",
            )
        )
    if last.diversity and start.diversity and start.diversity.value > 0:
        relative = last.diversity.value / start.diversity.value - 1
        holds = relative >= -DIVERSITY_MAY_FALL
        found.append(
            Check(
                holds=holds,
                text=f"Diversity{'' if holds else ' fell too far'}: "
                f"{number(100 * relative, signed=True)} % against base; "
                f"{number(100 * DIVERSITY_MAY_FALL, digits=0)} % may be lost.",
            )
        )
    return found
