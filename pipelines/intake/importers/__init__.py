"""Importers: public sets of human judgements and actions, as records of the contracts."""

from pipelines.intake.importers.imported import (
    IMPORT_QUARANTINE,
    STATED_ERROR,
    Imported,
    Importer,
    PublicSet,
)
from pipelines.intake.importers.records import GOLD, MACHINE, PEOPLE, asked
from pipelines.intake.importers.registry import PUBLIC_SETS, importer

__all__ = [
    "GOLD", "IMPORT_QUARANTINE", "MACHINE", "PEOPLE", "PUBLIC_SETS", "STATED_ERROR", "Imported",
    "Importer", "PublicSet", "asked", "importer",
]  # fmt: skip
