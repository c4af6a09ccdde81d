"""The interfaces: pairs, blind comparisons and critiques of any modality, edits of texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

from annotation.interfaces.controls import REASON_KEYS, Form, rows_of_keys
from annotation.interfaces.critique import critique_markup
from annotation.interfaces.edit import edit_markup
from annotation.interfaces.guidelines import guidelines
from annotation.interfaces.pair import pair_markup
from annotation.interfaces.taxonomy import Reason, aspects_named, default_taxonomy
from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import FlywheelError
from data_contracts.vocabulary import MODALITIES

FORMS: Final[tuple[Form, ...]] = get_args(Form)
_COLOURS: Final = {
    "pair": "#1f6feb", "blind": "#57606a", "critique": "#0a7d5a", "edit": "#8250df",
}  # fmt: skip
_MARKUPS: Final = {
    "pair": pair_markup, "blind": pair_markup, "critique": critique_markup, "edit": edit_markup,
}  # fmt: skip
# Nobody draws a better picture in a browser.
INTERFACES: Final[tuple[str, ...]] = tuple(
    f"{form}_{modality}"
    for form in FORMS
    for modality in (("text",) if form == "edit" else MODALITIES)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What annotators see for one form and modality, and what its answers may hold."""

    name: str
    form: Form
    modality: str
    aspects: tuple[str, ...]  # rated beside the overall verdict
    reasons: tuple[Reason, ...]  # on regions, spans and segments; none in blind work
    config: str  # Label Studio's markup
    guidelines: str  # HTML
    colour: str  # of its projects in the list


def build_interface(
    form: Form,
    modality: str,
    *,
    aspects: Sequence[str] | None = None,
    taxonomy: Sequence[Reason] | None = None,
) -> Interface:
    """Build an interface from the table of aspects and the taxonomy.

    Args:
        form: *pair* compares two generations and says where and why; *blind* compares two
            policies and asks nothing else, so that the release gate gets quick plain verdicts;
            *critique* rates one generation; *edit* asks for a better version of a text.
        modality: text, image or video.
        aspects: which to rate; None: those of the modality that a form asks for.
        taxonomy: reason codes; None: the file that the house ships.

    Raises:
        FlywheelError: an unknown form, modality or aspect, or more questions than keys.
    """
    if f"{form}_{modality}" not in INTERFACES:
        raise FlywheelError(
            f"interface: there is no {form} of {modality}; use one of {', '.join(INTERFACES)}"
        )
    names = _asked(form, modality) if aspects is None else tuple(aspects)
    table = aspects_named(names, modality)
    if form in ("pair", "blind") and len(table) > rows_of_keys():
        raise FlywheelError(
            f"interface: {len(table)} aspects want keys and there are {rows_of_keys()} rows; "
            "leave some out"
        )
    reasons = tuple(
        reason
        for reason in (default_taxonomy() if taxonomy is None else taxonomy)
        if form != "blind" and modality in reason.modalities and _means(reason.aspect, modality)
    )
    if form == "edit" and len(reasons) > len(REASON_KEYS):
        raise FlywheelError(
            f"interface: {len(reasons)} reasons want keys and there are {len(REASON_KEYS)}; "
            "narrow their modalities in the taxonomy"
        )
    return Interface(
        name=f"{form}_{modality}",
        form=form,
        modality=modality,
        aspects=names,
        reasons=reasons,
        config=_MARKUPS[form](modality, table, reasons),
        guidelines=guidelines(form, modality, table, reasons),
        colour=_COLOURS[form],
    )


def interface_named(name: str) -> Interface:
    """Build the interface that a name such as *pair_image* stands for.

    Raises:
        FlywheelError: there is none of that name.
    """
    form, _, modality = name.partition("_")
    known: dict[str, Form] = {each: each for each in FORMS}
    if name not in INTERFACES:
        raise FlywheelError(
            f"interface: there is no {name[:40]}; use one of {', '.join(INTERFACES)}"
        )
    return build_interface(known[form], modality)


def _asked(form: Form, modality: str) -> tuple[str, ...]:
    """A pair rates what can be compared, an edit nothing; safety is of one generation."""
    if form == "edit":
        return ()
    every = tuple(a.name for a in ASPECT_TABLE if modality in a.modalities)
    if form == "critique":
        return every
    return tuple(name for name in every if name not in ("overall", "safety"))


def _means(aspect: str, modality: str) -> bool:
    return any(a.name == aspect and modality in a.modalities for a in ASPECT_TABLE)
