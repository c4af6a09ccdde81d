"""From trusted signals and raw answers to pairs: the whole path, and the arms beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from pipelines.preferences.edited import edited_candidates
from pipelines.preferences.em import IntentSettings
from pipelines.preferences.evidence import gather_evidence
from pipelines.preferences.experiment_arms import naive_pairs, pairs_from_quality, shuffled_pairs
from pipelines.preferences.intent import IntentFit, fit_intent
from pipelines.preferences.pairs import Pairs, PairSettings, make_pairs
from pipelines.preferences.target import TargetSettings
from pipelines.signals.drops import join_drops
from pipelines.signals.signal_table import INTENTS

MAKINGS = ("fused", "naive", "explicit_only", "shuffled", "oracle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What was inferred, what follows for training, and why the rest does not."""

    pairs: pa.Table  # preference_pair rows
    user_intents: pa.Table  # user_id, exposures, and a share for each intent
    generation_labels: pa.Table  # generation_id, label in [0, 1], uncertainty
    drops: pa.Table
    figures: dict[str, int | float | str]


class Inferred(NamedTuple):
    """What users and annotators meant, and the pairs that follow from it."""

    fit: IntentFit
    evidence: pa.Table
    pairs: Pairs


def infer_preferences(
    signals: pa.Table | None,
    answers: pa.Table | None,
    prompts: pa.Table,
    generations: pa.Table,
    *,
    gold: pa.Table | None = None,
    edited: pa.Table | None = None,
    settings: PairSettings | None = None,
    intent: IntentSettings | None = None,
) -> Inferred:
    """Fit signals, answers and gold in one model and pair what follows: the path of every caller.

    Args:
        signals: exposures with their weights; None: answers alone.
        answers: annotators' raw answers; None: signals alone.
        prompts: prompt contract; decides the splits.
        generations: generation contract.
        gold: generation_id, aspect, value, where the truth is known.
        edited: rows of `edited.EDITED`: between these two only what was said of both counts.
        settings: which pairs are made and kept.
        intent: how the fit is done.

    Raises:
        ContractError: a table lacks a column, or there is no generation.
    """
    fit = fit_intent(signals, answers, generations=generations, gold=gold, settings=intent)
    evidence = gather_evidence(signals, answers, gold=gold)
    instead = None
    if edited is not None and answers is not None and edited.num_rows:
        instead = edited_candidates(
            edited, answers, generations, settings=settings or PairSettings(), intent=intent
        )
    made = make_pairs(
        fit, prompts, generations, evidence, annotations=answers, instead=instead, settings=settings
    )
    return Inferred(fit, evidence, made)


def make_preferences(
    trusted: pa.Table,
    exposures: pa.Table,
    answers: pa.Table,
    prompts: pa.Table,
    generations: pa.Table,
    *,
    making: str,
    min_confidence: float,
    per_prompt: int,
    aspects: Sequence[str] = ("overall",),
    ties: bool = False,
    seed: int,
    quality: Callable[[], pa.Table],
    edited: pa.Table | None = None,
) -> Preferences:
    """Make preference pairs.

    Args:
        trusted: exposures that may be learned from.
        exposures: all of them; only *naive* believes every one.
        answers: annotators' raw answers.
        prompts: prompt contract.
        generations: generation contract.
        making: one of `MAKINGS`; all but *fused* are arms that experiments compare with.
        min_confidence: below it a pair is undecided.
        per_prompt: most certain pairs kept of one prompt and aspect.
        aspects: which pairs are made of; those that nobody answered about are left out. The
            arms *naive* and *oracle* know "overall" alone.
        ties: keep pairs that are surely equal in an aspect other than "overall".
        seed: of *shuffled*.
        quality: true quality by generation, asked for by *oracle* alone.
        edited: rows of `edited.EDITED`; None: nothing was edited.

    Raises:
        ContractError: *making* is unknown, or a table lacks a column.
    """
    if making not in MAKINGS:
        raise ContractError(f"pairs cannot be made by {making!r}; use {', '.join(MAKINGS)}")
    settings = PairSettings(
        aspects=("overall",) if tuple(aspects) == ("overall",) else _judged(answers, aspects),
        per_prompt=per_prompt,
        ties=ties,
        target=TargetSettings(min_confidence=min_confidence),
    )
    signals = None if making == "explicit_only" else trusted
    fit, evidence, made = infer_preferences(
        signals, answers, prompts, generations, edited=edited, settings=settings
    )
    if making == "naive":
        made = naive_pairs(exposures, prompts, generations, evidence, settings=settings)
    elif making == "oracle":
        made = pairs_from_quality(quality(), prompts, generations, evidence, settings=settings)
    elif making == "shuffled":
        made = Pairs(shuffled_pairs(made.table, np.random.default_rng(seed)), made.drops)
    return Preferences(
        pairs=made.table,
        user_intents=user_intents(fit),
        generation_labels=_generation_labels(fit),
        drops=join_drops(fit.drops, made.drops),
        figures={
            "iterations": fit.iterations,
            "converged": str(fit.converged),
            "prior": fit.prior,
            "pairs": made.table.num_rows,
            **{f"share of {name}": round(s, 4) for name, s in fit.intent_shares.items()},
        },
    )


def _judged(answers: pa.Table, aspects: Sequence[str]) -> tuple[str, ...]:
    """Return those of *aspects* that somebody answered about; "overall" needs no answer."""
    said = answers.filter(
        pc.field("value").is_valid() & pc.field("kind").isin(pa.array(["rating", "comparison"]))
    )
    heard = {"overall", *said["aspect"].to_pylist()}
    return tuple(aspect for aspect in aspects if aspect in heard)


def user_intents(fit: IntentFit) -> pa.Table:
    """Return user_id, exposures and the share of each intent."""
    columns = {"user_id": pa.array(fit.users, pa.string()), "exposures": fit.user_exposures}
    columns |= {f"{name}_share": fit.user_intents[:, k] for k, name in enumerate(INTENTS)}
    return pa.table(columns)


def _generation_labels(fit: IntentFit) -> pa.Table:
    levels = np.linspace(0.0, 1.0, fit.posterior.shape[1])
    mean = fit.posterior @ levels
    spread = np.sqrt(np.maximum(fit.posterior @ levels**2 - mean**2, 0.0))
    return pa.table(
        {
            "generation_id": pa.array(fit.generation_ids, pa.string()),
            "label": mean,
            "uncertainty": spread,
        }
    )
