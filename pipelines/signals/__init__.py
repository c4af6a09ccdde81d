"""Signals: pure functions from events to exposures, sessions and signal patterns."""

from pipelines.signals.drops import DROPS, drop_counts, drops_table, join_drops
from pipelines.signals.exposures import (
    EXPOSURE,
    Exposures,
    ExposureSettings,
    exposures,
    training_exposures,
)
from pipelines.signals.heldout import is_heldout
from pipelines.signals.sessions import sessions
from pipelines.signals.signal_patterns import signal_patterns
from pipelines.signals.signal_table import INTENTS, SIGNAL_NAMES, SIGNALS, Signal, has_signal
from pipelines.signals.weighing import Weighed, WeighingSettings, weigh

__all__ = [
    "DROPS", "EXPOSURE", "INTENTS", "SIGNALS", "SIGNAL_NAMES", "ExposureSettings", "Exposures",
    "Signal", "Weighed", "WeighingSettings", "drop_counts", "drops_table", "exposures",
    "has_signal", "is_heldout", "join_drops", "sessions", "signal_patterns",
    "training_exposures", "weigh",
]  # fmt: skip
