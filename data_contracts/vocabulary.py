"""The closed sets of words that rows may use."""

from typing import Final

EVENT_KINDS: Final = (
    "impression", "like", "unlike", "download", "share", "regenerate", "edit",
    "upscale", "remix", "dwell", "hide", "report", "delete",
)  # fmt: skip
SURFACES: Final = ("grid", "feed", "editor", "api")
MODALITIES: Final = ("text", "image", "video")
ANNOTATION_KINDS: Final = (
    "comparison", "rating", "region", "segment", "prompt_span", "edit", "comment", "declined",
)  # fmt: skip
TIE_KINDS: Final = ("both_good", "both_bad")
ASPECTS: Final = (
    "prompt_alignment", "physical_plausibility", "aesthetics",
    "temporal_consistency", "safety", "overall",
)  # fmt: skip
SPLITS: Final = ("train", "validation", "heldout")
