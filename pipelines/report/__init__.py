"""The report of a demo run: figures for machines, a page for people."""

from pipelines.report.files import ReportFiles, report_figures, write_report
from pipelines.report.model import Demo, parse_demo
from pipelines.report.page import render_report

__all__ = [
    "Demo",
    "ReportFiles",
    "parse_demo",
    "render_report",
    "report_figures",
    "write_report",
]
