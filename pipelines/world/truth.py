"""How good a picture really is, read from its pixels alone (the simulated studio's ground truth).

Three aspects in [0, 1]; *overall* is their mean times 100. Nothing here knows how a picture was
made: scenes are parsed by matching shapes against the pixels' nearest palette colours.
"""

import heapq
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_contracts.errors import ShapeError
from pipelines.world.prompts import COLOURS, SHAPES, Group, Request
from pipelines.world.scenes import (
    GROUND,
    GROUND_Y,
    OBJECT,
    PALETTE,
    SHAPE_MASKS,
    SIDE,
    SKIES,
    SPECKLE,
)

Floats = npt.NDArray[np.float64]

_NAMES: Final = ("day", "night", "ground", "speckle", *COLOURS)
_REFERENCE: Final = np.array(
    [SKIES["day"], SKIES["night"], GROUND, SPECKLE, *(PALETTE[c] for c in COLOURS)], np.float32
)
GROUND_CLASS: Final = 2  # places in `palette_classes`
SPECKLE_CLASS: Final = 3
FIRST_COLOUR: Final = 4
_PART: Final = 128  # pictures matched at once: each takes about a megabyte
_MATCH: Final = 0.8  # share of a shape's window that must agree, net of disagreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One object found in a picture; x and y are pixels of its top left corner."""

    colour: str
    shape: str
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What was found in one picture."""

    things: tuple[Seen, ...]
    broken: float  # coloured area that belongs to no whole object, in objects
    speckled: float  # share of the sky that is not sky
    ragged: float  # share of the ground that is not ground

    @property
    def parses(self) -> bool:
        """Say whether this is a scene at all: ground, and at least one whole object."""
        return self.has_ground and bool(self.things)

    @property
    def has_ground(self) -> bool:
        return self.ragged < 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """True quality of n pictures or films; each array is (n,)."""

    prompt_alignment: Floats
    physical_plausibility: Floats
    aesthetics: Floats
    parses: npt.NDArray[np.bool_]
    temporal_consistency: Floats | None = None  # of films

    @property
    def aspects(self) -> dict[str, Floats]:
        """Return the aspects that apply, each (n,) in [0, 1]."""
        found = {
            "prompt_alignment": self.prompt_alignment,
            "physical_plausibility": self.physical_plausibility,
            "aesthetics": self.aesthetics,
        }
        if self.temporal_consistency is not None:
            found["temporal_consistency"] = self.temporal_consistency
        return found

    @property
    def overall(self) -> Floats:
        """Return the mean of the aspects times 100."""
        aspects = list(self.aspects.values())
        return 100.0 * sum(aspects[1:], aspects[0]) / len(aspects)


def judge(pictures: npt.NDArray[np.uint8], requests: list[Request]) -> Truth:
    """Judge each picture against the request it was made for.

    Args:
        pictures: (n, 32, 32, 3) RGB.
        requests: n requests.

    Raises:
        ShapeError: *pictures* and *requests* disagree on n.
    """
    if len(pictures) != len(requests):
        raise ShapeError(f"{len(pictures)} pictures but {len(requests)} requests; give one each")
    scenes = read_scenes(pictures)
    return Truth(
        prompt_alignment=np.array(
            [_alignment(s, r) for s, r in zip(scenes, requests, strict=True)], float
        ),
        physical_plausibility=np.array([_plausibility(s) for s in scenes], float),
        aesthetics=np.array([aesthetics(s) for s in scenes], float),
        parses=np.array([s.parses for s in scenes], bool),
    )


def palette_classes(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return (n, 32, 32) index of each pixel's nearest palette colour (sky, ground, ...)."""
    flat = pictures.reshape(-1, 3).astype(np.float32)
    distance = (flat**2).sum(1)[:, None] - 2 * flat @ _REFERENCE.T + (_REFERENCE**2).sum(1)
    return distance.argmin(1).reshape(pictures.shape[:3])


