"""Edits: one text beside a field that holds it already, to be made better; and why."""

from collections.abc import Sequence
from typing import Final

from annotation.interfaces import markup as m
from annotation.interfaces.controls import EDITED, OVERALL, REASON_KEYS, REFUSALS, WHY
from annotation.interfaces.style import ASPECT_COLOURS
from annotation.interfaces.taxonomy import Reason
from data_contracts.aspects import Aspect

# Label Studio keeps its button grey until something is picked, and says nothing. A *required*
# reason would say so, but nobody could decline without giving one.
REASON_NEEDED: Final = "Why? Pick at least one"


def edit_markup(modality: str, aspects: Sequence[Aspect], reasons: Sequence[Reason]) -> str:
    """Return the markup of an edit: the text, its edited version, and a key a reason.

    An edit rates no *aspects*: that the edited version is better is its whole judgement.
    """
    before = m.box("fw-card", m.words("fw-title", "Before"),
                   m.medium(modality, "only", sync=False, marks=False))  # fmt: skip
    field = m.tag("TextArea", name=EDITED, toName="only", value="$only", rows="12",
                  maxSubmissions="1", editable="true", showSubmitButton="false",
                  allowSubmit="false", transcription="false")  # fmt: skip
    after = m.box(
        "fw-card fw-edited", m.words("fw-title", "Your version"), m.box("fw-shown", field)
    )
    why = [
        m.tag("Choice", value=reason.says, alias=reason.code, hint=reason.means, hotkey=key,
              background=ASPECT_COLOURS[reason.aspect])
        for reason, key in zip(reasons, REASON_KEYS, strict=False)
    ]  # fmt: skip
    return m.page(
        f"{modality} fw-edit",
        m.prompt([], marks=False),
        m.box("fw-cards", before, after),
        m.box(
            "fw-judged",
            m.box("fw-row", m.words("fw-question", REASON_NEEDED),
                  m.tag("Choices", *why, name=WHY, toName="only", choice="multiple",
                        layout="inline")),
            m.box("fw-verdict", m.choices(OVERALL, "only", REFUSALS, required=None),
                  m.submitting(modality, writes=True, reasons=True)),
        ),
    )  # fmt: skip
