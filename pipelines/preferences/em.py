"""The EM itself: one step fuses clicks and answers; the same step serves every part alone."""

from dataclasses import dataclass, field, replace

import numpy as np

from data_contracts.errors import ContractError
from pipelines.preferences import click_model
from pipelines.preferences.channels import Channel, learn, messages, to_class, type_evidence
from pipelines.preferences.click_model import ClickParameters, ClickSettings
from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.kernel import FloatArray, normalise
from pipelines.preferences.rating_model import RatingSettings
from pipelines.signals.signal_table import INTENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSettings:
    """How the fit is done; the defaults were developed on click_world seeds 0 to 19."""

    classes: int = 7  # finer than five levels: confidence within a level is better calibrated
    max_iterations: int = 150
    tolerance: float = 1e-3  # mean change of the posterior at which the fit has converged
    class_strength: float = 1e9  # pseudo-items behind equally frequent classes: quantiles
    clicks: ClickSettings = field(default_factory=ClickSettings)
    adapt: bool = True  # few exposures: loosen priors where that foretells held-out signals
    firmness_margin: float = 0.0  # standard errors by which loosening must foretell better
    ratings: RatingSettings = field(default_factory=RatingSettings)
    anchor: bool = True  # learn what signals mean from answers where that foretells more answers
    siblings: bool = False  # learn how alike generations of one prompt are

    def __post_init__(self) -> None:
        if self.classes < 2 or self.max_iterations < 1:
            raise ContractError("a fit needs at least 2 classes and 1 iteration")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where an EM stands: what is believed, and what was learned."""

    posterior: FloatArray
    class_shares: FloatArray
    clicks: ClickParameters | None
    by_user: FloatArray
    channels: tuple[Channel, ...]
    log_likelihoods: tuple[float, ...]
    converged: bool


def run_em(
    table: ClickTable | None,
    channels: tuple[Channel, ...],
    chances: FloatArray,
    *,
    settings: IntentSettings,
    begin: State | None = None,
) -> State:
    """Step until the posterior stands still or the steps run out; *table* None: answers only.

    *begin* is where a fit of a sample of *table* ended (`sampling.sample`); None: at the priors.
    """
    items, classes = channels[-1].posterior.shape
    clicks = (
        None
        if table is None
        else click_model.first_parameters(table, chances, settings=settings.clicks)
    )
    state = State(
        posterior=np.full((items, classes), 1.0 / classes),
        class_shares=np.full(classes, 1.0 / classes),
        clicks=clicks,
        by_user=np.zeros((0, len(INTENTS))),
        channels=channels,
        log_likelihoods=(),
        converged=False,
    )
    if begin is not None:
        state = replace(begin, log_likelihoods=(), converged=False)
    for _ in range(settings.max_iterations):
        state = _step(table, state, chances, settings=settings)
        if state.converged:
            break
    return state


def _step(
    table: ClickTable | None, state: State, chances: FloatArray, *, settings: IntentSettings
) -> State:
    items, classes = state.posterior.shape
    log_prior = np.tile(np.log(state.class_shares), (items, 1))
    heard = [messages(channel, classes) for channel in state.channels]
    for channel, message in zip(state.channels, heard, strict=True):
        log_prior[channel.touched] += to_class(channel, message)
    if table is None or state.clicks is None:
        posterior, log_likelihood = normalise(log_prior)
        clicks, by_user = None, state.by_user
    else:
        counts = table.count(click_model.beliefs(table, state.clicks), log_prior)
        posterior, log_likelihood = counts.posterior, counts.log_likelihood
        by_user = counts.by_user
        clicks = click_model.update(table, state.clicks, counts, chances, settings=settings.clicks)
    types = type_evidence(state.channels)
    learned = tuple(
        learn(channel, message, posterior, settings=settings.ratings, types=types)
        for channel, message in zip(state.channels, heard, strict=True)
    )
    share = posterior.sum(axis=0) + settings.class_strength
    change = float(np.abs(posterior - state.posterior).sum(axis=1).mean())
    return replace(
        state,
        posterior=posterior,
        class_shares=share / share.sum(),
        clicks=clicks,
        by_user=by_user,
        channels=learned,
        log_likelihoods=(*state.log_likelihoods, log_likelihood),
        converged=change < settings.tolerance and bool(state.log_likelihoods),
    )
