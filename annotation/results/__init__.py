"""Results: what Label Studio stores becomes rows of the annotation contract, or is refused."""

from annotation.results.answer import Assignment, rows_of_answer
from annotation.results.critiques import CRITIQUE, critiques
from annotation.results.geometry import ResultRefused, covered_characters, covered_tokens

__all__ = [
    "CRITIQUE", "Assignment", "ResultRefused", "covered_characters", "covered_tokens",
    "critiques", "rows_of_answer",
]  # fmt: skip
