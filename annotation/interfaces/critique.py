"""Critiques: one generation, rated aspect by aspect, with where and why."""

from collections.abc import Sequence

from annotation.interfaces import markup as m
from annotation.interfaces.controls import ASPECT, OVERALL, REFUSALS
from annotation.interfaces.taxonomy import Reason
from data_contracts.aspects import Aspect


def critique_markup(modality: str, aspects: Sequence[Aspect], reasons: Sequence[Reason]) -> str:
    """Return the markup of a critique: stars an aspect, one key each, pressed once a star."""
    ratings = [
        m.box(
            "fw-row",
            m.words("fw-key", str(key)),
            m.words("fw-question", aspect.question),
            m.tag("Rating", name=f"{ASPECT}{aspect.name}", toName="only",
                  maxRating=str(aspect.levels), hotkey=str(key), size="medium", icon="star"),
        )
        for key, aspect in enumerate(aspects, start=1)
    ]  # fmt: skip
    card = m.box(
        "fw-card",
        m.medium(modality, "only", sync=False, marks=True),
        m.box("fw-reasons", *m.marks_on(modality, "only", reasons)),
    )
    refusals = m.choices(OVERALL, "only", REFUSALS, required=None)
    return m.page(
        f"{modality} fw-critique",
        m.prompt([("only", "Not satisfied")], marks=True),
        m.box(
            "fw-cards",
            card,
            m.box("fw-judged", m.box("fw-ratings", *ratings), m.box("fw-verdict", refusals),
                  m.comment("only"), m.box("fw-verdict", m.submitting(modality, stars=True))),
        ),
    )  # fmt: skip
