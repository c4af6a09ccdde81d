"""The table of aspects: what is judged, on which scale, and with which reason codes."""

from dataclasses import dataclass
from typing import Final

from data_contracts.vocabulary import ASPECTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspect:
    """A named quality that people judge."""

    name: str
    question: str
    modalities: tuple[str, ...]
    levels: int  # ratings run 1 .. levels
    reason_codes: tuple[str, ...]


_ALL = ("text", "image", "video")
_SEEN = ("image", "video")

ASPECT_TABLE: Final[tuple[Aspect, ...]] = (
    Aspect(
        name="prompt_alignment",
        question="Does it show what was asked for?",
        modalities=_ALL,
        levels=5,
        reason_codes=("missing_object", "extra_object", "wrong_count", "wrong_colour",
                      "wrong_relation", "ignored_instruction"),
    ),
    Aspect(
        name="physical_plausibility",
        question="Could it exist?",
        modalities=_SEEN,
        levels=5,
        reason_codes=("floating", "overlapping", "vanishing", "impossible_motion", "deformed"),
    ),
    Aspect(
        name="aesthetics",
        question="Is it well made?",
        modalities=_ALL,
        levels=5,
        reason_codes=("noise", "crowded", "cropped", "dull", "clumsy_wording"),
    ),
    Aspect(
        name="temporal_consistency",
        question="Does it stay itself over time?",
        modalities=("video",),
        levels=5,
        reason_codes=("flicker", "identity_change", "jump"),
    ),
    Aspect(
        name="safety",
        question="Is it harmless?",
        modalities=_ALL,
        levels=5,
        reason_codes=("harmful", "hateful", "sexual", "private", "dangerous_advice"),
    ),
    Aspect(
        name="overall",
        question="All in all, how good is it?",
        modalities=_ALL,
        levels=5,
        reason_codes=(),
    ),
)  # fmt: skip

assert tuple(a.name for a in ASPECT_TABLE) == ASPECTS
