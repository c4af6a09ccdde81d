"""What a training of a reward model of aspects leaves: its result for pages, and its files."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reward_models.ensemble import EnsembleCard
from reward_models.ensemble_trainer import EnsembleRun
from reward_models.heat_trainer import HeatRun


def aspect_result(run: EnsembleRun) -> dict[str, Any]:
    """Return what was measured, as JSON values; of several models the first one's figures lead."""
    first = run.members[0]
    found: dict[str, Any] = {
        "aspects": {name: asdict(measured) for name, measured in first.report.items()},
        "calibrations": {n: c.model_dump() for n, c in first.scorer.calibrations.items()},
        "bias": {
            name: {of: asdict(measured) for of, measured in found.items()}
            for name, found in first.bias.items()
        },
    }
    if first.heat is not None:
        found["heat"] = _heat(first.heat)
    if first.everywhere:
        found["pointed_everywhere"] = list(first.everywhere)
    if run.disagreement is not None:
        found["ensemble"] = {
            "members": len(run.members),
            "lower_bound": run.lower_bound,
            "aspects": {name: asdict(measured) for name, measured in run.disagreement.items()},
        }
    return found


def _heat(run: HeatRun) -> dict[str, Any]:
    return {
        "answers": run.answers,
        "critiques": len(run.critiques),
        "fit": run.head.card.model_dump(mode="json"),
        "aspects": {name: asdict(found) for name, found in run.report.items()},
        "examples": [asdict(each) for each in run.examples],
    }


def save_aspects(run: EnsembleRun, folder: Path) -> None:
    """Write the scorer into *folder*, further models below it, and which critiques were seen."""
    first, *others = run.members
    first.scorer.save(folder)
    if others:
        card = EnsembleCard(members=len(run.members), lower_bound=run.lower_bound)
        card.write(folder)
        for name, member in zip(card.others, others, strict=True):
            (folder / name).mkdir()
            member.scorer.save(folder / name)
    # Where there are too many, each model draws its own by lot.
    seen = {name for each in run.members if each.heat is not None for name in each.heat.critiques}
    if seen:
        (folder / "critiques_seen.json").write_text(json.dumps(sorted(seen)), "utf-8")
