"""The page of one import: figures for machines, one self-contained page for people."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipelines.intake.importers import PUBLIC_SETS
from pipelines.report.environment import page_environment
from pipelines.report.looks import ASPECTS, STAGES

Figures = Mapping[str, Any]

# Customary: below the first nothing should be concluded, from the second on firmly (Krippendorff).
TENTATIVE, FIRM = 0.667, 0.8
# One hue, from one end of a scale to the other.
_LADDER: Final = ("#bd6a3c", "#d9a441", "#b9b4aa", "#6aa5b8", "#0d5f8f")


def write_page(figures: Figures, reports: Path) -> Path:
    """Write `import-NAME.json` and `import-NAME.html` into *reports*; return the page.

    Raises:
        OSError: the disk refused; what stood there before still stands.
    """
    reports.mkdir(parents=True, exist_ok=True)
    stem = f"import-{figures['set']}"
    told = json.dumps(figures, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    _replace(reports / f"{stem}.json", told + "\n")
    _replace(reports / f"{stem}.html", render_page(figures))
    return reports / f"{stem}.html"


def render_page(figures: Figures) -> str:
    """Render the figures of an import as HTML that needs no other file."""
    return (
        page_environment("pipelines.importing")
        .get_template("import.html.j2")
        .render(
            figures=figures,
            headline=_headline(figures),
            about=PUBLIC_SETS[figures["set"]],
            aspect_names={name: title for name, (title, _) in ASPECTS.items()},
            colours=_colours,
            stage_inks=STAGES,
            tentative=TENTATIVE,
            firm=FIRM,
            standing=_standing,
            verdict=_verdict(figures["learned"]),
        )
    )


def _headline(figures: Figures) -> str:
    measured = [
        each
        for each in figures["agreement"]
        if each["alpha"] is not None and each["by"] == "people"
    ]
    if measured:
        best = measured[0]
        name = ASPECTS[best["aspect"]][0].lower()
        who = f"{best['annotators']:,} people" if best["annotators"] else "Unnamed people"
        return (
            f"{who}, {best['answers']:,} answers: on {name} they agree with α = {best['alpha']:.3f}"
        )
    if figures["machines"]:
        return _machine_headline(figures["machines"])
    if figures["events"]:
        kinds = figures["events"]["kinds"]
        return f"{sum(kinds.values()):,} events, {kinds['impression']:,} of them impressions"
    if figures["comparisons"]:
        compared = figures["comparisons"]
        return f"{compared['pairs']:,} pairs, each judged once by somebody unnamed"
    answers = sum(each["answers"] for each in figures["agreement"])
    return f"{answers:,} mean ratings, each with a stated standard error"


def _machine_headline(machines: Figures) -> str:
    said = machines["together"][-1] if machines["together"] else machines["judges"][0]
    return (
        f"{machines['machines']} machines: {said['judge']} equals {machines['against']} in "
        f"{100 * said['mean']:.1f} %"
    )


def _standing(alpha: float) -> str:
    if alpha >= FIRM:
        return "enough for firm conclusions"
    return "enough for tentative conclusions" if alpha >= TENTATIVE else "too low to conclude from"


def _verdict(learned: Figures | None) -> str:
    if learned is None:
        return ""
    ranked = {each["judge"]: each for each in learned["ranked_as_people_did"]}
    reward, shorter = ranked["reward"], ranked["shorter"]
    said = (
        f"The reward model ranks {100 * reward['mean']:.1f} % of {learned['held_out_pairs']} "
        f"held-out pairs as people did [{100 * reward['low']:.1f}, {100 * reward['high']:.1f}]; "
    )
    if reward["low"] > 0.5:
        said += "that is better than a coin"
    else:
        said += "that cannot be told from a coin"
    if reward["low"] <= max(shorter["mean"], 1 - shorter["mean"]) <= reward["high"]:
        said += ", and looking at the answers' lengths alone does about as well"
    return said + "."


def _colours(values: list[float]) -> list[str]:
    """Give each level of a scale its place on the ladder."""
    last = max(len(values) - 1, 1)
    return [_LADDER[round(place * (len(_LADDER) - 1) / last)] for place in range(len(values))]


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, 0o644)  # mkstemp gives 0o600, which a page server could not read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
