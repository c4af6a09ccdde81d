"""From trusted signals and raw answers to pairs: the whole path, and the arms beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.schemas import ANNOTATION
from pipelines.preferences.edited import edited_candidates
from pipelines.preferences.em import IntentSettings
from pipelines.preferences.evidence import gather_evidence
from pipelines.preferences.experiment_arms import (
    at_face_value,
    naive_pairs,
    pairs_from_quality,
    shuffled_pairs,
)
from pipelines.preferences.hearing import Heard, hear
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
    user_intents: pa.Table  # user_id, tenant_id, exposures, and a share for each intent
    generation_labels: pa.Table  # generation_id, label in [0, 1], uncertainty
    drops: pa.Table
    figures: dict[str, int | float | str]


class Inferred(NamedTuple):
    """What users and annotators meant, and the pairs that follow from it."""

    heard: Heard
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
    """Hear answers, fit them with signals and gold in one model, and pair what follows.

    Args:
        signals: exposures as `weigh` gives them; None: answers alone.
        answers: annotators' raw answers; None: signals alone.
        prompts: prompt contract; decides the splits.
        generations: generation contract.
        gold: generation_id, aspect, value, where the truth is known. Of what is not among
            *generations* it shows who answers well, and makes no pairs.
        edited: rows of `edited.EDITED`: between these two only what was said of both counts.
        settings: which pairs are made and kept.
        intent: how the fit is done.

    Raises:
        ContractError: a table lacks a column, or there is no generation.
    """
    heard = hear(ANNOTATION.empty_table() if answers is None else answers, gold=gold)
    return _infer(
        signals, heard, prompts, generations, edited=edited, settings=settings, intent=intent
    )


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
    gold: pa.Table | None = None,
    edited: pa.Table | None = None,
) -> Preferences:
    """Make preference pairs.

    Args:
        trusted: exposures that may be learned from, as `weigh` gives them.
        exposures: all of them; only *naive* believes every one, whatever it weighs.
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
        gold: generation_id, aspect, value, where the truth is known; None: nowhere.
        edited: rows of `edited.EDITED`; None: nothing was edited.

    Raises:
        ContractError: *making* is unknown, or a table lacks a column.
    """
    if making not in MAKINGS:
        raise ContractError(f"pairs cannot be made by {making!r}; use {', '.join(MAKINGS)}")
    heard = hear(answers, gold=gold)
    settings = PairSettings(
        aspects=("overall",) if tuple(aspects) == ("overall",) else _judged(heard.table, aspects),
        per_prompt=per_prompt,
        ties=ties,
        target=TargetSettings(min_confidence=min_confidence),
    )
    signals = None if making == "explicit_only" else trusted
    _, fit, evidence, made = _infer(
        signals, heard, prompts, generations, edited=edited, settings=settings
    )
    if making == "naive":
        # It points back to everything that it believes.
        evidence = gather_evidence(at_face_value(exposures), heard.table, gold=heard.gold)
        made = naive_pairs(exposures, prompts, generations, evidence, settings=settings)
    elif making == "oracle":
        made = pairs_from_quality(quality(), prompts, generations, evidence, settings=settings)
    elif making == "shuffled":
        made = Pairs(shuffled_pairs(made.table, np.random.default_rng(seed)), made.drops)
    return Preferences(
        pairs=made.table,
        user_intents=user_intents(fit),
        generation_labels=_generation_labels(fit, generations),
        drops=join_drops(heard.drops, fit.drops, made.drops),
        figures={
            "iterations": fit.iterations,
            "converged": str(fit.converged),
            "prior": fit.prior,
            "pairs": made.table.num_rows,
            "gold": heard.gold.num_rows,
            "answers heard": heard.table.num_rows,
            "answers refused": answers.num_rows - heard.accepted.num_rows,
            "annotators who count as others": heard.copies,
            "annotators who may be copies": len(heard.suspected),
            **{f"share of {name}": round(s, 4) for name, s in fit.intent_shares.items()},
        },
    )


def _infer(
    signals: pa.Table | None,
    heard: Heard,
    prompts: pa.Table,
    generations: pa.Table,
    *,
    edited: pa.Table | None,
    settings: PairSettings | None,
    intent: IntentSettings | None = None,
) -> Inferred:
    fitted = _with_gold(generations, heard.gold)
    fit = fit_intent(signals, heard.table, generations=fitted, gold=heard.gold, settings=intent)
    evidence = gather_evidence(signals, heard.table, gold=heard.gold)
    instead = None
    if edited is not None and edited.num_rows:
        instead = edited_candidates(
            edited, heard.table, generations, settings=settings or PairSettings(), intent=intent
        )
    made = make_pairs(
        fit, prompts, generations, evidence,
        annotations=heard.table, instead=instead, settings=settings,
    )  # fmt: skip
    return Inferred(heard, fit, evidence, made)


def _with_gold(generations: pa.Table, gold: pa.Table) -> pa.Table:
    """Return *generations*, and below them what else gold is about, by id alone."""
    ids = generations["generation_id"]
    other = pc.unique(gold["generation_id"]).filter(
        pc.invert(pc.is_in(pc.unique(gold["generation_id"]), value_set=ids.combine_chunks()))
    )
    if len(other) == 0:
        return generations
    names = pa.chunked_array([*ids.chunks, other.cast(ids.type)], ids.type)
    return pa.table({"generation_id": names})


def _judged(answers: pa.Table, aspects: Sequence[str]) -> tuple[str, ...]:
    """Return those of *aspects* that somebody answered about; "overall" needs no answer."""
    said = answers.filter(
        pc.field("value").is_valid() & pc.field("kind").isin(pa.array(["rating", "comparison"]))
    )
    heard = {"overall", *said["aspect"].to_pylist()}
    return tuple(aspect for aspect in aspects if aspect in heard)


def user_intents(fit: IntentFit) -> pa.Table:
    """Return user_id, tenant_id, exposures and the share of each intent."""
    columns = {
        "user_id": pa.array(fit.users, pa.string()),
        "tenant_id": pa.array(fit.tenants, pa.string()),
        "exposures": fit.user_exposures,
    }
    columns |= {f"{name}_share": fit.user_intents[:, k] for k, name in enumerate(INTENTS)}
    return pa.table(columns)


def _generation_labels(fit: IntentFit, generations: pa.Table) -> pa.Table:
    levels = np.linspace(0.0, 1.0, fit.posterior.shape[1])
    mean = fit.posterior @ levels
    spread = np.sqrt(np.maximum(fit.posterior @ levels**2 - mean**2, 0.0))
    labels = pa.table(
        {
            "generation_id": pa.array(fit.generation_ids, pa.string()),
            "label": mean,
            "uncertainty": spread,
        }
    )
    ids = generations["generation_id"].combine_chunks()
    return labels.filter(pc.is_in(labels["generation_id"], value_set=ids))
