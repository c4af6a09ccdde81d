"""Guidelines: what annotators are told, from the same table and taxonomy as the interface."""

from collections.abc import Sequence
from html import escape

from annotation.interfaces.controls import WRITE_KEY, Form, side_choices
from annotation.interfaces.taxonomy import Reason
from data_contracts.aspects import ASPECT_TABLE, Aspect

_OPENING = {
    "pair": "Which is better for what was asked, A or B? Press 1 to 6, then Ctrl+Enter.",
    "blind": "Which is better for what was asked, A or B? Press 1 to 6, then Ctrl+Enter. Who made "
    "which is hidden; take your time and do not guess.",
    "edit": "Rewrite the text on the right as it should have been, change no more than is needed, "
    "say why, then Ctrl+Enter.",
    "critique": "How good is it? Press a question's number once for each star, then Ctrl+Enter.",
}
_APART = "<br>"  # Label Studio's page takes all space from lists and paragraphs, and every style
_CLOSING = "Escape closes this; <i>Instructions</i> above opens it again."


def guidelines(
    form: Form, modality: str, aspects: Sequence[Aspect], reasons: Sequence[Reason]
) -> str:
    """Return the guidelines as HTML."""
    parts = [f"<p><b>{escape(_OPENING[form])}</b><br>{_CLOSING}</p>"]
    parts.append(f"<p>{_APART}{_keys(form, modality, aspects)}</p>")
    parts.append("<ul>")
    told = {reason.aspect for reason in reasons} if form == "edit" else set()
    for aspect in (*aspects, *(each for each in ASPECT_TABLE if each.name in told)):
        means = [f"<i>{escape(r.says)}</i>: {escape(r.means)}" for r in reasons
                 if r.aspect == aspect.name]  # fmt: skip
        listed = "<br>".join(means)
        parts.append(
            f"<li>{_APART}<b>{escape(aspect.question)}</b>{'<br>' if means else ''}{listed}</li>"
        )
    parts.append("</ul>")
    if reasons and form != "edit":
        parts.append(f"<p>{_APART}{escape(_marking(modality))}</p>")
    unsure = "could make it no better" if form == "edit" else "cannot tell"
    parts.append(
        f"<p>{_APART}If you {unsure}, say so (7): that is an answer too. "
        "If you would rather not look at it, press 0; nobody asks why.</p>"
    )
    return "".join(parts)


def _keys(form: Form, modality: str, aspects: Sequence[Aspect]) -> str:
    plays = "<b>Space</b> plays. " if modality == "video" else ""
    takes_back = "Ctrl+Z takes back."
    if form == "edit":
        return (
            f"<b>{WRITE_KEY}</b> puts the cursor into the text, <b>Escape</b> takes it out again; "
            "then the letters beside the reasons answer. Give at least one: nothing is sent "
            "without."
        )
    if form == "critique":
        return f"{plays}Leave out what you cannot say. {takes_back}"
    rows = "; ".join(
        f"{escape(aspect.question)} <b>{' '.join(c.key for c in side_choices(row))}</b>"
        for row, aspect in enumerate(aspects)
    )
    return f"{plays}If you can say more: {rows} (A, same, B). {takes_back}"


def _marking(modality: str) -> str:
    return {
        "image": "To show where: pick a word under the picture, then draw a box, or take the brush "
        "beside the picture and paint.",
        "video": "To show where: pick a word under the film, then drag over its timeline.",
        "text": "To show where: pick a word under the text, then select the passage.",
    }[modality]
