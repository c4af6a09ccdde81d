"""Where a picture is wrong, read from its pixels (the simulated studio's ground truth).

The same scenes that `pipelines.world.truth` judges, and the same rules: each flaw is a box around
what costs the picture something in one aspect. What is missing has no place and no box.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label

from pipelines.world.prompts import COLOURS, Request
from pipelines.world.scenes import GROUND_Y, OBJECT, RASTER, SHAPE_MASKS, SIDE
from pipelines.world.truth import (
    FIRST_COLOUR,
    GROUND_CLASS,
    SPECKLE_CLASS,
    Scene,
    Seen,
    palette_classes,
    read_scenes,
    relation_holds,
    rests,
    things_of,
)

Classes = npt.NDArray[np.int64]
_NOISY: Final = 3  # pixels of a cell of the raster, out of sixteen, that make it noisy
_SCRAP: Final = 6  # pixels; smaller remains of an object go unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One thing that is wrong, and where: in a picture a box, in a film some frames."""

    aspect: str
    reason_code: str
    box: tuple[int, int, int, int] | None = None  # left, top, width, height in pixels
    frames: tuple[int, int] | None = None  # of a film, [first, past the last]


def picture_flaws(
    pictures: npt.NDArray[np.uint8], requests: list[Request]
) -> list[tuple[Flaw, ...]]:
    """Return the flaws of each of (n, 32, 32, 3) pictures, by what it was asked for."""
    scenes, classes = read_scenes(pictures), palette_classes(pictures)
    return [
        (*_misplaced(s, r), *_impossible(s, c), *_noisy(c))
        for s, c, r in zip(scenes, classes, requests, strict=True)
    ]


def _misplaced(scene: Scene, request: Request) -> Iterator[Flaw]:
    """What was not asked for, too many of what was, and what stands on the wrong side."""
    groups = [request.first] + ([request.second] if request.second else [])
    found = [things_of(scene, group) for group in groups]
    asked = [thing for things in found for thing in things]
    shapes = {group.shape for group in groups}
    for thing in scene.things:
        if thing not in asked:
            yield _around(
                thing, "prompt_alignment",
                "wrong_colour" if thing.shape in shapes else "extra_object",
            )  # fmt: skip
    for things, group in zip(found, groups, strict=True):
        if len(things) > group.count:
            yield from (_around(t, "prompt_alignment", "wrong_count") for t in things)
    related = request.relation in ("left of", "right of", "on") and all(found)
    if related and not relation_holds(request.relation, *found):
        yield from (_around(t, "prompt_alignment", "wrong_relation") for t in found[0])


def _impossible(scene: Scene, classes: Classes) -> Iterator[Flaw]:
    """What floats, and remains of objects that others cover."""
    left = classes >= FIRST_COLOUR
    for thing in scene.things:
        window = np.s_[thing.y : thing.y + OBJECT, thing.x : thing.x + OBJECT]
        its_colour = classes[window] == FIRST_COLOUR + COLOURS.index(thing.colour)
        left[window] &= ~(its_colour & SHAPE_MASKS[thing.shape])
        if not rests(thing, scene.things):
            yield _around(thing, "physical_plausibility", "floating")
    yield from _boxes(left, "physical_plausibility", "overlapping", least=_SCRAP)


def _noisy(classes: Classes) -> Iterator[Flaw]:
    """Patches of noise in the sky and in the ground, in cells of the raster."""
    odd = classes == SPECKLE_CLASS
    odd[GROUND_Y:] |= classes[GROUND_Y:] != GROUND_CLASS
    cells = odd.reshape(SIDE // RASTER, RASTER, SIDE // RASTER, RASTER).sum((1, 3)) >= _NOISY
    whole = np.kron(cells, np.ones((RASTER, RASTER))).astype(np.bool_)
    yield from _boxes(whole, "aesthetics", "noise", least=1)


def _around(thing: Seen, aspect: str, reason_code: str) -> Flaw:
    return Flaw(aspect=aspect, reason_code=reason_code, box=(thing.x, thing.y, OBJECT, OBJECT))


def _boxes(
    where: npt.NDArray[np.bool_], aspect: str, reason_code: str, *, least: int
) -> Iterator[Flaw]:
    """Return a box around each connected part of *where* that has *least* pixels."""
    parts, _ = label(where)
    for number, (down, across) in enumerate(find_objects(parts), start=1):
        if (parts[down, across] == number).sum() >= least:
            width, height = across.stop - across.start, down.stop - down.start
            box = (across.start, down.start, width, height)
            yield Flaw(aspect=aspect, reason_code=reason_code, box=box)
