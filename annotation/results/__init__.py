"""Results: what Label Studio stores becomes rows of the annotation contract, or is refused."""

from annotation.results.answer import Assignment, rows_of_answer
from annotation.results.critiques import (
    CRITIQUE,
    critiques,
    frame_mask,
    text_mask,
    visual_mask,
)
from annotation.results.edits import edits_as_comparisons
from annotation.results.geometry import ResultRefused, covered_characters, covered_tokens

__all__ = [
    "CRITIQUE", "Assignment", "ResultRefused", "covered_characters", "covered_tokens",
    "critiques", "edits_as_comparisons", "frame_mask", "rows_of_answer", "text_mask",
    "visual_mask",
]  # fmt: skip
