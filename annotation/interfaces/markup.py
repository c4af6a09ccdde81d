"""Pieces of Label Studio markup that every interface is put together from."""

from collections.abc import Iterable, Sequence
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from annotation.interfaces.controls import COMMENT, PROMPT, UNMET, WRITE_KEY, Choice, unmet_by
from annotation.interfaces.style import ASPECT_COLOURS, STYLE
from annotation.interfaces.taxonomy import Reason

Element = ET.Element
# Labels are picked before drawing. Their keys are chords: single keys belong to the answers.
_CHORDS: Final = {"left": "shift", "right": "alt", "only": "shift", PROMPT: "alt+shift"}
_LETTERS: Final = "acdefgijknopqstuvwxyz"  # without h, l, m and r, which the editor takes with alt


def tag(kind: str, /, *children: Element, text: str | None = None, **attributes: str) -> Element:
    """Return one element; `className` and the like are passed as they are written."""
    element = Element(kind, attributes)
    element.text = text
    element.extend(children)
    return element


def box(style: str, *children: Element) -> Element:
    """Return a view of a CSS class."""
    return tag("View", *children, className=style)


def words(style: str, value: str) -> Element:
    """Return a line of text for people, in a CSS class of its own."""
    return box(style, tag("Header", value=value, size="5"))


def page(kind: str, *children: Element) -> str:
    """Return the whole interface as markup."""
    root = tag("View", tag("Style", text=STYLE), box(f"fw fw-{kind}", *children))
    ET.indent(root)
    # Label Studio hands a style sheet on as it is written: an escaped ">" would be no selector.
    return ET.tostring(root, encoding="unicode").replace(escape(STYLE), STYLE)


def prompt(sides: Sequence[tuple[str, str]], *, marks: bool) -> Element:
    """Return what was asked for, its words to be marked as not satisfied, and a warning if any."""
    shown = tag("Text", name=PROMPT, value="$prompt", granularity="word", saveTextResult="no",
                selectionEnabled="true" if marks else "false")  # fmt: skip
    parts = [words("fw-warning", "$warning"), words("fw-caption", "Asked for")]
    parts.append(box("fw-words", shown))
    if marks:
        labels = [
            tag("Label", value=says, alias=unmet_by(side), background="#b42318", hotkey=key)
            for (side, says), key in zip(sides, _keys(PROMPT), strict=False)
        ]
        marking = tag("Labels", *labels, name=UNMET, toName=PROMPT)
        parts.append(box("fw-reasons fw-unmet", marking))
    return box("fw-prompt", *parts)


def medium(modality: str, name: str, *, sync: bool, marks: bool) -> Element:
    """Return the player, picture or text of one generation; covered where there is a warning."""
    return box("fw-shown", _medium(modality, name, sync=sync, marks=marks))


def _medium(modality: str, name: str, *, sync: bool, marks: bool) -> Element:
    if modality == "image":
        tools = {"zoomControl": "true" if marks else "false"}
        return tag("Image", name=name, value=f"${name}", maxWidth="100%", maxHeight="46vh",
                   crossOrigin="use-credentials", smoothing="false", **tools)  # fmt: skip
    if modality == "video":
        attributes = {"sync": "pair"} if sync else {}
        return tag("Video", name=name, value=f"${name}", frameRate="$fps", muted="true",
                   height="300", timelineHeight="48", **attributes)  # fmt: skip
    return tag("Text", name=name, value=f"${name}", saveTextResult="no", granularity="word",
               selectionEnabled="true" if marks else "false")  # fmt: skip


def marks_on(modality: str, side: str, reasons: Sequence[Reason]) -> list[Element]:
    """Return what says where and why: labels to pick, then draw on *side*."""
    labels = [
        tag("Label", value=reason.says, alias=reason.code, hint=reason.means,
            background=ASPECT_COLOURS[reason.aspect], hotkey=key)
        for reason, key in zip(reasons, _keys(side), strict=False)
    ]  # fmt: skip
    if modality == "image":
        return [
            tag("Labels", *labels, name=f"{side}_reason", toName=side),
            box("fw-hidden", tag("Rectangle", name=f"{side}_box", toName=side, canRotate="false")),
            box("fw-hidden", tag("Brush", name=f"{side}_brush", toName=side)),
        ]
    if modality == "video":
        return [tag("TimelineLabels", *labels, name=f"{side}_segment", toName=side)]
    return [tag("Labels", *labels, name=f"{side}_span", toName=side)]


def choices(name: str, to: str, offered: Iterable[Choice], *, required: str | None) -> Element:
    """Return one question with a key an answer; *required* is what is said when it is missing."""
    options = [
        tag("Choice", value=each.says, alias=each.stored, hotkey=each.key) for each in offered
    ]
    demanded = {"required": "true", "requiredMessage": required} if required else {}
    return tag("Choices", *options, name=name, toName=to, choice="single-radio",
               layout="inline", **demanded)  # fmt: skip


def submitting(
    modality: str, *, stars: bool = False, writes: bool = False, reasons: bool = False
) -> Element:
    """Return a line that says how to go on."""
    plays = "Space plays · " if modality == "video" else ""
    gives = "A number adds a star · " if stars else ""
    enters = f"{WRITE_KEY} to write, Escape to stop · " if writes else ""
    needs = "With a reason " if reasons else ""
    return words("fw-hint", f"{gives}{plays}{enters}{needs}Ctrl+Enter submits · Ctrl+Z takes back")


def comment(to: str) -> Element:
    """Return a field for what no code says."""
    field = tag("TextArea", name=COMMENT, toName=to, rows="2", maxSubmissions="1",
                editable="true", showSubmitButton="false", transcription="false",
                placeholder="Anything else? (optional)")  # fmt: skip
    return box("fw-comment", field)


def _keys(place: str) -> list[str]:
    return [f"{_CHORDS[place]}+{letter}" for letter in _LETTERS]
