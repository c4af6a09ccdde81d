"""`demo.json` and `demo.html` on disk, each whole or not at all."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.report.model import RUN_METADATA, Demo, parse_demo
from pipelines.report.page import render_parsed


class ReportFiles(NamedTuple):
    """Where a report was written."""

    figures: Path
    page: Path


def write_report(demo: Mapping[str, Any], folder: Path) -> ReportFiles:
    """Write `demo.json` (sorted keys) and `demo.html` into *folder*, replacing older ones.

    Raises:
        ContractError: *demo* is not a report; nothing was written.
        OSError: the disk refused; what stood there before still stands.
    """
    parsed = parse_demo(demo)
    page = render_parsed(parsed)
    files = ReportFiles(figures=folder / "demo.json", page=folder / "demo.html")
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(files.figures, _json(_plain(parsed)))
    replace_file(files.page, page)
    return files


def report_figures(demo: Mapping[str, Any]) -> str:
    """Return the part of a report that two runs with one seed share, as canonical JSON."""
    figures = _plain(parse_demo(demo))
    return _json({name: part for name, part in figures.items() if name not in RUN_METADATA})


def _plain(demo: Demo) -> dict[str, Any]:
    given = demo.model_dump(mode="json", exclude_unset=True)
    return {**given, "format": demo.format, "simulated": demo.simulated}


def _json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def replace_file(path: Path, text: str) -> None:
    """Write *text* so that *path* holds the old or the new content, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp gives 0o600, which a page server could not read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