def is_night(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Say of each of (n, 32, 32, 3) pictures whether its sky is the night's."""
    classes = palette_classes(pictures)
    night: npt.NDArray[np.bool_] = (classes == 1).sum((1, 2)) > (classes == 0).sum((1, 2))
    return night


def read_scenes(pictures: npt.NDArray[np.uint8]) -> list[Scene]:
    """Find the objects in each of (n, 32, 32, 3) pictures; time O(n), memory bounded."""
    if pictures.shape[1:] != (SIDE, SIDE, 3):
        raise ShapeError(f"pictures are {pictures.shape}; the studio's are (n, {SIDE}, {SIDE}, 3)")
    scenes: list[Scene] = []
    for start in range(0, len(pictures), _PART):
        classes = palette_classes(pictures[start : start + _PART])
        matches = _matches(classes)
        scenes += [_read_scene(c, m) for c, m in zip(classes, matches, strict=True)]
    return scenes


def _matches(classes: npt.NDArray[np.int64]) -> Floats:
    """Return (n, colour, shape, y, x): how well each shape fits at each offset, at most 1.

    A colour that a picture has too little of for any match is not looked for: it fits nowhere.
    """
    names = np.arange(FIRST_COLOUR, len(_NAMES))[None, :, None, None]
    colours: npt.NDArray[np.bool_] = classes[:, None] == names
    sizes = np.array([SHAPE_MASKS[s].sum() for s in SHAPES], np.float64)
    enough = colours.sum((2, 3)) >= _MATCH * sizes.min()
    windows: Any = np.lib.stride_tricks.sliding_window_view(
        colours[enough],
        (OBJECT, OBJECT),
        axis=(1, 2),  # type: ignore[call-overload]  # numpy's stubs know one axis only
    )
    found, h, w = windows.shape[:3]
    kernel = np.stack([np.where(SHAPE_MASKS[s], 1.0, -1.0) for s in SHAPES])
    flat = windows.reshape(found * h * w, OBJECT * OBJECT).astype(np.float32)
    net = flat @ kernel.reshape(len(SHAPES), -1).T.astype(np.float32)  # whole numbers, exact
    score = np.full((*enough.shape, len(SHAPES), h, w), -1.0)
    score[enough] = (net / sizes).round(3).reshape(found, h, w, len(SHAPES)).transpose(0, 3, 1, 2)
    return score


def _read_scene(classes: npt.NDArray[np.int64], matches: Floats) -> Scene:
    """Take the best match out of the picture, again and again.

    A match is scored anew on what is left before it is believed: in a row of touching squares
    every offset fits at first, and only the true ones fit as well as they promised.
    """
    things: list[Seen] = []
    left = classes.copy()
    # Among equals from the left.
    heap = [
        (-float(matches[tuple(g)]), int(g[3]), int(g[2]), int(g[0]), int(g[1]))
        for g in np.argwhere(matches >= _MATCH)
    ]
    heapq.heapify(heap)
    while heap:
        promised, x, y, colour, shape = heapq.heappop(heap)
        mask = SHAPE_MASKS[SHAPES[shape]]
        window = left[y : y + OBJECT, x : x + OBJECT]
        fits = window == FIRST_COLOUR + colour
        score = _score(int((fits & mask).sum() - (fits & ~mask).sum()), int(mask.sum()))
        if score < _MATCH:
            continue
        if score < -promised:
            heapq.heappush(heap, (-score, x, y, colour, shape))
            continue
        window[fits & mask] = -1
        things.append(Seen(colour=COLOURS[colour], shape=SHAPES[shape], x=x, y=y))
    sky = left[:GROUND_Y]
    is_sky = (sky == 0) | (sky == 1)
    major = max((sky == 0).sum(), (sky == 1).sum())
    seen_sky = max(int((sky != -1).sum() - (sky >= FIRST_COLOUR).sum()), 1)
    return Scene(
        things=tuple(sorted(things, key=lambda t: (t.x, t.y))),
        broken=float((left >= FIRST_COLOUR).sum()) / (OBJECT * OBJECT / 2),
        speckled=float(1.0 - major / seen_sky) if is_sky.any() else 1.0,
        ragged=float((classes[GROUND_Y:] != 2).mean()),
    )


def _score(net: int, size: int) -> float:
    """Return net / size in thousandths, so that no rounding of sums decides a match."""
    return round(net / size, 3)


def _alignment(scene: Scene, request: Request) -> float:
    """Mean of: each group's count, the relation (where one is asked), nothing beside it."""
    groups = [request.first] + ([request.second] if request.second else [])
    found = [things_of(scene, g) for g in groups]
    marks = [
        max(0.0, 1.0 - abs(len(things) - group.count) / group.count)
        for things, group in zip(found, groups, strict=True)
    ]
    if request.relation in ("left of", "right of", "on"):
        marks.append(float(relation_holds(request.relation, found[0], found[1])))
    extra = len(scene.things) - sum(map(len, found))
    marks.append(max(0.0, 1.0 - extra / 2) if scene.things else 0.0)
    return float(np.mean(marks))


def things_of(scene: Scene, group: Group) -> list[Seen]:
    return [t for t in scene.things if (t.colour, t.shape) == (group.colour, group.shape)]


def relation_holds(relation: str, first: list[Seen], second: list[Seen]) -> bool:
    if not first or not second:
        return False
    if relation == "on":
        return any(
            abs(a.x - b.x) <= OBJECT // 2 and abs(b.y - a.y - OBJECT) <= 1
            for a in first
            for b in second
        )
    left, right = (first, second) if relation == "left of" else (second, first)
    return max(t.x for t in left) < min(t.x for t in right)


def _plausibility(scene: Scene) -> float:
    """Share of objects that are whole and rest on the ground or on another object."""
    total = len(scene.things) + scene.broken
    if not scene.things or not scene.has_ground:
        return 0.0
    standing = sum(rests(t, scene.things) for t in scene.things)
    return float(standing / total)


def rests(thing: Seen, things: tuple[Seen, ...]) -> bool:
    """Say whether *thing* stands on the ground or on another of the *things*."""
    bottom = thing.y + OBJECT
    if abs(bottom - GROUND_Y) <= 1:
        return True
    return any(
        t is not thing and abs(bottom - t.y) <= 1 and abs(t.x - thing.x) <= OBJECT // 2
        for t in things
    )


def aesthetics(scene: Scene) -> float:
    """Return the mean of a clean sky and a whole ground, in [0, 1]."""
    clean = max(0.0, 1.0 - scene.speckled / 0.06)
    whole = max(0.0, 1.0 - scene.ragged / 0.15)
    return (clean + whole) / 2
