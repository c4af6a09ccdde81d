"""Pictures of the studio: 32 x 32 pixels, shapes on the ground under one of two skies.

Scenes are drawn with the flaws that a raw pre-trained model shows (wrong colour, wrong count,
floating, overlapping, speckled, ragged ground). Flaws come together: each scene has its own care.
Objects stand on a raster of 4 pixels, which is one visual token of the backbone.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from pipelines.world.prompts import COLOURS, SHAPES, Request

Pixels = npt.NDArray[np.uint8]

SIDE: Final = 32  # pixels
OBJECT: Final = 8  # pixels, width and height of every object
RASTER: Final = 4
GROUND_Y: Final = 28  # first row of the ground
SKIES: Final = {"day": (198, 226, 255), "night": (38, 42, 84)}
GROUND: Final = (122, 94, 66)
SPECKLE: Final = (140, 140, 140)
PALETTE: Final = {
    "red": (222, 44, 44),
    "green": (44, 170, 72),
    "blue": (44, 92, 232),
    "yellow": (246, 214, 50),
    "purple": (158, 64, 196),
}


def _shape_masks() -> dict[str, npt.NDArray[np.bool_]]:
    y, x = np.mgrid[0:OBJECT, 0:OBJECT] + 0.5
    middle = OBJECT / 2
    return {
        "disc": (x - middle) ** 2 + (y - middle) ** 2 <= 13,
        "square": np.ones((OBJECT, OBJECT), bool),
        "triangle": np.abs(x - middle) <= y / 2 + 0.26,
    }


SHAPE_MASKS: Final = _shape_masks()
_SPECKLE_PATCH: Final = np.indices((RASTER, RASTER)).sum(axis=0) % 2 == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One drawn object; x and y are raster columns and rows of its top left corner."""

    colour: str
    shape: str
    x: int
    y: int


STANDING: Final = GROUND_Y // RASTER - OBJECT // RASTER  # raster row of an object on the ground
COLUMNS: Final = SIDE // RASTER

# How often a scene of average care shows each flaw.
FLAWS: Final = {
    "colour": 0.28,
    "shape": 0.16,
    "count": 0.28,
    "relation": 0.32,
    "floating": 0.34,
    "overlap": 0.18,
    "speckle": 0.36,
    "ragged": 0.32,
}


def draw_scene(request: Request, *, care: float, rng: np.random.Generator) -> Pixels:
    """Draw a scene for *request* as somebody of this care would.

    Who draws goes from left to right in the order of the request, and what stands above the
    ground is what was named first: what a thing is follows from where it is, in flawed scenes too.

    Args:
        request: what to draw.
        care: in [0, 1]; 1 draws without flaw, 0 shows each flaw twice as often as `FLAWS` says.
        rng: all randomness.

    Returns:
        (32, 32, 3) pixels.
    """
    flawed = {flaw: rng.random() < 2 * (1 - care) * share for flaw, share in FLAWS.items()}
    first, second = _wanted(request, flawed, rng)
    things = _place(request, first, second, misplaced=flawed["relation"], rng=rng)
    level = len(things) > 1 and things[0].y == things[1].y
    if flawed["overlap"] and (level or request.relation == "on"):
        things[1] = replace(things[1], x=min(COLUMNS - 2, things[0].x + 1), y=things[0].y)
    if flawed["floating"]:
        k = next(i for i, t in enumerate(things) if (t.colour, t.shape) == first[0])
        things[k] = _lifted(things[k], rng)
    sky = "day" if rng.random() < 0.5 else "night"
    speckles = int(rng.integers(2, 6)) if flawed["speckle"] else 0
    holes = int(rng.integers(1, 4)) if flawed["ragged"] else 0
    return paint(things, sky=sky, speckles=speckles, holes=holes, rng=rng)


