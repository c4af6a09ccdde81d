"""The door: events come in over HTTP, acknowledged once they survive a power cut."""

from pipelines.intake.door.access import AccessBook
from pipelines.intake.door.app import build_app
from pipelines.intake.door.journal import Journal, journal_folder
from pipelines.intake.door.limits import DEFAULT_DOOR_LIMITS, DoorLimits

__all__ = [
    "DEFAULT_DOOR_LIMITS", "AccessBook", "DoorLimits", "Journal", "build_app", "journal_folder",
]  # fmt: skip
