"""Copies: what is told of annotators who look like copies of one another, merged or not."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pipelines.preferences.hearing import ANSWERS, Heard

Figures = dict[str, Any]
PAIRS: Final = 50  # on the page; all are in suspects.parquet
MEMBERS: Final = 20  # of one group that are named


def copy_figures(heard: Heard) -> Figures:
    """Return who counts as one, and who looks like a copy and is heard in full all the same.

    Ready for JSON; the same for any order of rows.
    """
    apart = heard.suspects.filter(pc.invert(heard.suspects["merged"]))
    answers = heard.accepted.filter(pc.field("kind").isin(pa.array(ANSWERS)))
    theirs = np.sum(pc.is_in(answers["annotator_id"], value_set=heard.suspected).to_numpy())
    order = [("alike", "descending"), ("annotator_id", "ascending"),
             ("other_annotator_id", "ascending"), ("kind", "ascending")]  # fmt: skip
    listed = heard.suspects.sort_by(order).slice(0, PAIRS).to_pylist()
    return {
        "voices": _voices(heard.voices),
        "suspected": {
            "annotators": len(heard.suspected),
            "answers": int(theirs),
            "share_of_answers": round(int(theirs) / max(answers.num_rows, 1), 4),
            "groups": _groups(apart, heard.suspected),
            "pairs": heard.suspects.num_rows,
            "rows": [
                {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()}
                for row in listed
            ],
        },
    }


def copy_warning(figures: Mapping[str, Any]) -> str | None:
    """Say in one sentence who may be copies and is heard in full, or None where nobody is."""
    suspected = figures["suspected"]
    if not suspected["annotators"]:
        return None
    return (
        f"{suspected['annotators']:,} annotators answer so alike that they look like copies, gave "
        f"{100 * suspected['share_of_answers']:.0f} % of all answers, and are heard in full"
    )


def mark_suspects(annotators: pa.Table, heard: Heard) -> pa.Table:
    """Add *may_be_copy*: this annotator's figures rest on the word of those who say the same."""
    marked = pc.is_in(annotators["annotator_id"], value_set=heard.suspected)
    return annotators.append_column("may_be_copy", marked)


def _voices(voices: pa.Table) -> list[Figures]:
    members: dict[str, list[str]] = {}
    for row in voices.to_pylist():
        members.setdefault(row["voice"], []).append(row["annotator_id"])
    return [{"voice": name, "annotators": sorted(who)} for name, who in sorted(members.items())]


def _groups(apart: pa.Table, names: pa.Array) -> list[Figures]:
    """Return those who hang together by suspicion, largest group first."""
    one, other = (
        pc.index_in(apart[name], value_set=names).to_numpy().astype(np.int64)
        for name in ("annotator_id", "other_annotator_id")
    )
    graph = csr_array((np.ones(len(one)), (one, other)), shape=(len(names), len(names)))
    count, group = connected_components(graph, directed=False) if len(names) else (0, one)
    ids = np.array(names.to_pylist(), dtype=object)
    found = [ids[group == n].tolist() for n in range(count)]
    found.sort(key=lambda who: (-len(who), who))
    return [{"members": len(who), "annotators": who[:MEMBERS]} for who in found]
