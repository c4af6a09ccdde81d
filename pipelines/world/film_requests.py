"""What people ask for in films: one coloured shape that moves in a way, alone or by another."""

from dataclasses import dataclass
from typing import Final, Literal

from pipelines.world.prompts import COLOURS, SHAPES, Group

Motion = Literal["rolls left", "rolls right", "falls", "stays"]
MOTIONS: Final[tuple[Motion, ...]] = ("rolls left", "rolls right", "falls", "stays")
FILM_HEADERS: Final = ("", "film ", "a film of ", "please show ")
_BY: Final = " by "


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRequest:
    """What one prompt asks a film for; *other* stands on the ground all the while."""

    mover: Group
    motion: Motion
    other: Group | None

    def text(self, header: str = "") -> str:
        """Return the prompt as a person would type it."""
        beside = f"{_BY}{self.other.words()}" if self.other else ""
        return f"{header}{self.mover.words()} {self.motion}{beside}"

    @property
    def meaning(self) -> tuple[str, ...]:
        """Return what is equal for all requests that mean the same film."""
        return (self.text(),)


_KINDS: Final = [Group(count=1, colour=c, shape=s) for c in COLOURS for s in SHAPES]


def every_film_request() -> list[FilmRequest]:
    """Return all film requests of the studio in a fixed order (900 of them)."""
    return [
        FilmRequest(mover=mover, motion=motion, other=other)
        for motion in MOTIONS
        for mover in _KINDS
        for other in [None, *(kind for kind in _KINDS if kind != mover)]
    ]


_BY_TEXT: Final = {request.text(): request for request in every_film_request()}


def parse_film_request(text: str) -> FilmRequest:
    """Read a film prompt of the studio back into what it asks for.

    Raises:
        ValueError: *text* was not written by `FilmRequest.text`.
    """
    for header in sorted(FILM_HEADERS, key=len, reverse=True):
        if text.startswith(header) and text[len(header) :] in _BY_TEXT:
            return _BY_TEXT[text[len(header) :]]
    raise ValueError("not a film prompt of the simulated studio")
