"""Annotation: what to ask people, and how far to trust the answers."""

from annotation.agreement import (
    Agreement,
    krippendorff_alpha,
    pairwise_agreement,
    rating_agreement,
)
from annotation.answer_table import RatingTable, rated_aspects, read_ratings
from annotation.dawid_skene import fit_labels
from annotation.label_fit import LabelFit
from annotation.queue import TASK, choose_tasks
from annotation.reliability import annotator_reliability, aspect_labels, side_bias

__all__ = [
    "TASK", "Agreement", "LabelFit", "RatingTable", "annotator_reliability", "aspect_labels",
    "choose_tasks", "fit_labels", "krippendorff_alpha", "pairwise_agreement", "rated_aspects",
    "rating_agreement", "read_ratings", "side_bias",
]  # fmt: skip
