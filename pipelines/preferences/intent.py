"""Latent intent: what users meant by their signals, fused with annotators' raw answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.schemas import GENERATION
from pipelines.preferences.anchoring import anchor
from pipelines.preferences.answers import read_answers, read_gold
from pipelines.preferences.calibration import (
    UNTRIED,
    Calibration,
    answer_evidence,
    calibrate,
    click_evidence,
)
from pipelines.preferences.channels import OVERALL, Channel, first_channels, learn, messages
from pipelines.preferences.click_table import ClickTable, click_table
from pipelines.preferences.em import IntentSettings, State, run_em
from pipelines.preferences.firmness import choose_firmness
from pipelines.preferences.kernel import FloatArray, IntArray, normalise
from pipelines.preferences.partitions import checked_processes
from pipelines.preferences.reliability import annotator_table
from pipelines.preferences.sampling import sample
from pipelines.preferences.siblings import Siblings, better_chance, find_siblings
from pipelines.preferences.workers import Spread, partitioned
from pipelines.signals.drops import drops_table, join_drops
from pipelines.signals.exposures import EXPOSURE, KNOWN, training_exposures
from pipelines.signals.query import conform, query, subset
from pipelines.signals.signal_table import INTENTS, SIGNAL_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentFit:
    """What was inferred, how it was learned, and whether the fit converged.

    Axes: i items (generation_ids, sorted), c classes from worst to best, u users, m intents.
    """

    generation_ids: tuple[str, ...]
    posterior: FloatArray  # (i, c) of the overall class
    aspects: Mapping[str, FloatArray]  # (i, c) by aspect; overall is among them
    has_evidence: FloatArray  # (i,) 1 where an exposure, an answer or gold speaks
    users: tuple[str, ...]  # user_id of each
    tenants: tuple[str, ...]  # tenant_id of each: one user_id of two tenants is two users
    user_intents: FloatArray  # (u, m) of INTENTS
    user_exposures: FloatArray  # (u,)
    annotators: pa.Table  # reliability by annotator, aspect and kind
    intent_shares: Mapping[str, float]  # of training exposures
    phi: FloatArray  # (m, c, s) of the average user; s = 0 without exposures
    eta: Mapping[str, float]  # chance of being looked at, by surface and position
    class_shares: FloatArray  # (c,)
    prior: str  # which signal priors were used: designed or anchored
    prior_scores: Mapping[str, float]  # held-out explicit log-likelihood by prior, where compared
    firmness: Mapping[str, float]  # held-out click log-likelihood by firmness, where compared
    calibration: Calibration  # how far signals may be believed
    siblings: Siblings | None  # what generations of one prompt say of each other; None: not asked
    new_user: Mapping[str, float]  # intent shares of a user nobody has seen
    log_likelihoods: tuple[float, ...]
    iterations: int
    converged: bool
    drops: pa.Table

    @property
    def user_mock_share(self) -> FloatArray:
        """(u,) how often each user acts to mock."""
        share: FloatArray = self.user_intents[:, INTENTS.index("mock")]
        return share

    def better_chance(self, first: IntArray, second: IntArray, aspect: str = OVERALL) -> FloatArray:
        """Return (k,) the chance that item *first* is better than *second*, both of one prompt."""
        if aspect == OVERALL and self.siblings is not None:
            return self.siblings.better_chance(first, second)
        chances = self.aspects[aspect]
        return better_chance(chances[first], chances[second])

    def equal_chance(self, first: IntArray, second: IntArray, aspect: str) -> FloatArray:
        """Return (k,) the chance that items *first* and *second* are of one class."""
        chances = self.aspects[aspect]
        alike: FloatArray = (chances[first] * chances[second]).sum(axis=1)
        return alike

    def expected_class(self, aspect: str = OVERALL) -> FloatArray:
        """Return (i,) the mean class on 0 (worst) .. 1 (best)."""
        chances = self.aspects[aspect]
        mean: FloatArray = chances @ np.linspace(0.0, 1.0, chances.shape[1])
        return mean


def fit_intent(
    exposures: pa.Table | ClickTable | None,
    annotations: pa.Table | None,
    *,
    generations: pa.Table,
    gold: pa.Table | None = None,
    settings: IntentSettings | None = None,
    processes: int = 1,
    spread: Spread | None = None,
) -> IntentFit:
    """Infer every generation's quality class from signals, answers and gold, in one model.

    Any of the three may be absent: without exposures this is an ordinal Dawid-Skene with
    comparisons, without answers a click model under the designed priors.

    Args:
        exposures: from `pipelines.signals.exposures`; those of weight 0 and of held-out users
            are no evidence, but their users' intents are inferred all the same. A click table
            must be numbered by the sorted ids of *generations*.
        annotations: raw answers (ratings, comparisons), each used once.
        generations: which generations there are; those without evidence keep the prior.
        gold: generation_id, aspect, value (a level 1 .. 5); clamped.
        settings: sizes, priors and tolerance.
        processes: how many share the E-step over exposures; the fit is the same within 1e-9.
        spread: who takes the E-step instead (`executors.on_executors`); None: *processes* of this
            machine.

    Returns:
        The fit; the same for any order of rows.

    Raises:
        ContractError: no generation at all, a required column is missing, gold is no level, or
            *processes* cannot be.
        FlywheelError: a process ended before its time.

    Source:
        Dawid & Skene (1979) and Rao & Kupper (1967) for the answers; the click side is ours.
    """
    settings, processes = settings or IntentSettings(), checked_processes(processes)
    known = conform(generations, subset(GENERATION, ("generation_id",)), what="generations")
    item_ids = query("SELECT DISTINCT generation_id FROM known ORDER BY 1", known=known)[0]
    item_ids = item_ids.combine_chunks()
    if len(item_ids) == 0:
        raise ContractError("generations: no rows; a fit needs at least one generation")
    table, shown_drops = _clicks(exposures, item_ids, settings=settings)
    answers = read_answers(annotations, item_ids)
    clamped = read_gold(gold, item_ids)
    channels = first_channels(
        answers, clamped, items=len(item_ids), classes=settings.classes, settings=settings.ratings
    )
    clicks, firmness = choose_firmness(table, channels, settings=settings)
    settings = replace(settings, clicks=clicks)
    shared = partitioned(table, processes=processes) if spread is None else spread(table)
    some = sample(table, channels)
    with shared as counted:
        anchoring = anchor(counted if some is table else some, channels, settings=settings)
        begun = None
        if some is not table:
            begun = run_em(some, channels, anchoring.chances, settings=settings)
        state = run_em(counted, channels, anchoring.chances, settings=settings, begin=begun)
    state, calibration, siblings = _calibrated(
        table, state, _prompts(generations, settings=settings), settings=settings
    )
    return IntentFit(
        generation_ids=tuple(item_ids.to_pylist()),
        posterior=state.posterior,
        aspects={channel.aspect: channel.posterior for channel in state.channels}
        | {OVERALL: state.posterior},
        has_evidence=_evidence(table, channels, len(item_ids)),
        users=table.users if table else (),
        tenants=table.tenants if table else (),
        user_intents=state.clicks.shares if state.clicks else np.zeros((0, len(INTENTS))),
        user_exposures=state.by_user.sum(axis=1),
        annotators=annotator_table(answers.annotators, state.channels, state.class_shares),
        intent_shares=dict(zip(INTENTS, _shares(table, state.by_user), strict=True)),
        phi=state.clicks.phi if state.clicks else np.zeros((len(INTENTS), settings.classes, 0)),
        eta=dict(zip(table.slot_names, state.clicks.eta.tolist(), strict=True))
        if table and state.clicks
        else {},
        class_shares=state.class_shares,
        prior=anchoring.prior,
        prior_scores=anchoring.scores,
        firmness=firmness,
        calibration=calibration,
        siblings=siblings,
        new_user=dict(zip(INTENTS, _new_user(state, settings), strict=True)),
        log_likelihoods=state.log_likelihoods,
        iterations=len(state.log_likelihoods),
        converged=state.converged,
        drops=join_drops(shown_drops, answers.drops),
    )


def naive_scores(exposures: pa.Table) -> pa.Table:
    """Return generation_id, score: likes plus downloads per impression, bots included.

    This is the baseline that takes every like and download for praise.
    """
    like, download = (1 << SIGNAL_NAMES.index(name) for name in ("like", "download"))
    return query(
        f"""SELECT generation_id, sum((pattern & {like} > 0)::INT + (pattern & {download} > 0)::INT)
        / count(*) AS score FROM shown WHERE NOT heldout
        GROUP BY generation_id ORDER BY generation_id""",
        shown=exposures.select(["generation_id", "pattern", "heldout"]),
    )


def _calibrated(
    table: ClickTable | None, state: State, prompt: IntArray | None, *, settings: IntentSettings
) -> tuple[State, Calibration, Siblings | None]:
    """Say how far signals may be believed, and fuse them with answers and siblings once more."""
    signals = table is not None and state.clicks is not None
    if not signals and prompt is None:
        return state, UNTRIED, None
    items, classes = state.posterior.shape
    evidence, calibration, siblings = answer_evidence(state.channels, items, classes), UNTRIED, None
    if table is not None and state.clicks is not None:
        clicks = click_evidence(table, state.clicks, state.class_shares, items=items)
        calibration = calibrate(clicks, state.class_shares, table.exposed, state.channels[-1].gold)
        evidence = clicks / calibration.temperature + evidence
    if prompt is None:
        posterior = normalise(evidence + np.log(state.class_shares))[0]
    else:
        siblings = find_siblings(evidence, prompt, state.class_shares)
        posterior = siblings.posterior
    channels = tuple(
        replace(
            channel,
            posterior=learn(
                channel, messages(channel, classes), posterior, settings=settings.ratings
            ).posterior,
        )
        for channel in state.channels
    )
    return replace(state, posterior=posterior, channels=channels), calibration, siblings


def _prompts(generations: pa.Table, *, settings: IntentSettings) -> IntArray | None:
    """Return (i,) the number of each item's prompt, one for each tenant that asked it.

    None where siblings are not asked for.
    """
    if not settings.siblings:
        return None
    known = conform(generations, KNOWN, what="generations")
    rows = query(
        "SELECT dense_rank() OVER (ORDER BY min(prompt_id), coalesce(min(tenant_id), '')) - 1 "
        "FROM known GROUP BY generation_id ORDER BY generation_id",
        known=known,
    )
    prompt: IntArray = rows[0].to_numpy().astype(np.int64)
    return prompt


def _new_user(state: State, settings: IntentSettings) -> list[float]:
    alpha = np.array(settings.clicks.intent_shares) if state.clicks is None else state.clicks.alpha
    shares: list[float] = (alpha / alpha.sum()).tolist()
    return shares


def _clicks(
    exposures: pa.Table | ClickTable | None, item_ids: pa.Array, *, settings: IntentSettings
) -> tuple[ClickTable | None, pa.Table]:
    if exposures is None or isinstance(exposures, ClickTable):
        return exposures, drops_table("intent", {})
    rows = conform(exposures, EXPOSURE, what="exposures")
    asked = [
        "generation_id", "user_id", "tenant_id", "surface", "position", "pattern", "weight",
        "heldout",
    ]  # fmt: skip
    rows = rows.select(asked)
    known = rows.filter(pc.is_in(rows["generation_id"], value_set=item_ids))
    lost = training_exposures(rows).num_rows - training_exposures(known).num_rows
    drops = drops_table("intent", {"unknown_generation": lost})
    if known.num_rows == 0:
        return None, drops
    return click_table(known, item_ids, first_examined=settings.clicks.first_examined), drops


def _shares(table: ClickTable | None, by_user: FloatArray) -> list[float]:
    total = by_user.sum(axis=0) if table is None else table.trusted @ by_user
    shares: list[float] = (total / max(total.sum(), 1.0)).tolist()
    return shares


def _evidence(table: ClickTable | None, channels: tuple[Channel, ...], items: int) -> FloatArray:
    found = np.zeros(items)
    if table is not None:
        found[table.exposed > 0] = 1.0
    for channel in channels:
        found[channel.touched] = 1.0
    return found
