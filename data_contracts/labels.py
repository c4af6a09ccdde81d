"""Sensitivity labels: a set of owners; joining is union; a reader needs every owner."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from data_contracts.errors import SensitivityError


@dataclass(frozen=True, slots=True)
class Label:
    """Whose permission a reader needs; the empty set is GENERAL."""

    owners: frozenset[str]

    def join(self, other: "Label") -> "Label":
        """Return the label of anything made from both."""
        return Label(self.owners | other.owners)

    def readable_by(self, clearance: "Label") -> bool:
        """Say whether a reader that holds *clearance* may read this."""
        return self.owners <= clearance.owners


GENERAL: Final = Label(frozenset())


def join_labels(labels: Iterable[Label | None], *, what: str) -> Label:
    """Join the labels of *what*'s inputs; a missing one denies.

    Raises:
        SensitivityError: a label is missing (None).
    """
    joined = GENERAL
    for label in labels:
        if label is None:
            raise SensitivityError(
                f"{what}: an input has no sensitivity label, so it is denied; "
                "record the input's label in the catalogue first"
            )
        joined = joined.join(label)
    return joined
