"""Preferences: pure functions from exposures and answers to preference pairs."""

from pipelines.preferences.evidence import EVIDENCE, gather_evidence
from pipelines.preferences.intent import IntentFit, IntentSettings, fit_intent, naive_scores
from pipelines.preferences.pairs import Pairs, PairSettings, make_pairs
from pipelines.preferences.splits import SplitSettings, split_prompts
from pipelines.preferences.target import TargetSettings, targets

__all__ = [
    "EVIDENCE", "IntentFit", "IntentSettings", "PairSettings", "Pairs", "SplitSettings",
    "TargetSettings", "fit_intent", "gather_evidence", "make_pairs", "naive_scores",
    "split_prompts", "targets",
]  # fmt: skip
