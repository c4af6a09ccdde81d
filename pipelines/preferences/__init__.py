"""Preferences: pure functions from exposures and answers to preference pairs."""

from pipelines.preferences.card import card_markdown, dataset_card
from pipelines.preferences.em import IntentSettings
from pipelines.preferences.evidence import EVIDENCE, gather_evidence
from pipelines.preferences.experiment_arms import naive_pairs, pairs_from_quality, shuffled_pairs
from pipelines.preferences.intent import IntentFit, fit_intent, naive_scores
from pipelines.preferences.pairs import Pairs, PairSettings, make_pairs
from pipelines.preferences.splits import SplitSettings, split_prompts
from pipelines.preferences.target import TargetSettings, targets

__all__ = [
    "EVIDENCE", "IntentFit", "IntentSettings", "PairSettings", "Pairs", "SplitSettings",
    "TargetSettings", "card_markdown", "dataset_card", "fit_intent", "gather_evidence",
    "make_pairs", "naive_pairs", "naive_scores", "pairs_from_quality", "shuffled_pairs",
    "split_prompts", "targets",
]  # fmt: skip
