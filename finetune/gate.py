"""Whether a candidate may become the released policy."""

import math
from dataclasses import dataclass
from typing import Final

from finetune.config import ReleaseGate
from finetune.evaluate import Measured

_ROUNDING: Final = 1e-9  # a drop of exactly what is allowed passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule of the gate and what it found."""

    rule: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """Passed only if every rule did."""

    passed: bool
    findings: tuple[Finding, ...]


def judge_release(measured: Measured, gate: ReleaseGate | None = None) -> GateVerdict:
    """Hold *measured* against every rule; a value that could not be measured blocks.

    Rules compare as "must be at least", which NaN never is.
    """
    gate = gate or ReleaseGate()
    validity = measured.candidate_validity - measured.champion_validity
    diversity = measured.candidate_diversity - measured.champion_diversity
    findings = [
        Finding(
            rule="win_rate",
            passed=measured.win_rate.low > gate.min_win_rate,
            detail=f"win rate {measured.win_rate.mean:.3f} "
            f"({measured.win_rate.low:.3f} to {measured.win_rate.high:.3f}); "
            f"its lower end must be above {gate.min_win_rate:g}",
        ),
        Finding(
            rule="validity",
            passed=validity >= -gate.max_validity_drop - _ROUNDING,
            detail=f"well-formed {measured.candidate_validity:.3f} against "
            f"{measured.champion_validity:.3f}; may fall by {gate.max_validity_drop:g}",
        ),
        Finding(
            rule="diversity",
            passed=diversity >= -gate.max_diversity_drop * measured.champion_diversity - _ROUNDING,
            detail=f"diversity {measured.candidate_diversity:.3f} against "
            f"{measured.champion_diversity:.3f}; may fall by {gate.max_diversity_drop:.0%}",
        ),
        Finding(
            rule="kl",
            passed=measured.kl <= (math.inf if gate.max_kl is None else gate.max_kl),
            detail=f"moved {measured.kl:.4f} nats a token; "
            + ("no cap" if gate.max_kl is None else f"at most {gate.max_kl:g}"),
        ),
        _all_measured(measured),
    ]
    return GateVerdict(passed=all(f.passed for f in findings), findings=tuple(findings))


def _all_measured(measured: Measured) -> Finding:
    values = {
        "win_rate": measured.win_rate.mean,
        "win_rate.low": measured.win_rate.low,
        "win_rate.high": measured.win_rate.high,
        "score_gain": measured.score_gain.mean,
        "candidate_validity": measured.candidate_validity,
        "champion_validity": measured.champion_validity,
        "candidate_diversity": measured.candidate_diversity,
        "champion_diversity": measured.champion_diversity,
        "kl": measured.kl,
    }
    missing = [name for name, value in values.items() if math.isnan(value)]
    return Finding(
        rule="measured",
        passed=not missing,
        detail=f"not measured: {', '.join(missing)}" if missing else "everything was measured",
    )
