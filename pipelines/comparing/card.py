"""The comparison card: candidate beside champion on one self-contained page, with pictures."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from backbone.media import as_png
from finetune.gate import GateVerdict
from finetune.measured import Comparison, SkillFigures
from finetune.standing import Standing
from pipelines.report.environment import page_environment

_EACH: Final = 4  # prompts that the candidate surely won, surely lost, and drawn by lot
_PICTURES: Final = 3  # of each policy for a prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One prompt's pictures on the card."""

    prompt: str
    why: str
    candidate: list[str]  # data addresses
    champion: list[str]
    wins: float  # share of the candidate's samples that beat the champion's


def write_card(
    file: Path,
    comparison: Comparison,
    verdict: GateVerdict,
    standing: Standing,
    *,
    prompt_texts: Sequence[str],
    names: Mapping[str, str],
    seed: int,
    by_skill: Sequence[SkillFigures] = (),
) -> None:
    """Write the page; it appears whole or not at all.

    Args:
        file: where to.
        comparison: what was drawn and measured, rows in the order of *prompt_texts*.
        verdict: the gate's.
        standing: how the candidate stands with people and rules.
        prompt_texts: what was asked.
        names: candidate, champion, turn, snapshot and reward_model, as people see them.
        seed: draws the prompts that are shown by lot.
        by_skill: what was measured skill by skill; empty where there are no skills.
    """
    measured = comparison.measured
    page = (
        page_environment("pipelines.comparing")
        .get_template("card.html.j2")
        .render(
            names=names,
            verdict=verdict,
            measured=asdict(measured),
            standing=standing,
            aspects=[_row(name, wins) for name, wins in asdict(measured)["aspects"].items()],
            skills=[asdict(each) for each in by_skill],
            shown=_shown(comparison, prompt_texts, seed),
        )
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".tmp")
    fresh.write_text(page, "utf-8")
    fresh.replace(file)


def _row(name: str, wins: Mapping[str, float]) -> dict[str, Any]:
    return {
        "name": name.replace("_", " "),
        **wins,
        "verdict": "better" if wins["low"] > 0.5 else "worse" if wins["high"] < 0.5 else "unclear",
    }


def _shown(comparison: Comparison, texts: Sequence[str], seed: int) -> list[Shown]:
    """Choose prompts: the surest wins and losses by score, and some that nobody chose."""
    fine = [
        i
        for i in range(len(texts))
        if any(p is not None for p in comparison.candidate[i])
        and any(p is not None for p in comparison.champion[i])
    ]
    mine, theirs = comparison.candidate_scores, comparison.champion_scores
    gap = {i: _mean(mine[i]) - _mean(theirs[i]) for i in fine}
    order = sorted(fine, key=lambda i: (-gap[i], i))
    won = [i for i in order if gap[i] > 0][:_EACH]
    lost = [i for i in order[::-1] if gap[i] < 0][:_EACH]
    left = [i for i in fine if i not in {*won, *lost}]
    lot = np.random.default_rng(seed).permutation(left)[:_EACH].tolist()
    groups = ((lot, "drawn by lot"), (won, "surest win"), (lost, "surest loss"))
    return [
        Shown(
            prompt=texts[i],
            why=why,
            candidate=_addresses(comparison.candidate[i]),
            champion=_addresses(comparison.champion[i]),
            wins=_wins(mine[i], theirs[i]),
        )
        for chosen, why in groups
        for i in chosen
    ]


def _mean(scores: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(scores[scores > -np.inf].mean())


def _wins(
    mine: np.ndarray[Any, np.dtype[np.float64]], theirs: np.ndarray[Any, np.dtype[np.float64]]
) -> float:
    beats = (mine[:, None] > theirs) + 0.5 * (mine[:, None] == theirs)
    return float(beats.mean())


def _addresses(drawn: Sequence[bytes | None]) -> list[str]:
    kept = [as_png(content) for content in drawn if content is not None][:_PICTURES]
    return [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in kept]
