"""Results: what Label Studio stores becomes rows of the annotation contract, or is refused."""

from annotation.results.answer import rows_of_answer
from annotation.results.assignment import Assignment
from annotation.results.critiques import (
    CRITIQUE,
    critiques,
    frame_mask,
    text_mask,
    visual_mask,
)
from annotation.results.edits import (
    EditedVersion,
    edited_version,
    edited_version_of,
    edits_as_comparisons,
)
from annotation.results.geometry import ResultRefused, covered_characters, covered_tokens

__all__ = [
    "CRITIQUE", "Assignment", "EditedVersion", "ResultRefused", "covered_characters",
    "covered_tokens", "critiques", "edited_version", "edited_version_of", "edits_as_comparisons",
    "frame_mask", "rows_of_answer", "text_mask", "visual_mask",
]  # fmt: skip
