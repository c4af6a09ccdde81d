"""What people ask for: counted, coloured shapes in relations, as text and as a parsed request."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

COLOURS: Final = ("red", "green", "blue", "yellow", "purple")
SHAPES: Final = ("disc", "square", "triangle")
NUMBERS: Final = {1: "a", 2: "two", 3: "three"}
Relation = Literal["alone", "and", "left of", "right of", "on"]
HEADERS: Final = ("", "draw ", "a picture of ", "please show ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some equal objects: how many, which colour, which shape."""

    count: int
    colour: str
    shape: str

    def words(self) -> str:
        plural = "s" if self.count > 1 else ""
        return f"{NUMBERS[self.count]} {self.colour} {self.shape}{plural}"


_GROUPS: Final = {
    group.words(): group
    for group in (
        Group(count=n, colour=c, shape=s) for n in NUMBERS for c in COLOURS for s in SHAPES
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one prompt asks for; *second* is None exactly when *relation* is "alone"."""

    first: Group
    relation: Relation
    second: Group | None

    @property
    def meaning(self) -> tuple[str, ...]:
        """Return what is equal for all requests that mean the same picture."""
        if self.second is None:
            return ("alone", self.first.words())
        first, second = self.first.words(), self.second.words()
        if self.relation == "right of":
            return ("left of", second, first)
        if self.relation == "and":
            return ("and", *sorted((first, second)))
        return (self.relation, first, second)

    def text(self, header: str = "") -> str:
        """Return the prompt as a person would type it."""
        if self.second is None:
            return f"{header}{self.first.words()}"
        return f"{header}{self.first.words()} {self.relation} {self.second.words()}"


def every_request() -> list[Request]:
    """Return all requests of the studio in a fixed order (1,545 of them).

    At most three objects, so that all can stand on the ground with room between them.
    """
    kinds = [(c, s) for c in COLOURS for s in SHAPES]
    alone = [
        Request(first=Group(count=n, colour=c, shape=s), relation="alone", second=None)
        for n in (1, 2, 3)
        for c, s in kinds
    ]
    relations: list[tuple[Relation, int]] = [
        ("and", 1),
        ("and", 2),
        ("left of", 1),
        ("left of", 2),
        ("right of", 1),
        ("right of", 2),
        ("on", 1),
    ]
    paired = [
        Request(
            first=Group(count=n, colour=c, shape=s),
            relation=relation,
            second=Group(count=1, colour=c2, shape=s2),
        )
        for relation, n in relations
        for c, s in kinds
        for c2, s2 in kinds
        if (c, s) != (c2, s2)
    ]
    return alone + paired


def parse_request(text: str) -> Request:
    """Read a prompt of the studio back into what it asks for.

    Raises:
        ValueError: *text* was not written by `Request.text`.
    """
    for header in sorted(HEADERS, key=len, reverse=True):
        if text.startswith(header):
            text = text[len(header) :]
            break
    for relation in ("left of", "right of", "and", "on"):
        first, found, second = text.partition(f" {relation} ")
        if found:
            return Request(
                first=_parse_group(first),
                relation=relation,
                second=_parse_group(second),
            )
    return Request(first=_parse_group(text), relation="alone", second=None)


def _parse_group(words: str) -> Group:
    if words not in _GROUPS:
        raise ValueError("not a prompt of the simulated studio")
    return _GROUPS[words]


def draw_prompts(requests: list[Request], count: int, *, rng: np.random.Generator) -> list[str]:
    """Draw *count* different requests and write each down with a random header."""
    chosen = rng.choice(len(requests), size=count, replace=False)
    headers = rng.integers(len(HEADERS), size=count)
    return [requests[i].text(HEADERS[h]) for i, h in zip(chosen, headers, strict=True)]
