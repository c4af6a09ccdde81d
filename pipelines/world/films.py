"""Films of the studio: four frames in which one shape rolls, falls or stays.

Films are drawn with the flaws that a raw pre-trained model shows, those of pictures and those of
time (another motion, floating, vanishing, changing, jumping, a flickering sky). Flaws come
together: each film has its own care. Everything moves by one step of the raster a frame.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from pipelines.world.film_requests import MOTIONS, FilmRequest, Motion
from pipelines.world.prompts import COLOURS, SHAPES
from pipelines.world.scenes import COLUMNS, STANDING, Kind, Pixels, Thing, paint

FRAMES: Final = 4
_PATH: Final = FRAMES + 1  # columns that something which rolls covers in all

# How often a film of average care shows each flaw.
FILM_FLAWS: Final = {
    "colour": 0.32,
    "shape": 0.20,
    "motion": 0.40,
    "other": 0.28,  # what should stand by is missing, or is something else
    "floating": 0.38,
    "vanish": 0.36,
    "change": 0.30,
    "jump": 0.28,
    "flicker": 0.28,
    "speckle": 0.42,
    "ragged": 0.38,
}


def draw_film(request: FilmRequest, *, care: float, rng: np.random.Generator) -> Pixels:
    """Draw a film for *request* as somebody of this care would.

    Args:
        request: what to draw.
        care: in [0, 1]; 1 draws without flaw, 0 shows each flaw twice as often as `FILM_FLAWS`.
        rng: all randomness.

    Returns:
        (4, 32, 32, 3) pixels.
    """
    flawed = {flaw: rng.random() < 2 * (1 - care) * share for flaw, share in FILM_FLAWS.items()}
    mover, other = _kinds(request, flawed, rng)
    motion = request.motion
    if flawed["motion"]:
        motion = MOTIONS[int(rng.choice([k for k, m in enumerate(MOTIONS) if m != motion]))]
    path, beside = _paths(motion, flawed, rng)
    when = int(rng.integers(1, FRAMES))  # from which frame on a flaw of time shows
    later = _recoloured(mover, rng) if flawed["change"] else mover
    kinds = [mover if frame < when else later for frame in range(FRAMES)]
    gone = int(rng.integers(1, FRAMES)) if flawed["vanish"] else FRAMES
    sky, dark = ("day", "night") if rng.random() < 0.5 else ("night", "day")
    dims = int(rng.integers(1, FRAMES)) if flawed["flicker"] else FRAMES
    speckled = flawed["speckle"]
    holes = int(rng.integers(1, 4)) if flawed["ragged"] else 0
    ground = int(rng.integers(2**32))  # holes stay where they are
    frames = []
    for frame, (column, row) in enumerate(path):
        things = [Thing(colour=kinds[frame][0], shape=kinds[frame][1], x=column, y=row)]
        if frame >= gone:
            things = []
        if other is not None:
            things.append(Thing(colour=other[0], shape=other[1], x=beside, y=STANDING))
        frames.append(
            paint(
                things,
                sky=sky if frame < dims else dark,
                speckles=int(rng.integers(1, 4)) if speckled else 0,
                holes=holes,
                rng=rng,
                ground=np.random.default_rng(ground),
            )
        )
    return np.stack(frames)


def _kinds(
    request: FilmRequest, flawed: dict[str, bool], rng: np.random.Generator
) -> tuple[Kind, Kind | None]:
    mover = (request.mover.colour, request.mover.shape)
    if flawed["colour"]:
        mover = _recoloured(mover, rng)
    if flawed["shape"]:
        mover = (mover[0], str(rng.choice([s for s in SHAPES if s != mover[1]])))
    other = (request.other.colour, request.other.shape) if request.other else None
    if flawed["other"]:
        other = None if other and rng.random() < 0.5 else _any_kind(rng)
    return mover, other


def _recoloured(kind: Kind, rng: np.random.Generator) -> Kind:
    return str(rng.choice([c for c in COLOURS if c != kind[0]])), kind[1]


def _any_kind(rng: np.random.Generator) -> Kind:
    return str(rng.choice(COLOURS)), str(rng.choice(SHAPES))


def _paths(
    motion: Motion, flawed: dict[str, bool], rng: np.random.Generator
) -> tuple[list[tuple[int, int]], int]:
    """Return the mover's (column, row) in each frame, and the column of what stands by.

    What stands by is left or right of all that the mover covers, so that nothing ever overlaps.
    """
    rolls = motion in ("rolls left", "rolls right")
    covered = _PATH if rolls else 2
    left = int(rng.integers(COLUMNS - covered - 2 + 1))  # columns free on the mover's side
    between = int(rng.integers(COLUMNS - covered - 2 - left + 1))
    if rng.random() < 0.5:  # mover left of the other
        start, beside = left, left + covered + between
    else:
        beside, start = left, left + 2 + between
    columns: npt.NDArray[np.int64] = np.full(FRAMES, start)
    rows: npt.NDArray[np.int64] = np.full(FRAMES, STANDING)
    if rolls:
        columns = start + np.arange(FRAMES)
        columns = columns[::-1] if motion == "rolls left" else columns
    if motion == "falls":
        rows = np.minimum(STANDING, STANDING - int(rng.integers(2, 4)) + np.arange(FRAMES))
    if flawed["floating"]:
        # What rolls or stays does so in the air; what falls stops in the air.
        rows = rows - int(rng.integers(1, 4)) if motion != "falls" else rows - 1
        if motion == "falls":
            rows = np.minimum(rows, STANDING - 2)
    if flawed["jump"]:
        when = int(rng.integers(1, FRAMES))
        rows = rows.copy()
        rows[when:] = np.maximum(0, rows[when:] - 3)
    return [(int(x), max(0, int(y))) for x, y in zip(columns, rows, strict=True)], beside
