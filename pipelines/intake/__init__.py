"""Intake: events and images come in, checked; what is refused is kept with its reason."""

from pipelines.intake.admission import QUARANTINE, Admission, admit_events
from pipelines.intake.event_files import read_events
from pipelines.intake.images import check_image
from pipelines.intake.limits import DEFAULT_LIMITS, IntakeLimits
from pipelines.intake.raw_events import RAW_EVENT

__all__ = [
    "DEFAULT_LIMITS", "QUARANTINE", "RAW_EVENT", "Admission", "IntakeLimits", "admit_events",
    "check_image", "read_events",
]  # fmt: skip
