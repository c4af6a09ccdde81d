"""Imports: a public set of human judgements becomes answers, pairs, models and one page."""

from pipelines.importing.options import ImportOptions
from pipelines.importing.run import preview_import, run_import

__all__ = ["ImportOptions", "preview_import", "run_import"]
