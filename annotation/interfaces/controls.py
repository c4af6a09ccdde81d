"""The names that interfaces and answers share: controls, their keys, and what they store."""

from dataclasses import dataclass
from typing import Final, Literal

Form = Literal["pair", "blind", "critique", "edit"]
Side = Literal["left", "right", "only"]

OVERALL: Final = "overall"
COMMENT: Final = "comment"
EDITED: Final = "edited"  # the edited version of a text
WHY: Final = "why"  # a text was edited
PROMPT: Final = "prompt"
UNMET: Final = "unmet"  # words of the prompt that were not satisfied
ASPECT: Final = "aspect_"  # + the aspect's name
REGIONS: Final[tuple[str, ...]] = ("reason", "box", "brush", "span", "segment")  # side_ + this


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One answer that a key gives."""

    stored: str
    says: str
    key: str
    value: float | None = None  # for the left against the right; None: no judgement
    tie_kind: str | None = None


DECLINED: Final = Choice(stored="declined", says="Decline", key="0")
CANNOT_JUDGE: Final = Choice(stored="cannot_judge", says="Cannot judge", key="7")
VERDICTS: Final[tuple[Choice, ...]] = (
    Choice(stored="left_much", says="A much better", key="1", value=2.0),
    Choice(stored="left", says="A better", key="2", value=1.0),
    Choice(stored="both_good", says="Both good", key="3", value=0.0, tie_kind="both_good"),
    Choice(stored="both_bad", says="Both bad", key="4", value=0.0, tie_kind="both_bad"),
    Choice(stored="right", says="B better", key="5", value=-1.0),
    Choice(stored="right_much", says="B much better", key="6", value=-2.0),
    CANNOT_JUDGE,
    DECLINED,
)
REFUSALS: Final[tuple[Choice, ...]] = (
    CANNOT_JUDGE,
    DECLINED,
)

# Rows of keys that lie together. The editor takes b, e, h, r, u and v for its tools.
_ROWS: Final = (("a", "s", "d"), ("z", "x", "c"), ("j", "k", "l"), ("i", "o", "p"))
# What says why a text was edited, in the order of the taxonomy.
REASON_KEYS: Final = "asdzxcjkliopfgnty"
WRITE_KEY: Final = "w"  # puts the cursor into the field; the door sees to it
UNCOVER_KEY: Final = "q"  # shows what a warning covers; the door sees to it


def side_choices(row: int) -> tuple[Choice, ...]:
    """Return the three answers that rate one aspect of a pair, on the keys of *row* from 0."""
    left, same, right = _ROWS[row]
    return (
        Choice(stored="left", says="A", key=left, value=1.0),
        Choice(stored="same", says="Same", key=same, value=0.0),
        Choice(stored="right", says="B", key=right, value=-1.0),
    )


def rows_of_keys() -> int:
    """Return how many aspects a pair can rate with a key each."""
    return len(_ROWS)


def unmet_by(side: str) -> str:
    """Return what a word of the prompt stores that *side* did not satisfy."""
    return f"unmet_{side}"
