"""How good a film really is, read from its pixels alone (the simulated studio's ground truth).

Each frame is read as a picture is; what happens between frames is read from where its objects are.
Nothing here knows how a film was made.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from data_contracts.errors import ShapeError
from pipelines.world.film_requests import FilmRequest
from pipelines.world.flaws import Flaw
from pipelines.world.scenes import OBJECT, RASTER
from pipelines.world.truth import (
    Scene,
    Seen,
    Truth,
    aesthetics,
    is_night,
    read_scenes,
    rests,
)

_STILL: Final = 1  # pixels that something at rest may differ by
_STEP: Final = RASTER + 2  # pixels that something may move between two frames


def judge_films(films: npt.NDArray[np.uint8], requests: list[FilmRequest]) -> Truth:
    """Judge each film against the request it was made for.

    Args:
        films: (n, frames, 32, 32, 3) RGB.
        requests: n requests.

    Raises:
        ShapeError: *films* and *requests* disagree on n, or films have a single frame.
    """
    if len(films) != len(requests):
        raise ShapeError(f"{len(films)} films but {len(requests)} requests; give one each")
    if films.ndim != 5 or films.shape[1] < 2:
        raise ShapeError(
            f"films are {films.shape}; give (n, frames, 32, 32, 3), two frames or more"
        )
    count = films.shape[1]
    flat = films.reshape(-1, *films.shape[2:])
    read = read_scenes(flat)
    night = is_night(flat).reshape(-1, count)
    scenes = [read[k * count : (k + 1) * count] for k in range(len(films))]
    return Truth(
        prompt_alignment=_each(_alignment(s, r) for s, r in zip(scenes, requests, strict=True)),
        physical_plausibility=_each(_plausibility(s) for s in scenes),
        aesthetics=_each(float(np.mean([aesthetics(f) for f in s])) for s in scenes),
        temporal_consistency=_each(_consistency(s, n) for s, n in zip(scenes, night, strict=True)),
        parses=np.array(
            [bool(s[0].things) and all(frame.has_ground for frame in s) for s in scenes], bool
        ),
    )


def film_flaws(films: npt.NDArray[np.uint8], requests: list[FilmRequest]) -> list[tuple[Flaw, ...]]:
    """Return in which frames each of (n, frames, 32, 32, 3) films is wrong, and in which aspect."""
    count, found = films.shape[1], []
    for film, request in zip(films, requests, strict=True):
        scenes, night = read_scenes(film), is_night(film)
        steps = list(pairwise(scenes))
        wrong = {
            ("prompt_alignment", "missing_object"): [
                _first(s, request.mover.colour, request.mover.shape) is None for s in scenes
            ],
            ("physical_plausibility", "floating"): [
                any(not (rests(t, s.things) or _falls(t, scenes, k)) for t in s.things)
                for k, s in enumerate(scenes)
            ],
            ("aesthetics", "noise"): [aesthetics(s) < 1 for s in scenes],
            ("temporal_consistency", "jump"): [False]
            + [_kept(a.things, b.things) < max(len(a.things), len(b.things)) for a, b in steps],
            ("temporal_consistency", "flicker"): [False, *(night[1:] != night[:-1]).tolist()],
        }
        found.append(
            tuple(
                Flaw(aspect=aspect, reason_code=code, frames=run)
                for (aspect, code), bad in wrong.items()
                for run in _runs(bad, count)
            )
        )
    return found


def _runs(bad: list[bool], count: int) -> list[tuple[int, int]]:
    """Return [first, past the last] of each run of bad frames."""
    edges = np.flatnonzero(np.diff(np.array([False, *bad, False]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if a < count]


def _each(values: Iterable[float]) -> npt.NDArray[np.float64]:
    return np.array(list(values), float)


def _alignment(frames: list[Scene], request: FilmRequest) -> float:
    """Mean of: the mover is there, it moves as asked, the other is there, nothing beside them."""
    wanted = [request.mover] + ([request.other] if request.other else [])
    found = [[_first(scene, g.colour, g.shape) for scene in frames] for g in wanted]
    marks = [float(np.mean([seen is not None for seen in row])) for row in found]
    marks.append(_moves(request.motion, found[0], frames))
    extra = [
        max(0.0, 1.0 - (len(scene.things) - sum(row[k] is not None for row in found)) / 2)
        if scene.things
        else 0.0
        for k, scene in enumerate(frames)
    ]
    return float(np.mean([*marks, float(np.mean(extra))]))


def _first(scene: Scene, colour: str, shape: str) -> Seen | None:
    return next((t for t in scene.things if (t.colour, t.shape) == (colour, shape)), None)


def _moves(motion: str, seen: list[Seen | None], frames: list[Scene]) -> float:
    """Share of the steps between frames that go as asked; something that falls may have landed."""
    good, falling = 0, 0
    for k, (a, b) in enumerate(pairwise(seen)):
        if a is None or b is None:
            continue
        dx, dy = b.x - a.x, b.y - a.y
        level, upright = abs(dy) <= _STILL, abs(dx) <= _STILL
        if motion == "falls":
            falls = upright and _STILL < dy <= _STEP
            falling += falls
            good += falls or (level and upright and rests(b, frames[k + 1].things))
        elif motion == "stays":
            good += level and upright
        else:
            forward = dx if motion == "rolls right" else -dx
            good += level and _STILL < forward <= _STEP
    if motion == "falls" and not falling:
        return 0.0
    return good / (len(seen) - 1)


def _plausibility(frames: list[Scene]) -> float:
    """Mean of: objects are whole and rest or fall; none vanishes or comes from nowhere."""
    held: list[float] = []
    for k, scene in enumerate(frames):
        if not scene.has_ground:
            held.append(0.0)
            continue
        total = len(scene.things) + scene.broken
        if not total:
            continue  # nothing there: what vanished counts below
        good = sum(rests(t, scene.things) or _falls(t, frames, k) for t in scene.things)
        held.append(good / total)
    counts = [len(scene.things) for scene in frames]
    if not held or not max(counts):
        return 0.0
    stays = [min(a, b) / max(a, b, 1) if max(a, b) else 0.0 for a, b in pairwise(counts)]
    return float((np.mean(held) + np.mean(stays)) / 2)


def _falls(thing: Seen, frames: list[Scene], k: int) -> bool:
    """Say whether *thing* of frame *k* is on its way down: lower in the next frame.

    In the last frame, nobody knows what comes next: there it must have come from above.
    """
    last = k == len(frames) - 1
    there = frames[k - 1 if last else k + 1].things
    sign = -1 if last else 1
    return any(
        (t.colour, t.shape) == (thing.colour, thing.shape)
        and abs(t.x - thing.x) <= _STILL < sign * (t.y - thing.y) <= _STEP
        for t in there
    )


def _consistency(frames: list[Scene], night: npt.NDArray[np.bool_]) -> float:
    """Mean over steps of: each object is still itself and near, and so is the sky."""
    marks = []
    for k, (a, b) in enumerate(pairwise(frames)):
        more = max(len(a.things), len(b.things))
        same = _kept(a.things, b.things) / more if more else 0.0
        marks += [same, float(night[k] == night[k + 1])]
    return float(np.mean(marks))


def _kept(before: tuple[Seen, ...], after: tuple[Seen, ...]) -> int:
    """Count the objects that have one of their kind near them in the next frame."""
    left = list(after)
    kept = 0
    for thing in before:
        near = next(
            (
                t
                for t in left
                if (t.colour, t.shape) == (thing.colour, thing.shape)
                and max(abs(t.x - thing.x), abs(t.y - thing.y)) <= OBJECT - 2
            ),
            None,
        )
        if near is not None:
            left.remove(near)
            kept += 1
    return kept
