"""Channels: what annotators say of one aspect, and what that aspect says of the class."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipelines.preferences.answers import LEVELS, Answers
from pipelines.preferences.comparison_model import (
    Comparisons,
    Judges,
    comparison_messages,
    learn_judges,
)
from pipelines.preferences.kernel import FloatArray, IntArray
from pipelines.preferences.rating_model import (
    TYPES,
    Confusions,
    Ratings,
    RatingSettings,
    designed_confusion,
    learn_confusions,
    rating_messages,
)

OVERALL: Final = "overall"
_LINK_SPREAD = 1.2  # in classes: how far an aspect strays from the class
_LINK_STRENGTH = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One aspect: its answers, its annotators as learned, and its link to the class.

    *link* (c, a) is the chance of aspect class a given class c; the identity for *overall*.
    *posterior* (i, a) is what is believed of the aspect, *touched* the items with answers.
    """

    aspect: str
    ratings: Ratings | None
    comparisons: Comparisons | None
    confusions: Confusions | None
    judges: Judges | None
    link: FloatArray
    posterior: FloatArray
    touched: IntArray
    gold: tuple[IntArray, IntArray] | None


def first_channels(
    answers: Answers,
    gold: dict[str, tuple[IntArray, IntArray]],
    *,
    items: int,
    classes: int,
    settings: RatingSettings,
) -> tuple[Channel, ...]:
    """Begin every aspect with answers or gold; *overall* always comes last.

    Annotators begin as their answers on gold show them: EM that begins at the priors follows a
    majority that answers upside down. Where there is no gold they begin at the priors.
    """
    extra = sorted(set(gold) - set(answers.aspects) - {OVERALL})
    names = (*(a for a in (*answers.aspects, *extra) if a != OVERALL), OVERALL)
    seen: FloatArray = np.zeros((len(answers.annotators), len(TYPES)))
    for name in names:
        if name in gold and name in answers.ratings:
            shown = _on_gold(answers.ratings[name], gold[name], classes, settings, None)
            seen = seen + shown.evidence
        if name in gold and name in answers.comparisons:
            compared = _judges_on_gold(answers.comparisons[name], gold[name], classes, None)
            seen = seen + compared.evidence
    return tuple(
        _first_channel(name, answers, gold.get(name), items, classes, settings, seen)
        for name in names
    )


def _on_gold(
    ratings: Ratings,
    gold: tuple[IntArray, IntArray] | None,
    classes: int,
    settings: RatingSettings,
    elsewhere: FloatArray | None,
) -> Confusions:
    """Learn confusions from gold alone: all other items count for nothing."""
    known = _known(gold, ratings.items, classes)
    return learn_confusions(ratings, known, classes=classes, settings=settings, elsewhere=elsewhere)


def _judges_on_gold(
    comparisons: Comparisons,
    gold: tuple[IntArray, IntArray] | None,
    classes: int,
    elsewhere: FloatArray | None,
) -> Judges:
    """Learn judges from comparisons of two gold items alone."""
    known = _known(gold, comparisons.items, classes)
    return learn_judges(comparisons, known, classes=classes, elsewhere=elsewhere)


def _known(gold: tuple[IntArray, IntArray] | None, items: int, classes: int) -> FloatArray:
    """Return (i, c) the classes of gold items; rows of nought for all others."""
    known: FloatArray = np.zeros((items, classes))
    if gold is not None:
        chances = gold_chances(classes)[gold[1]]
        known[gold[0]] = chances / chances.sum(axis=1, keepdims=True)
    return known


def messages(channel: Channel, classes: int) -> FloatArray:
    """Return (i, a): log chance of the answers by aspect class; -inf where gold forbids."""
    total = np.zeros_like(channel.posterior)
    if channel.ratings is not None and channel.confusions is not None:
        total += rating_messages(channel.ratings, channel.confusions)
    if channel.comparisons is not None and channel.judges is not None:
        total += comparison_messages(channel.comparisons, channel.judges, channel.posterior)
    if channel.gold is not None:
        item, level = channel.gold
        with np.errstate(divide="ignore"):  # the log of nought is meant: a class gold forbids
            total[item] = np.log(gold_chances(classes))[level]
    return total


