"""Simulated users: what they do with what they are shown, and what they mean by it.

Deliberately not of the de-noiser's model family: quality is continuous, readiness to act is
logistic with an intercept a user, activity is heavy-tailed, mockers look for the bad *and* the
strange, some users like one sky better than the other, a ring votes together, bots like all.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from data_contracts.errors import ShapeError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

GRID_SIZE: Final = 4
EXAMINED: Final = np.array([0.95, 0.8, 0.6, 0.45])  # chance that a place of the grid is looked at
# Fixed, so that better pictures earn more praise: overall 70 is ordinary, 20 points a step.
ORDINARY, STEP = 70.0, 20.0

# kind: (endorse: intercept, slope in quality), (mock: intercept, slope in strangeness)
ACTIONS: Final = {
    "like": ((-2.4, 1.1), (-3.0, 0.3)),
    "download": ((-2.1, 1.0), (-0.9, 1.3)),
    "share": ((-4.0, 0.8), (-2.0, 0.9)),
    "edit": ((-3.2, 0.3), (-5.0, 0.0)),
    "upscale": ((-3.6, 1.2), (-4.5, 0.5)),
    "dwell": ((-0.6, 0.6), (0.2, 0.5)),
    "hide": ((-3.8, -1.0), (-6.0, 0.0)),
    "report": ((-5.5, -1.0), (-5.5, 0.0)),
}
BOT_ACTIONS: Final = {"like": 0.9, "share": 0.3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The studio's users; every array is (users,)."""

    mock_share: Floats  # how often this user mocks
    mocker: Bools
    bot: Bools
    ring: Bools
    activity: Floats
    sky_taste: Floats  # added readiness for night scenes, taken away for day scenes
    readiness: Floats  # (users, kinds) own readiness to act
    skill: Ints | None = None  # (users,) which skill each works under, 0 none; None: nobody does


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What there is to show; arrays over n generations."""

    overall: Floats  # (n,) true quality, 0 .. 100
    night: Bools  # (n,) its sky
    grids: Ints  # (prompts, turns, 4) generation indices
    skill: Ints | None = None  # (prompts,) which skill each was asked under, as of users


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """What happened; arrays over m impressions, in order of session, turn, place."""

    user: Ints
    session: Ints
    turn: Ints
    generation: Ints
    position: Ints
    mocks: Bools
    examined: Bools
    acts: dict[str, Bools]
    kept: Floats  # share of the output kept, where edited
    regenerated: Bools  # the place at which the user asked for another grid


def draw_population(
    users: int, *, mocker_share: float, bot_share: float, rng: np.random.Generator
) -> Population:
    """Draw the studio's users.

    Args:
        users: how many.
        mocker_share: share of users that mock most of the time.
        bot_share: share of the others that are bots.
        rng: all randomness.
    """
    mocker = rng.random(users) < mocker_share
    bot = ~mocker & (rng.random(users) < bot_share)
    ring = np.zeros(users, bool)
    ring[rng.choice(np.flatnonzero(~mocker & ~bot), size=max(users // 100, 1), replace=False)] = (
        True
    )
    activity = rng.gamma(1.5, 1.0, users)
    activity[bot] *= 3
    taste = rng.normal(0.0, 0.8, users) * (rng.random(users) < 0.4)
    return Population(
        mock_share=np.where(mocker, rng.beta(7, 3, users), rng.beta(0.6, 19.4, users)),
        mocker=mocker,
        bot=bot,
        ring=ring,
        activity=activity,
        sky_taste=taste,
        readiness=rng.normal(0.0, 0.6, (users, len(ACTIONS))),
    )


def simulate_visits(
    population: Population,
    shown: Shown,
    *,
    sessions: int,
    mockery: float,
    rng: np.random.Generator,
) -> Visits:
    """Let users look at ranked grids, act, and ask for another grid when not content.

    Args:
        population: who visits.
        shown: what there is to show.
        sessions: how many visits.
        mockery: share of all downloads that are to be mockery, in [0, 0.9]; reached in expectation
            by how often mockers visit, where 0 to 50 times as often as others suffices. Poor
            pictures are mocked by ordinary users too, and hardly anybody mocks excellent ones:
            the share then stays above or below what was asked.
        rng: all randomness.

    Raises:
        ShapeError: *mockery* is out of range or grids are not of four.
    """
    if not 0 <= mockery <= 0.9:
        raise ShapeError(f"mockery is {mockery}; it is a share of downloads, at most 0.9")
    if shown.grids.shape[-1] != GRID_SIZE:
        raise ShapeError(f"grids hold {shown.grids.shape[-1]} generations; they hold {GRID_SIZE}")
    quality = (shown.overall - ORDINARY) / STEP
    # Mockers look for what is bad and strange among what is there, however good it gets.
    strange = -1.2 * (quality - quality.mean()) + rng.normal(0.0, 0.6, len(quality))
    weight = _visit_weights(population, quality, strange, shown.night, mockery)
    visitor = rng.choice(len(weight), size=sessions, p=weight / weight.sum())
    prompt = rng.integers(len(shown.grids), size=sessions)
    if population.skill is not None and shown.skill is not None:
        prompt = _of_own_skill(prompt, population.skill[visitor], shown.skill)
    ranked_up = rng.normal(0.0, 0.7, len(quality))  # the ranker's own whim for each generation
    favourites = rng.choice(len(quality), size=max(len(quality) // 50, 1), replace=False)

    parts: list[Visits] = []
    here: Ints = np.arange(sessions)
    for turn in range(shown.grids.shape[1]):
        grid = shown.grids[prompt[here], turn]
        order = np.argsort(-(ranked_up[grid] + rng.gumbel(size=grid.shape)), axis=1)
        parts.append(
            _look(
                population,
                user=visitor[here],
                session=here,
                turn=turn,
                grid=np.take_along_axis(grid, order, axis=1),
                quality=quality,
                strange=strange,
                night=shown.night,
                favourites=favourites,
                rng=rng,
            )
        )
        again = parts[-1].regenerated.reshape(-1, GRID_SIZE).any(1)
        here = here[again]
    return _join(parts)


def _of_own_skill(prompt: Ints, own: Ints, skill: Ints) -> Ints:
    """Move each visit to a prompt of the visitor's own skill; where there is none it stays."""
    moved = prompt.copy()
    for each in np.unique(own):
        places = np.flatnonzero(skill == each)
        if len(places):
            mine = own == each
            moved[mine] = places[prompt[mine] % len(places)]
    return moved


