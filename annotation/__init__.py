"""Annotation: what to ask people, and how far to trust the answers."""

from annotation.agreement import (
    Agreement,
    krippendorff_alpha,
    pairwise_agreement,
    rating_agreement,
)
from annotation.answer_table import RatingTable, rated_aspects, read_ratings
from annotation.answers import Answers, index_answers, number_names
from annotation.bradley_terry import Strengths, fit_bradley_terry, win_matrix
from annotation.choice import ChosenLabels, choose_labels
from annotation.cohorts import Cohort, find_cohorts
from annotation.comparisons import Comparisons, index_comparisons
from annotation.crowd_bradley_terry import CrowdStrengths, fit_crowd_bradley_terry
from annotation.dawid_skene import fit_dawid_skene, fit_labels
from annotation.dependence import Dependence, find_dependence, merge_voices
from annotation.label_fit import LabelFit, label_posterior
from annotation.mace import fit_mace
from annotation.ordinal import fit_ordinal
from annotation.queue import TASK, choose_tasks
from annotation.refusals import Screened, require_possible, screen_answers
from annotation.reliability import annotator_reliability, aspect_labels, side_bias
from annotation.simple_models import fit_majority, fit_one_coin

__all__ = [
    "TASK", "Agreement", "Answers", "ChosenLabels", "Cohort", "Comparisons", "CrowdStrengths",
    "Dependence", "LabelFit", "RatingTable", "Screened", "Strengths", "annotator_reliability",
    "aspect_labels", "choose_labels", "choose_tasks", "find_cohorts", "find_dependence",
    "fit_bradley_terry", "fit_crowd_bradley_terry", "fit_dawid_skene", "fit_labels",
    "fit_mace", "fit_majority", "fit_one_coin", "fit_ordinal", "index_answers",
    "index_comparisons", "krippendorff_alpha", "label_posterior", "merge_voices", "number_names",
    "pairwise_agreement", "rated_aspects", "rating_agreement", "read_ratings",
    "require_possible", "screen_answers", "side_bias", "win_matrix",
]  # fmt: skip