def gold_chances(classes: int) -> FloatArray:
    """Return (levels, c): the chance of each gold level given the class, both being quantiles.

    Example:
        >>> gold_chances(LEVELS).tolist() == np.eye(LEVELS).tolist()
        True
    """
    low, high = (np.arange(classes) + side for side in (0, 1))
    first, last = (classes * (np.arange(LEVELS) + side)[:, None] / LEVELS for side in (0, 1))
    overlap: FloatArray = np.clip(np.minimum(high, last) - np.maximum(low, first), 0.0, 1.0)
    return np.round(overlap, 12)


def to_class(channel: Channel, message: FloatArray) -> FloatArray:
    """Carry an aspect's *message* (i, a) over its link to the class: (touched, c)."""
    if channel.aspect == OVERALL:
        return message[channel.touched]
    mine = message[channel.touched]
    top = mine.max(axis=1, keepdims=True)
    carried: FloatArray = np.log(np.exp(mine - top) @ channel.link.T) + top
    return carried


def type_evidence(channels: tuple[Channel, ...]) -> FloatArray | None:
    """Return (r, t) what all answers say of their annotators' types, in logs; None: no answers."""
    told = [
        learned.evidence
        for channel in channels
        for learned in (channel.confusions, channel.judges)
        if learned is not None
    ]
    return sum(told[1:], start=told[0]) if told else None


def learn(
    channel: Channel,
    message: FloatArray,
    posterior: FloatArray,
    *,
    settings: RatingSettings,
    types: FloatArray | None = None,
) -> Channel:
    """Update one aspect from the classes' *posterior* (i, c) and its own *message*.

    *types* is what all answers, these among them, say of the annotators' types
    (`type_evidence`).
    """
    classes = posterior.shape[1]
    if channel.aspect == OVERALL:
        believed, link = posterior, channel.link
    else:
        mine = message[channel.touched]
        likelihood = np.exp(mine - mine.max(axis=1, keepdims=True))
        weight = posterior[channel.touched] / (likelihood @ channel.link.T)
        joint = np.einsum("ic,ca,ia->ca", weight, channel.link, likelihood)
        believed = posterior @ channel.link
        believed[channel.touched] = (weight @ channel.link) * likelihood
        counts = joint + _LINK_STRENGTH * designed_confusion(classes, classes, spread=_LINK_SPREAD)
        link = counts / counts.sum(axis=1, keepdims=True)
    if channel.comparisons is not None:
        # Rivals that answer each other in turn can swing for ever; half a step cannot.
        believed = 0.5 * (believed + channel.posterior)
    confusions, judges = channel.confusions, channel.judges
    if channel.ratings is not None:
        confusions = learn_confusions(
            channel.ratings, believed, classes=classes, settings=settings,
            before=channel.confusions, elsewhere=_elsewhere(types, channel.confusions),
        )  # fmt: skip
    if channel.comparisons is not None:
        judges = learn_judges(
            channel.comparisons, believed, classes=classes,
            elsewhere=_elsewhere(types, channel.judges),
        )  # fmt: skip
    return replace(channel, confusions=confusions, judges=judges, link=link, posterior=believed)


def _elsewhere(types: FloatArray | None, learned: Confusions | Judges | None) -> FloatArray | None:
    return None if types is None or learned is None else types - learned.evidence


def _first_channel(
    aspect: str,
    answers: Answers,
    gold: tuple[IntArray, IntArray] | None,
    items: int,
    classes: int,
    settings: RatingSettings,
    seen: FloatArray,
) -> Channel:
    ratings, comparisons = answers.ratings.get(aspect), answers.comparisons.get(aspect)
    known = _known(gold, items, classes)
    touched: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    if ratings is not None:
        touched.append(ratings.item)
    if comparisons is not None:
        touched += [comparisons.item, comparisons.other]
    if gold is not None:
        touched.append(gold[0])
    return Channel(
        aspect=aspect,
        ratings=ratings,
        comparisons=comparisons,
        confusions=None if ratings is None else _on_gold(ratings, gold, classes, settings, seen),
        judges=None if comparisons is None else _judges_on_gold(comparisons, gold, classes, seen),
        link=np.eye(classes)
        if aspect == OVERALL
        else designed_confusion(classes, classes, spread=_LINK_SPREAD),
        posterior=np.where(known.any(axis=1, keepdims=True), known, 1.0 / classes),
        touched=np.unique(np.concatenate(touched)),
        gold=gold,
    )
