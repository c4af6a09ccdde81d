"""The page of one de-noising: figures for machines, one self-contained page for people."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pipelines.denoising.charts import confidence_chart, mock_chart, signal_chart
from pipelines.denoising.copies import copy_warning
from pipelines.report.environment import page_environment

Figures = Mapping[str, Any]

REASONS: Final[Mapping[str, str]] = {
    "unknown_aspect": "about an aspect that nobody has named, such as Overall for overall",
    "duplicate_event": "the same act at the same instant came twice",
    "unknown_generation": "about a generation that is not listed",
    "other_tenant": "about a generation of another tenant",
    "unknown_kind": "an action nobody has named",
    "impossible_position": "at a place before the first, which is 0",
    "impossible_propensity": "shown with a chance that is none: not above 0, or above 1",
    "not_a_signal": "says nothing about quality, such as a deletion",
    "edit_without_value": "an edit without the share that was kept",
    "no_impression": "acted on something that was never logged as shown",
    "bot": "by users who act on an implausible share of what they see",
    "repeated": "exposures of one generation that one user gave beyond the first few",
    "coordinated": "exposures of users who praise the same far too alike; a group counts as one",
    "one_sided": "exposures of users who praise one release alone",
    "indiscriminate": "exposures of users who praise much of what they see, whatever it is",
    "user_cap": "exposures beyond what one user may give",
    "tenant_cap": "exposures beyond what one tenant may give",
    "heldout_user": "by users set aside to measure transfer",
    "not_an_answer": "annotations that are neither rating nor comparison",
    "cannot_judge": "the annotator could not judge",
    "no_number": "a rating without a value, or an answer that is not a number",
    "no_rival": "a comparison with nothing",
    "side_of_a_stranger": "said to be shown left, but neither of the two",
    "id_used_twice": "one annotation_id for different answers, so neither is heard",
    "copied_answer": "said again by an annotator who shares a voice with others",
    "suspected_copy": "heard all the same: by annotators who look like copies of one another",
    "unknown_scale": "on a scale that cannot be read, such as percent: write 0..100",
    "off_scale": "outside its scale, so impossible as an answer",
    "repeated_answer": "a second answer of one annotator to one question; the last one counts",
    "compared_with_itself": "a generation compared with itself",
    "no_evidence": "pairs of which nobody has seen or judged either",
    "undecided": "pairs too close to call",
    "two_tenants": "pairs of generations of two tenants",
    "other_skill": "pairs of generations that were made under different skills",
    "prompt_cap": "pairs beyond the most certain ones of their prompt",
    "unknown_prompt": "pairs whose prompt is not listed",
}


def json_text(figures: Figures) -> str:
    """Write the figures with sorted keys; a number that is none is refused, never written."""
    return json.dumps(figures, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render_page(figures: Figures) -> str:
    """Render the figures as HTML that needs no other file."""
    return (
        page_environment("pipelines.denoising")
        .get_template("denoise.html.j2")
        .render(
            figures=figures,
            headline=_headline(figures),
            warning=copy_warning(figures),
            confidence=confidence_chart(figures["pairs"]["confidence"]),
            mockery=mock_chart(figures["intents"]["mock_share"]),
            signals=signal_chart(figures["signals"]) if figures["signals"] else None,
            reasons=REASONS,
        )
    )


def _headline(figures: Figures) -> str:
    pairs, rows = figures["pairs"], figures["rows"]
    said = f"{pairs['rows']:,} pairs from {rows['exposures']:,} exposures"
    answers = sum(each["answers"] for each in figures["reliability"]["rows"])
    if answers:
        said += f" and {rows['annotations']:,} annotations"
    intents = figures["intents"]
    if intents["users"]:
        said += f"; {100 * intents['of_exposures']['mock']:.1f} % of what users did was mockery"
    warning = copy_warning(figures)
    return said if warning is None else f"{said}. Look first: {warning}"
