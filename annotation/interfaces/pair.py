"""Pairs: two generations for one prompt, side by side."""

from collections.abc import Sequence

from annotation.interfaces import markup as m
from annotation.interfaces.controls import ASPECT, OVERALL, VERDICTS, side_choices
from annotation.interfaces.taxonomy import Reason
from data_contracts.aspects import Aspect

_SIDES = (("left", "A"), ("right", "B"))


def pair_markup(modality: str, aspects: Sequence[Aspect], reasons: Sequence[Reason]) -> str:
    """Return the markup of a pair: the verdict, a rating an aspect, and where and why if asked.

    Without *reasons* it is blind work: a verdict and ratings, nothing to draw or to write.
    """
    marks = bool(reasons)
    cards = []
    for side, title in _SIDES:
        parts = [m.words("fw-title", title), m.medium(modality, side, sync=True, marks=marks)]
        if marks:
            parts.append(m.box("fw-reasons", *m.marks_on(modality, side, reasons)))
        cards.append(m.box(f"fw-card fw-{side}", *parts))
    verdict = m.choices(OVERALL, "left", VERDICTS, required="Say which is better, or press 7 or 0.")
    ratings = [
        m.box(
            "fw-row",
            m.words("fw-question", aspect.question),
            m.choices(f"{ASPECT}{aspect.name}", "left", side_choices(row), required=None),
        )
        for row, aspect in enumerate(aspects)
    ]
    judged = [m.box("fw-verdict", verdict, m.submitting(modality))]
    judged.append(m.box("fw-ratings", *ratings))
    unmet = [(side, f"Not in {title}") for side, title in _SIDES]
    return m.page(
        f"{modality} fw-pair" + ("" if marks else " fw-blind"),
        m.prompt(unmet, marks=marks),
        m.box("fw-cards", *cards),
        *([m.comment("left")] if marks else []),
        m.box("fw-judged", *judged),
    )
