"""Questions: the answers of a set, sorted by what was asked and who was asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.intake.importers import GOLD, MACHINE, PEOPLE, asked

_ANSWERS: Final = ("rating", "comparison", "prompt_span")
_ORDER: Final = {PEOPLE: 0, MACHINE: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Answers of one kind to one question about one aspect, by people or by machines."""

    aspect: str
    name: str  # empty where the set asks one question about the aspect
    kind: str
    by: str
    rows: pa.Table

    @property
    def annotators(self) -> int:
        """How many named annotators answered."""
        return int(pc.count_distinct(self.rows["annotator_id"]).as_py())

    def as_ratings(self) -> pa.Table:
        """Return the answers as ratings of what was judged, each by somebody of their own name.

        A pair is one thing to judge: its value is turned to the smaller id, so that all who
        compared the two rated the same. One annotator shown both orders answered twice.
        """
        rows = self.rows
        names = pc.coalesce(rows["annotator_id"], rows["annotation_id"])
        things = rows["generation_id"]
        value = rows["value"].to_numpy()
        if self.kind == "comparison":
            first, other = rows["generation_id"], rows["other_generation_id"]
            small = np.array(
                [a < b for a, b in zip(first.to_pylist(), other.to_pylist(), strict=True)]
            )
            things = pc.binary_join_element_wise(
                pc.if_else(pa.array(small), first, other),
                pc.if_else(pa.array(small), other, first),
                "|",
            )
            value = np.where(small, value, -value) + 0.0
            names = pc.binary_join_element_wise(names, pc.fill_null(rows["shown_left"], ""), "|")
        return pa.table(
            {
                "annotation_id": rows["annotation_id"],
                "annotator_id": names,
                "generation_id": things,
                "kind": pa.array(["rating"] * rows.num_rows, pa.string()),
                "aspect": rows["aspect"],
                "value": value,
            }
        )

    @staticmethod
    def title(aspect: str, name: str, by: str) -> str:
        """Name a question in figures, such as "aesthetics (tldr)"."""
        told = f"{aspect} ({name})" if name else aspect
        return told if by == PEOPLE else f"{told}, {by}s"


def questions(annotations: pa.Table) -> Iterator[Question]:
    """Yield the questions with answers; gold labels are no answers."""
    rows = annotations.filter(
        pc.and_(
            pc.is_in(annotations["kind"], value_set=pa.array(_ANSWERS)),
            pc.is_valid(annotations["value"]),
        )
    )
    keys = rows.group_by(["aspect", "origin", "kind"]).aggregate([]).to_pylist()
    told = [(each["aspect"], *asked(each["origin"]), each["kind"], each["origin"]) for each in keys]
    for aspect, name, by, kind, origin in sorted(
        told, key=lambda each: (_ORDER.get(each[2], 2), each[3] != "rating", *each)
    ):
        if by == GOLD:
            continue
        mine = pc.and_(pc.equal(rows["aspect"], aspect), pc.equal(rows["kind"], kind))
        mine = pc.and_(mine, pc.equal(rows["origin"], origin))
        yield Question(aspect=aspect, name=name, kind=kind, by=by, rows=rows.filter(mine))


def fitted_answers(annotations: pa.Table) -> tuple[pa.Table, str]:
    """Return the answers that pairs are inferred from, and whose they are.

    People's where there are any, else the machines'. Gold labels are held back. An edit says
    that its author prefers the edited version, and is read as such a comparison.
    """
    who = np.array([asked(each)[1] for each in annotations["origin"].to_pylist()], dtype=object)
    by = PEOPLE if (who == PEOPLE).any() else MACHINE
    rows = annotations.filter(pa.array(who == by))
    edit = pc.equal(rows["kind"], "edit")
    for name, value in (("kind", pa.scalar("comparison")), ("value", pa.scalar(-2.0))):
        at = rows.schema.get_field_index(name)
        column = pc.if_else(edit, value, rows[name])
        rows = rows.set_column(at, rows.schema.field(name), column)
    return rows, by
