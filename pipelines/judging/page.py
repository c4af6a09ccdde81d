"""The report card of a reward model of aspects: a self-contained page, and a table for Dagster."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from backbone.media import as_png
from pipelines.judging.diagram import reliability_diagram
from pipelines.judging.overlay import overlay_png
from pipelines.report.environment import page_environment
from reward_models.aspect_report import FEWEST

Figures = Mapping[str, Any]
BAR: Final = 0.05  # expected calibration error
TOO_FEW: Final = f"too few: an interval needs {FEWEST} validation prompts"


Content = Callable[[str], bytes]  # of a generation, by its id


def write_report(
    file: Path,
    figures: Figures,
    *,
    names: Mapping[str, str],
    real: bool,
    content: Content | None = None,
) -> None:
    """Write the page of one training's result; it appears whole or not at all.

    Args:
        file: where to.
        figures: the result: *aspects* with what was measured, *calibrations* by aspect.
        names: turn and checkpoint, as people see them.
        real: whether people answered; else the page says that all is simulated.
        content: reads what heat maps are drawn over; None draws none.
    """
    page = (
        page_environment("pipelines.judging")
        .get_template("aspects.html.j2")
        .render(
            names=names,
            real=real,
            rows=report_rows(figures),
            skills=skill_rows(figures),
            headline=_headline(figures),
            diagrams=[
                reliability_diagram(found["reliability"], title=_title(name))
                for name, found in figures["aspects"].items()
                if found["reliability"]
            ],
            bar=BAR,
            too_few=TOO_FEW,
            biases=_bias_rows(figures),
            ensemble=_ensemble(figures),
            heat=_heat_rows(figures),
            maps=_maps(figures, content) if content else [],
            everywhere=[_where(name) for name in figures.get("pointed_everywhere", [])],
        )
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".tmp")
    fresh.write_text(page, "utf-8")
    fresh.replace(file)


def report_rows(figures: Figures) -> list[dict[str, Any]]:
    """Return what was measured, an aspect a row, with its calibration."""
    return [
        {"name": _title(name), **found, "calibration": figures["calibrations"][name]}
        for name, found in figures["aspects"].items()
    ]


def skill_rows(figures: Figures) -> list[dict[str, Any]]:
    """Return how well pairs are ranked skill by skill, a skill and aspect a row; ids, no text."""
    return [
        each | {"name": _title(name), "skill": each["skill_id"] or "no skill"}
        for name, found in figures["aspects"].items()
        for each in found.get("by_skill", ())
    ]


def report_table(figures: Figures) -> str:
    """Return the same as a Markdown table, and below it one by skill where there are skills."""
    lines = ["| aspect | pairs (ties) | accuracy | with ties | calibration error |"]
    lines.append("|---|---|---|---|---|")
    for row in report_rows(figures):
        error = row["calibration_error"]
        lines.append(
            f"| {row['name']} | {row['pairs']} ({row['ties']}) | {_range(row['accuracy'])} | "
            f"{_range(row['accuracy_with_ties'])} | {'-' if error is None else f'{error:.3f}'} |"
        )
    skills = skill_rows(figures)
    if skills:
        lines += ["", "| skill | aspect | pairs (prompts) | accuracy |", "|---|---|---|---|"]
    lines += [
        f"| {row['skill']} | {row['name']} | {row['pairs']} ({row['prompts']}) | "
        f"{_range(row['accuracy']) if row['accuracy'] else TOO_FEW} |"
        for row in skills
    ]
    return "\n".join(lines) if figures["aspects"] else "there were no validation pairs"


def _bias_rows(figures: Figures) -> list[dict[str, Any]]:
    """Return what scores make of things that are no quality, one a row."""
    return [
        {"name": _title(aspect), "of": of, **measured}
        for aspect, found in figures.get("bias", {}).items()
        for of, measured in found.items()
    ]


def _ensemble(figures: Figures) -> dict[str, Any] | None:
    """Return how far several models differ, an aspect a row; None: there is a single one."""
    found = figures.get("ensemble")
    if found is None:
        return None
    rows = [{"name": _title(name), **measured} for name, measured in found["aspects"].items()]
    return {**found, "rows": rows}


def _heat_rows(figures: Figures) -> list[dict[str, Any]]:
    """Return how well heat maps find what people pointed at, an aspect a row."""
    found = figures.get("heat", {}).get("aspects", {})
    return [{"name": _where(name), **measured} for name, measured in found.items()]


def _maps(figures: Figures, content: Content) -> list[dict[str, Any]]:
    """Return the examples, a generation each: as it is, and with its map of every aspect."""
    shown: dict[str, dict[str, Any]] = {}
    for each in figures.get("heat", {}).get("examples", []):
        generation = each["generation_id"]
        if generation not in shown:
            plain = as_png(content(generation))
            shown[generation] = {"picture": _address(plain), "maps": []}
        heat, pointed = (np.reshape(each[name], each["shape"]) for name in ("heat", "pointed"))
        shown[generation]["maps"].append(
            {
                "name": _where(each["aspect"]),
                "picture": _address(overlay_png(content(generation), heat, pointed)),
                "most": float(heat.max()),
            }
        )
    return list(shown.values())


def _where(aspect: str) -> str:
    return "any aspect" if aspect == "overall" else _title(aspect)


def _address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _headline(figures: Figures) -> str:
    errors = {
        _title(name): found["calibration_error"]
        for name, found in figures["aspects"].items()
        if found["calibration_error"] is not None
    }
    if not errors:
        return "There were no decided validation pairs: nothing is known of this model"
    worst = max(errors, key=errors.__getitem__)
    off = f"off by {100 * errors[worst]:.1f} %"
    return (
        f"Its odds can be believed: {off} at most ({worst})"
        if errors[worst] <= BAR
        else f"Its odds cannot be taken at their word: {off} in {worst}"
    )


def _title(name: str) -> str:
    return name.replace("_", " ")


def _range(found: Mapping[str, float] | None) -> str:
    return (
        "-" if found is None else f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    )
