"""Which aspects of a modality the gate could not judge, and why."""

from collections.abc import Collection

from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import FlywheelError


def unjudged_aspects(
    modality: str, *, judged: Collection[str], paired: Collection[str]
) -> dict[str, str]:
    """Return for each aspect that no scorer judged why not; in the order of the aspects' table.

    Args:
        modality: of what both policies drew.
        judged: aspects that the scorer told apart.
        paired: aspects that the snapshot has pairs of.

    Raises:
        FlywheelError: no aspect applies to *modality*.

    Example:
        >>> unjudged_aspects("text", judged=["overall", "safety"], paired=["overall", "aesthetics"])
        ... # doctest: +NORMALIZE_WHITESPACE
        {'prompt_alignment': 'the snapshot has no pairs of it',
         'aesthetics': 'the reward model does not tell it apart'}
    """
    mine = [aspect.name for aspect in ASPECT_TABLE if modality in aspect.modalities]
    if not mine:
        raise FlywheelError(f"no aspect applies to the modality {modality}; use image, video, text")
    return {name: _why(name, paired=name in paired) for name in mine if name not in set(judged)}


def _why(aspect: str, *, paired: bool) -> str:
    if paired:
        return "the reward model does not tell it apart"
    if aspect == "safety":
        return (
            "the snapshot has no pairs of it; reports, hides and safety codes about what the "
            "candidate made veto instead"
        )
    return "the snapshot has no pairs of it"
