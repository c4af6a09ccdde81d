"""Importers: public sets of human judgements, as prompts, generations and annotations."""

from pipelines.intake.importers.imported import IMPORT_QUARANTINE, Imported, Importer
from pipelines.intake.importers.registry import IMPORTERS, importer

__all__ = ["IMPORTERS", "IMPORT_QUARANTINE", "Imported", "Importer", "importer"]
