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
    """Begin every aspect with answers or gold at the priors; *overall* always comes last."""
    extra = sorted(set(gold) - set(answers.aspects) - {OVERALL})
    names = [a for a in (*answers.aspects, *extra) if a != OVERALL]
    return tuple(
        _first_channel(name, answers, gold.get(name), items, classes, settings)
        for name in (*names, OVERALL)
    )


def messages(channel: Channel, classes: int) -> FloatArray:
    """Return (i, a): log chance of the answers by aspect class; -inf where gold forbids."""
    total = np.zeros_like(channel.posterior)
    if channel.ratings is not None and channel.confusions is not None:
        total += rating_messages(channel.ratings, channel.confusions)
    if channel.comparisons is not None and channel.judges is not None:
        total += comparison_messages(channel.comparisons, channel.judges, channel.posterior)
    if channel.gold is not None:
        item, level = channel.gold
        total[item] = -np.inf
        total[item, gold_class(level, classes)] = 0.0
    return total


def gold_class(level: IntArray, classes: int) -> IntArray:
    """Return the class nearest to a gold *level* 0 .. LEVELS - 1."""
    nearest: IntArray = np.rint(level * (classes - 1) / (LEVELS - 1)).astype(np.int64)
    return nearest


def to_class(channel: Channel, message: FloatArray) -> FloatArray:
    """Carry an aspect's *message* (i, a) over its link to the class: (touched, c)."""
    if channel.aspect == OVERALL:
        return message[channel.touched]
    mine = message[channel.touched]
    top = mine.max(axis=1, keepdims=True)
    carried: FloatArray = np.log(np.exp(mine - top) @ channel.link.T) + top
    return carried


def learn(
    channel: Channel, message: FloatArray, posterior: FloatArray, *, settings: RatingSettings
) -> Channel:
    """Update one aspect from the classes' *posterior* (i, c) and its own *message*."""
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
        confusions = learn_confusions(channel.ratings, believed, classes=classes, settings=settings)
    if channel.comparisons is not None:
        judges = learn_judges(channel.comparisons, believed, classes=classes)
    return replace(channel, confusions=confusions, judges=judges, link=link, posterior=believed)


def _first_channel(
    aspect: str,
    answers: Answers,
    gold: tuple[IntArray, IntArray] | None,
    items: int,
    classes: int,
    settings: RatingSettings,
) -> Channel:
    ratings, comparisons = answers.ratings.get(aspect), answers.comparisons.get(aspect)
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
        confusions=None
        if ratings is None
        else learn_confusions(ratings, None, classes=classes, settings=settings),
        judges=None if comparisons is None else learn_judges(comparisons, None, classes=classes),
        link=np.eye(classes)
        if aspect == OVERALL
        else designed_confusion(classes, classes, spread=_LINK_SPREAD),
        posterior=np.full((items, classes), 1.0 / classes),
        touched=np.unique(np.concatenate(touched)),
        gold=gold,
    )