def _visit_weights(
    p: Population, quality: Floats, strange: Floats, night: Bools, mockery: float
) -> Floats:
    """Weigh visits so that mock downloads are *mockery* of all in expectation."""
    (a, b), (c, d) = ACTIONS["download"]
    some = np.linspace(0, len(quality) - 1, 200).astype(int)  # enough for a mean
    taste = p.sky_taste[:, None] * np.where(night[some], 1.0, -1.0)
    own = p.readiness[:, list(ACTIONS).index("download"), None]
    praise = _logistic(a + b * (quality[some] + taste) + own).mean(1)
    mock = _logistic(c + d * strange).mean()
    visits = p.activity * ~p.bot / p.activity.sum()
    mocked, praised = visits * p.mock_share * mock, visits * (1 - p.mock_share) * praise
    # Solve mocked = mockery * (mocked + praised) for k, where mockers visit k times as often.
    slope = ((1 - mockery) * mocked - mockery * praised)[p.mocker].sum()
    need = (mockery * praised - (1 - mockery) * mocked)[~p.mocker].sum()
    factor = float(np.clip(need / slope, 0.0, 50.0)) if slope > 0 else 50.0
    return p.activity * np.where(p.mocker, factor, 1.0)


def _look(
    p: Population,
    *,
    user: Ints,
    session: Ints,
    turn: int,
    grid: Ints,
    quality: Floats,
    strange: Floats,
    night: Bools,
    favourites: Ints,
    rng: np.random.Generator,
) -> Visits:
    """One grid a visitor: arrays are (visitors, 4) and flattened at the end."""
    shape = grid.shape
    examined = rng.random(shape) < EXAMINED
    mocks = (rng.random(len(user)) < p.mock_share[user])[:, None] & ~p.bot[user, None]
    mocks = np.broadcast_to(mocks, shape)
    q = quality[grid] + p.sky_taste[user, None] * np.where(night[grid], 1.0, -1.0)
    b = strange[grid]
    acts: dict[str, Bools] = {}
    for k, (kind, ((a0, a1), (m0, m1))) in enumerate(ACTIONS.items()):
        praise = _logistic(a0 + a1 * q + p.readiness[user, k, None])
        chance = np.where(mocks, _logistic(m0 + m1 * b), praise)
        chance = np.where(p.bot[user, None], BOT_ACTIONS.get(kind, 0.01), chance)
        acts[kind] = (rng.random(shape) < chance) & examined
    voted = p.ring[user, None] & np.isin(grid, favourites)
    acts["like"] = acts["like"] | voted
    # Not content with the best of the grid: ask again, at the place looked at first.
    best = np.where(examined, q, -9.0).max(1)
    ask = rng.random(len(user)) < np.where(mocks[:, 0], 0.25, _logistic(-0.2 - 1.2 * best))
    ask &= ~p.bot[user] & examined.any(1)
    regenerated = np.zeros(shape, bool)
    regenerated[np.arange(len(user)), examined.argmax(1)] = ask
    kept = np.clip(_logistic(1.0 + 1.2 * q) + rng.normal(0, 0.1, shape), 0.0, 1.0)
    return Visits(
        user=np.repeat(user, GRID_SIZE),
        session=np.repeat(session, GRID_SIZE),
        turn=np.full(grid.size, turn),
        generation=grid.ravel(),
        position=np.tile(np.arange(GRID_SIZE), len(user)),
        mocks=mocks.ravel(),
        examined=examined.ravel(),
        acts={kind: happened.ravel() for kind, happened in acts.items()},
        kept=kept.ravel(),
        regenerated=regenerated.ravel(),
    )


def _join(parts: list[Visits]) -> Visits:
    def all_of(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(p, name) for p in parts])

    order = np.lexsort((all_of("position"), all_of("turn"), all_of("session")))
    fields = ("user", "session", "turn", "generation", "position", "mocks", "examined", "kept")
    return Visits(
        **{name: all_of(name)[order] for name in fields},
        regenerated=all_of("regenerated")[order],
        acts={k: np.concatenate([p.acts[k] for p in parts])[order] for k in ACTIONS},
    )


def _logistic(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-x))
