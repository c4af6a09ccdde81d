"""What differs between a studio of pictures and one of films; everything else is the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_contracts.errors import FlywheelError
from pipelines.world.diversity import film_distance, layout_distance
from pipelines.world.film_requests import FILM_HEADERS, every_film_request, parse_film_request
from pipelines.world.film_truth import film_flaws, judge_films
from pipelines.world.films import FRAMES, draw_film
from pipelines.world.flaws import Flaw, picture_flaws
from pipelines.world.prompts import HEADERS, every_request, parse_request
from pipelines.world.scenes import draw_scene
from pipelines.world.truth import Truth, is_night, judge

Media = npt.NDArray[np.uint8]  # (n, height, width, 3), or (n, frames, height, width, 3)
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What people ask for in one modality, and how what comes of it is read from the pixels."""

    modality: str
    frames: int
    aspects: tuple[str, ...]  # that apply, without "overall"
    headers: tuple[str, ...]
    requests: Callable[[], Sequence[Any]]
    parse: Callable[[str], Any]
    draw: Callable[..., Media]  # (request, *, care, rng)
    judge: Callable[[Media, list[Any]], Truth]
    flaws: Callable[[Media, list[Any]], list[tuple[Flaw, ...]]]  # where each is wrong
    night: Callable[[Media], Bools]  # (n,) of its sky, of a film in its first frame
    distance: Callable[[Media, Media], Floats]

    def truth(self, media: Media, texts: Sequence[str]) -> Truth:
        """Judge media[i] against the prompt texts[i]; for scoring only."""
        return self.judge(media, [self.parse(text) for text in texts])


PICTURES: Final = Medium(
    modality="image",
    frames=1,
    aspects=("prompt_alignment", "physical_plausibility", "aesthetics"),
    headers=HEADERS,
    requests=every_request,
    parse=parse_request,
    draw=draw_scene,
    judge=judge,
    flaws=picture_flaws,
    night=is_night,
    distance=layout_distance,
)
FILMS: Final = Medium(
    modality="video",
    frames=FRAMES,
    aspects=(*PICTURES.aspects, "temporal_consistency"),
    headers=FILM_HEADERS,
    requests=every_film_request,
    parse=parse_film_request,
    draw=draw_film,
    judge=judge_films,
    flaws=film_flaws,
    night=lambda films: is_night(films[:, 0]),
    distance=film_distance,
)


def medium_of(modality: str) -> Medium:
    """Return the studio's medium of *modality*.

    Raises:
        FlywheelError: the studio has none of it.
    """
    for medium in (PICTURES, FILMS):
        if medium.modality == modality:
            return medium
    raise FlywheelError(f"the studio draws image or video, not {modality}; set studio.modality")
