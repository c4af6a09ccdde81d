"""Choice: which model of the crowd to trust, and how far, by what it says of known tasks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from annotation.answer_table import FloatArray, IntArray
from annotation.answers import Answers
from annotation.calibration import fit_temperature, surprise, temper
from annotation.dawid_skene import fit_dawid_skene
from annotation.label_fit import GoldArray, LabelFit, checked_gold
from annotation.mace import fit_mace
from annotation.ordinal import fit_ordinal
from annotation.simple_models import fit_majority, fit_one_coin

ENOUGH_GOLD: Final = 20  # known tasks below which the default is taken
DEFAULT: Final = "dawid_skene"
DEFAULT_ORDERED: Final = "ordinal"
# Likelihoods of fits that share most of their answers overstate their difference: half counts.
_CAUTION: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a model said of the known tasks, by fits that were not told their class."""

    method: str
    temperature: float
    surprise: float  # nats a known task at that temperature
    accuracy: float  # share of known tasks
    weight: float  # its part in the chosen posterior


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenLabels:
    """The posterior to use, and why.

    *method* is the candidate of the greatest weight; *chosen_on* says whether known tasks
    decided or the documented default was taken.
    """

    posterior: FloatArray  # (t, c)
    method: str
    temperature: float
    chosen_on: str  # gold, default
    gold_tasks: int
    candidates: tuple[Candidate, ...]  # empty without enough gold
    fit: LabelFit  # of the method


def choose_labels(
    answers: Answers,
    *,
    gold: GoldArray,
    rng: np.random.Generator,
    ordered: bool = False,
) -> ChosenLabels:
    """Aggregate answers by whatever explains the known tasks best.

    Every model is fitted with the known classes in place, and judged by cross-validation: on
    known tasks whose class that fit was not told. Models then weigh by the likelihood of those
    truths, each at its own temperature, so few known tasks mix models and many choose one.

    Args:
        answers: the indexed answers, dependent annotators merged.
        gold: (t,) the class where it is known, else -1; empty: none is.
        rng: starts of MACE.
        ordered: classes are levels in ascending order: the ordinal model stands too.

    Raises:
        ShapeError: *gold* does not fit the tasks.
        ContractError: gold names a class that is none.
    """
    gold = checked_gold(gold, answers)
    known = np.flatnonzero(gold >= 0) if len(gold) else np.zeros(0, dtype=np.int64)
    known = known[np.diff(answers.start)[known] > 0]  # what nobody answered judges nobody
    models = crowd_models(rng=rng, ordered=ordered)
    if len(known) < ENOUGH_GOLD:
        method = DEFAULT_ORDERED if ordered else DEFAULT
        model = models[method]
        fit = model.fit(answers, gold=gold)
        return ChosenLabels(
            posterior=temper(fit.posterior, model.usual_temperature),
            method=method,
            temperature=model.usual_temperature,
            chosen_on="default",
            gold_tasks=len(known),
            candidates=(),
            fit=fit,
        )
    truth = gold[known].astype(np.int64)
    fits = {name: model.fit(answers, gold=gold) for name, model in models.items()}
    found: list[tuple[float, float, float]] = []
    for model in models.values():
        told = left_out_posterior(answers, model, gold, known)
        temperature = fit_temperature(told, truth, usual=model.usual_temperature)
        told = temper(told, temperature)
        found.append((temperature, surprise(told, truth), (told.argmax(axis=1) == truth).mean()))
    cost = np.array([row[1] for row in found])
    weight = np.exp(_CAUTION * (cost.min() - cost))
    weight /= weight.sum()
    posterior = np.zeros((answers.tasks, answers.classes))
    for w, (temperature, _, _), fit in zip(weight, found, fits.values(), strict=True):
        posterior += w * temper(fit.posterior, temperature)
    best = list(fits)[int(weight.argmax())]
    return ChosenLabels(
        posterior=posterior,
        method=best,
        temperature=found[int(weight.argmax())][0],
        chosen_on="gold",
        gold_tasks=len(known),
        candidates=tuple(
            Candidate(method=name, temperature=row[0], surprise=row[1] / len(known),
                      accuracy=float(row[2]), weight=float(w))
            for name, row, w in zip(fits, found, weight, strict=True)
        ),
        fit=fits[best],
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdModel:
    """A model of a crowd; the usual temperature is what simulated crowds asked for."""

    fit: Callable[..., LabelFit]
    usual_temperature: float


def crowd_models(*, rng: np.random.Generator, ordered: bool) -> dict[str, CrowdModel]:
    """Return the models by name; the ordinal one only where classes are levels."""
    models = {
        "majority": CrowdModel(fit=partial(fit_majority, smoothing=0.5), usual_temperature=0.6),
        "one_coin": CrowdModel(fit=fit_one_coin, usual_temperature=2.0),
        "dawid_skene": CrowdModel(fit=fit_dawid_skene, usual_temperature=2.0),
        "mace": CrowdModel(fit=partial(fit_mace, rng=rng), usual_temperature=2.0),
    }
    if ordered:
        models["ordinal"] = CrowdModel(fit=fit_ordinal, usual_temperature=2.0)
    return models


def left_out_posterior(
    answers: Answers, model: CrowdModel, gold: GoldArray, known: IntArray, *, folds: int = 10
) -> FloatArray:
    """Return (g, c) posteriors of *known* tasks from fits that did not know their class.

    The known tasks are dealt to *folds* in an order of what was answered to them, never of their
    names, so that hard and easy ones spread evenly and a renaming deals alike.
    """
    told = np.empty((len(known), answers.classes))
    fold = np.empty(len(known), dtype=np.int64)
    fold[_dealing_order(answers, gold, known)] = np.arange(len(known)) % folds
    for n in range(min(folds, len(known))):
        hidden = gold.copy()
        hidden[known[fold == n]] = -1
        told[fold == n] = model.fit(answers, gold=hidden).posterior[known[fold == n]]
    return told


def _dealing_order(answers: Answers, gold: GoldArray, known: IntArray) -> IntArray:
    """Sort by answers, those that are right, how busy their givers are, how common the class is."""
    task, busy = answers.task, answers.answers_of[answers.annotator].astype(np.float64)
    right = (answers.label == gold[task]).astype(np.float64)
    weights = (busy**2 * right, busy**2, busy * right, busy, right, np.ones_like(busy))
    sums = [np.bincount(task, weights=w, minlength=answers.tasks)[known] for w in weights]
    common = np.bincount(gold[known], minlength=answers.classes)[gold[known]]
    order: IntArray = np.lexsort([common, *sums])
    return order
