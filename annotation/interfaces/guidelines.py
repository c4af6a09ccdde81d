"""Guidelines: what annotators are told, from the same table and taxonomy as the interface."""

from collections.abc import Sequence
from html import escape

from annotation.interfaces.controls import Form, side_choices
from annotation.interfaces.taxonomy import Reason
from data_contracts.aspects import Aspect

_OPENING = {
    "pair": "Compare A and B for what was asked. One key says which is better; then rate each "
    "question, and mark where something is wrong.",
    "blind": "Compare A and B for what was asked. Who made which is hidden, and the sides are "
    "shuffled. Take the time you need; do not guess.",
    "critique": "Rate one generation. Press a question's number once for each star, and mark "
    "where something is wrong.",
}


def guidelines(
    form: Form, modality: str, aspects: Sequence[Aspect], reasons: Sequence[Reason]
) -> str:
    """Return the guidelines as HTML."""
    parts = [f"<p><b>{escape(_OPENING[form])}</b></p>", f"<p>{_keys(form, aspects)}</p>"]
    parts.append("<ul>")
    for aspect in aspects:
        means = [f"<i>{escape(r.says)}</i>: {escape(r.means)}" for r in reasons
                 if r.aspect == aspect.name]  # fmt: skip
        listed = "<br>".join(means)
        parts.append(f"<li><b>{escape(aspect.question)}</b>{'<br>' if means else ''}{listed}</li>")
    parts.append("</ul>")
    if reasons:
        parts.append(f"<p>{escape(_marking(modality))}</p>")
    parts.append(
        "<p>If you cannot tell, say so (7): that is an answer too. If you would rather not look "
        "at it, press 0; nobody asks why.</p>"
    )
    return "".join(parts)


def _keys(form: Form, aspects: Sequence[Aspect]) -> str:
    if form == "critique":
        return "The number before a question gives it one star more; Ctrl+Enter submits."
    rows = "; ".join(
        f"{escape(aspect.question)} <b>{' '.join(c.key for c in side_choices(row))}</b>"
        for row, aspect in enumerate(aspects)
    )
    return (
        f"Keys <b>1</b> to <b>6</b> say which is better. {rows} (A, same, B). "
        "Ctrl+Enter submits, Ctrl+Z takes back."
    )


def _marking(modality: str) -> str:
    return {
        "image": "To mark: pick a word under the picture, then draw a box (R) or paint (B).",
        "video": "To mark: pick a word under the film, then drag over its timeline.",
        "text": "To mark: pick a word under the text, then select the passage.",
    }[modality]