def draw_care(count: int, *, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw how careful each of *count* scenes is, in [0, 1]: mean .4, widely spread."""
    return rng.beta(0.8, 1.2, size=count)


def paint(
    things: list[Thing],
    *,
    sky: str,
    speckles: int,
    holes: int,
    rng: np.random.Generator,
    ground: np.random.Generator | None = None,
) -> Pixels:
    """Put *things* on a background; later ones cover earlier ones.

    Args:
        things: objects from back to front.
        sky: a key of `SKIES`.
        speckles: patches of noise in the sky.
        holes: patches of noise in the ground.
        rng: where speckles and holes are.
        ground: where holes are, if not by *rng*: those of a film stay from frame to frame.

    Returns:
        (32, 32, 3) pixels.
    """
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = SKIES[sky]
    picture[GROUND_Y:] = GROUND
    for _ in range(speckles):
        x, y = rng.integers(COLUMNS) * RASTER, rng.integers(GROUND_Y // RASTER) * RASTER
        picture[y : y + RASTER, x : x + RASTER][_SPECKLE_PATCH] = SPECKLE
    for column in (ground or rng).choice(COLUMNS, size=holes, replace=False):
        picture[GROUND_Y:, column * RASTER : (column + 1) * RASTER][_SPECKLE_PATCH] = SPECKLE
    for thing in things:
        left, top = thing.x * RASTER, thing.y * RASTER
        area = picture[top : top + OBJECT, left : left + OBJECT]
        area[SHAPE_MASKS[thing.shape]] = PALETTE[thing.colour]
    return picture


Kind = tuple[str, str]


def _wanted(
    request: Request, flawed: dict[str, bool], rng: np.random.Generator
) -> tuple[list[Kind], list[Kind]]:
    """List the kinds to draw for each group, with flaws of colour, shape and count."""
    groups = [request.first] + ([request.second] if request.second else [])
    kinds = [[(g.colour, g.shape)] * g.count for g in groups]
    if flawed["colour"]:
        k = int(rng.integers(len(kinds)))
        other = [c for c in COLOURS if c != groups[k].colour]
        kinds[k] = [(str(rng.choice(other)), s) for _, s in kinds[k]]
    if flawed["shape"]:
        k = int(rng.integers(len(kinds)))
        other = [s for s in SHAPES if s != groups[k].shape]
        kinds[k] = [(c, str(rng.choice(other))) for c, _ in kinds[k]]
    if flawed["count"] and request.relation != "on":
        more = sum(map(len, kinds)) < 3 and rng.random() < 0.5
        kinds[0] = [*kinds[0], kinds[0][0]] if more or len(kinds[0]) == 1 else kinds[0][:-1]
    return kinds[0], kinds[1] if len(kinds) > 1 else []


def _place(
    request: Request,
    first: list[Kind],
    second: list[Kind],
    *,
    misplaced: bool,
    rng: np.random.Generator,
) -> list[Thing]:
    """Place the things from left to right.

    Misplaced, what was named first is beside instead of on the other, or hovers on its wrong
    side. Both on the ground are never exchanged: a tiny model mixes the colours and shapes of
    exchanged groups up (docs/decisions/tiny-backbone.md).
    """
    if request.relation == "on" and not misplaced:
        (x,) = _columns(1, rng=rng)
        return [_thing(second[0], x), replace(_thing(first[0], x), y=STANDING - 2)]
    beside = request.relation in ("left of", "right of")
    wrong_side, standing = (first[:1], first[1:]) if beside and misplaced else ([], first)
    row = standing + second + wrong_side
    if request.relation in ("right of", "on"):
        row = wrong_side + second + standing
    things = [_thing(k, x) for k, x in zip(row, _columns(len(row), rng=rng), strict=True)]
    if wrong_side:
        hovers = 0 if request.relation == "right of" else -1
        things[hovers] = _lifted(things[hovers], rng)
    return things


def _thing(kind: Kind, x: int) -> Thing:
    return Thing(colour=kind[0], shape=kind[1], x=x, y=STANDING)


def _lifted(thing: Thing, rng: np.random.Generator) -> Thing:
    return replace(thing, y=max(0, thing.y - int(rng.integers(1, 4))))


def _columns(count: int, *, rng: np.random.Generator) -> list[int]:
    """Draw raster columns from left to right, without overlap; all placings equally likely."""
    room = COLUMNS - 2 * count
    slots = np.sort(rng.choice(room + count, size=count, replace=False))
    return [int(slot) + k for k, slot in enumerate(slots)]
