"""Whether a candidate may become the released policy."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from finetune.config import FEWEST, ReleaseGate
from finetune.measured import Measured
from finetune.standing import HumanComparison, Standing
from reward_models.interval import Interval

_ROUNDING: Final = 1e-9  # a drop of exactly what is allowed passes
# What a person may decide otherwise, by name. Labels are others' rights and never among them.
OVERRIDABLE: Final = ("human", "calibration", "vetoes")
SIMULATED: Final = Standing(real=False, human=None, vetoes=(), label_faults=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule of the gate and what it found."""

    rule: str
    passed: bool
    detail: str
    asked: bool = True  # False: there was nothing to hold it against, so it passes


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """Passed only if every rule did."""

    passed: bool
    findings: tuple[Finding, ...]


def judge_release(
    measured: Measured,
    gate: ReleaseGate | None = None,
    standing: Standing = SIMULATED,
    *,
    unjudged: Mapping[str, str] | None = None,
) -> GateVerdict:
    """Hold *measured* and *standing* against every rule; what could not be measured blocks.

    Every aspect that was measured has a rule of its own. Rules compare as "must be at least", which
    NaN never is.

    Args:
        measured: candidate beside champion.
        gate: the rules; None: the defaults.
        standing: how the candidate stands with people and rules.
        unjudged: why each aspect that nobody could judge was not; said, and only what
            *gate.aspects* names blocks.
    """
    gate = gate or ReleaseGate()
    findings = (
        _enough(measured, gate, real=standing.real),
        *_sampled(measured, gate),
        *(
            Finding(
                rule=f"quality of {aspect}",
                passed=True,
                detail=f"not judged in {measured.modality}: {why}",
                asked=False,
            )
            for aspect, why in (unjudged or {}).items()
        ),
        *judge_standing(standing, gate),
        _all_measured(measured, gate),
    )
    return GateVerdict(passed=all(f.passed for f in findings), findings=findings)


def judge_standing(standing: Standing, gate: ReleaseGate) -> tuple[Finding, ...]:
    """Hold what people and rules say against the gate: blind answers, vetoes, labels."""
    return (
        _human(standing, gate),
        _calibration(standing, gate),
        Finding(
            rule="vetoes",
            passed=not standing.vetoes,
            detail=_few(standing.vetoes)
            or "nobody reported or hid anything that the candidate made",
        ),
        Finding(
            rule="labels",
            passed=not standing.label_faults,
            detail=_few(standing.label_faults) or "nothing it learned from was reclassified since",
        ),
    )


def _enough(measured: Measured, gate: ReleaseGate, *, real: bool) -> Finding:
    need = _needed(gate.min_prompts, real=real)
    return Finding(
        rule="prompts",
        passed=measured.prompts >= need,
        detail=f"{measured.prompts} held-out prompts were measured; at least {need} must be, for "
        "an interval over fewer says little",
    )


def _needed(told: int, *, real: bool) -> int:
    """Return how many prompts an interval needs: on people's evidence never fewer than FEWEST."""
    return max(told, FEWEST) if real else told


def _sampled(measured: Measured, gate: ReleaseGate) -> Iterator[Finding]:
    validity = measured.candidate_validity - measured.champion_validity
    yield Finding(
        rule="win_rate",
        passed=measured.win_rate.low > gate.min_win_rate,
        detail=f"win rate {_interval(measured.win_rate)}; "
        f"its lower end must be above {gate.min_win_rate:g}",
    )
    for aspect, wins in measured.aspects.items():
        if aspect != "overall":
            yield Finding(
                rule=f"quality of {aspect}",
                passed=wins.low >= 0.5 - gate.max_aspect_loss - _ROUNDING,
                detail=f"win rate {_interval(wins)} in {aspect} ({measured.modality}); its lower "
                f"end must be at least {0.5 - gate.max_aspect_loss:g}",
            )
    yield Finding(
        rule="validity",
        passed=validity >= -gate.max_validity_drop - _ROUNDING,
        detail=f"well-formed {measured.candidate_validity:.3f} against "
        f"{measured.champion_validity:.3f}, {_interval(measured.validity_gain, signed=True)}; "
        f"may fall by {gate.max_validity_drop:g}",
    )
    yield Finding(
        rule="diversity",
        passed=measured.diversity_gain.mean
        >= -gate.max_diversity_drop * measured.champion_diversity - _ROUNDING,
        detail=f"diversity {measured.candidate_diversity:.3f} against "
        f"{measured.champion_diversity:.3f} on the same prompts, "
        f"{_interval(measured.diversity_gain, signed=True)}; "
        f"may fall by {gate.max_diversity_drop:.0%}",
    )
    yield Finding(
        rule="kl",
        passed=measured.kl <= (math.inf if gate.max_kl is None else gate.max_kl),
        detail=f"moved {_interval(measured.kl_interval)} nats a token; "
        + ("no cap" if gate.max_kl is None else f"at most {gate.max_kl:g}"),
        asked=gate.max_kl is not None,
    )


def _human(standing: Standing, gate: ReleaseGate) -> Finding:
    human, need = standing.human, _needed(gate.min_human_prompts, real=standing.real)
    enough = human is not None and human.prompts >= need
    if human is None:
        said = f"nobody compared blindly; {need} held-out prompts must be answered"
    elif not enough:
        said = f"{_said(human)}; {need} prompts must be answered"
    else:
        said = f"{_said(human)}; its lower end must be above {gate.min_human_win:g}"
    if not standing.real and not enough:
        return Finding(
            rule="human",
            passed=True,
            detail="not asked for: the evidence is simulated",
            asked=False,
        )
    won = enough and human is not None and human.win_share.low > gate.min_human_win
    return Finding(rule="human", passed=won, detail=said)


def _calibration(standing: Standing, gate: ReleaseGate) -> Finding:
    human, need = standing.human, _needed(gate.min_human_prompts, real=standing.real)
    # Of the prompts that people must answer, an interval's worth must be decided.
    least = min(need, FEWEST)
    over = None if human is None else human.overstatement
    if human is None or over is None or human.prompts < need or human.decided_prompts < least:
        few = (
            ""
            if human is None
            else f" on enough prompts ({human.prompts} of {need} answered, "
            f"{human.decided_prompts} of {least} not as a tie)"
        )
        return Finding(
            rule="calibration",
            passed=not standing.real,
            detail=f"the reward model was not held against people{few} on the candidate's own "
            f"samples{'' if standing.real else ': the evidence is simulated'}",
            asked=standing.real,
        )
    return Finding(
        rule="calibration",
        passed=over.low <= gate.max_overstatement,
        detail=f"on the candidate's own samples the reward model overstates its share of decided "
        f"answers by {_interval(over, signed=True)}; must not surely be above "
        f"{gate.max_overstatement:g} (expected calibration error {human.calibration_error:.3f}, "
        f"{human.tie_share:.1%} of the answers are ties)",
    )


def _all_measured(measured: Measured, gate: ReleaseGate) -> Finding:
    values = {
        "win_rate": measured.win_rate.mean,
        "win_rate.low": measured.win_rate.low,
        "win_rate.high": measured.win_rate.high,
        "score_gain": measured.score_gain.mean,
        "candidate_validity": measured.candidate_validity,
        "champion_validity": measured.champion_validity,
        "candidate_diversity": measured.candidate_diversity,
        "champion_diversity": measured.champion_diversity,
        "diversity_gain": measured.diversity_gain.mean,
        "kl": measured.kl,
    }
    values |= {f"aspects.{name}": wins.low for name, wins in measured.aspects.items()}
    missing = [name for name, value in values.items() if math.isnan(value)]
    missing += [f"aspects.{name}" for name in gate.aspects if name not in measured.aspects]
    return Finding(
        rule="measured",
        passed=not missing,
        detail=f"not measured: {', '.join(missing)}" if missing else "everything was measured",
    )


def _said(human: HumanComparison) -> str:
    return (
        f"people preferred the candidate in {_interval(human.win_share)} "
        f"({human.answers} blind answers, {human.prompts} held-out prompts)"
    )


def _interval(found: Interval, *, signed: bool = False) -> str:
    form = "+.3f" if signed else ".3f"
    return f"{found.mean:{form}} ({found.low:{form}} to {found.high:{form}})"


def _few(sentences: tuple[str, ...]) -> str:
    more = f"; and {len(sentences) - 3} more" if len(sentences) > 3 else ""
    return "; ".join(sentences[:3]) + more
