"""Voices: annotators who copy or share answers, and those who may but cannot be told."""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from annotation import Answers, find_dependence, index_answers
from annotation.dependence import Dependence
from pipelines.preferences.answers import LEVELS, read_answers
from pipelines.preferences.kernel import IntArray

VOICE: Final = pa.schema([pa.field("annotator_id", pa.string()), pa.field("voice", pa.string())])
SUSPECT: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("other_annotator_id", pa.string()),
        pa.field("kind", pa.string()),  # of the answers: rating or comparison
        pa.field("shared", pa.int64()),  # questions that both answered
        pa.field("alike", pa.float64()),  # share of those answered alike
        pa.field("expected", pa.float64()),  # share that judging alone would explain
        pa.field("merged", pa.bool_()),  # False: both are heard in full
    ]
)
_Asked = list[tuple[IntArray, IntArray, IntArray]]  # by aspect: question, annotator, label


class Voices(NamedTuple):
    """Who counts as one, and every pair that looks dependent."""

    table: pa.Table  # VOICE, only those who share a voice, named by its first member
    suspects: pa.Table  # SUSPECT

    @classmethod
    def none(cls) -> "Voices":
        """Return that nobody shares a voice or is suspected."""
        return cls(VOICE.empty_table(), SUSPECT.empty_table())

    def apart(self) -> "Voices":
        """Return that nobody shares a voice, under the same suspicions."""
        at, size = SUSPECT.get_field_index("merged"), self.suspects.num_rows
        alone = pa.repeat(pa.scalar(False), size)
        return Voices(VOICE.empty_table(), self.suspects.set_column(at, SUSPECT[at], alone))

    @property
    def suspected(self) -> pa.Array:
        """Annotators who look like copies and are heard all the same, sorted."""
        apart = self.suspects.filter(pc.invert(self.suspects["merged"]))
        names = [apart[name].combine_chunks() for name in ("annotator_id", "other_annotator_id")]
        return pc.unique(pa.concat_arrays(names)).sort()


def find_voices(annotations: pa.Table) -> Voices:
    """Find annotators who agree far more than judging alone explains, over all aspects.

    Args:
        annotations: answers that can be; those of a pool are nobody's.
    """
    named = annotations.filter(annotations["annotator_id"].is_valid())
    both = [named[name].combine_chunks() for name in ("generation_id", "other_generation_id")]
    items = pc.unique(pc.drop_null(pa.concat_arrays(both))).sort()
    answers = read_answers(named, items)
    names, size = answers.annotators, len(answers.annotators)
    if size < 3:  # nobody outside could say who copies
        return Voices.none()
    ratings = [(r.item, r.annotator, r.label) for r in answers.ratings.values()]
    compared = []
    for each in answers.comparisons.values():
        turned = each.item > each.other
        low, high = np.minimum(each.item, each.other), np.maximum(each.item, each.other)
        label = np.where(turned, 2 - each.outcome, each.outcome)
        compared.append((low * len(items) + high, each.annotator, label))
    found = {
        kind: find_dependence(_indexed(questions, size, classes))
        for kind, questions, classes in (("rating", ratings, LEVELS), ("comparison", compared, 3))
        if questions
    }
    links = csr_array((size, size))
    for held in found.values():
        first = np.unique(held.group, return_index=True)[1]
        joined = (np.ones(size), (np.arange(size), first[held.group]))
        links = links + csr_array(joined, (size, size))
    _, voice = connected_components(links, directed=False)
    first = np.unique(voice, return_index=True)[1]
    several = np.flatnonzero(np.bincount(voice)[voice] > 1)
    table = pa.table(
        {
            "annotator_id": pa.array([names[n] for n in several], pa.string()),
            "voice": pa.array([names[first[voice[n]]] for n in several], pa.string()),
        },
        schema=VOICE,
    )
    listed = [_suspects(kind, each, names, voice) for kind, each in found.items()]
    return Voices(table, pa.concat_tables([SUSPECT.empty_table(), *listed]))


def _suspects(
    kind: str, found: Dependence, names: tuple[str, ...], voice: NDArray[np.integer]
) -> pa.Table:
    """Return SUSPECT rows of the pairs that were held for dependent."""
    pairs, held = found.pairs, found.dependent
    one, other = pairs.first[held], pairs.second[held]
    ids = pa.array(names, pa.string())
    return pa.table(
        {
            "annotator_id": ids.take(pa.array(one)),
            "other_annotator_id": ids.take(pa.array(other)),
            "kind": pa.repeat(pa.scalar(kind), len(held)),
            "shared": pairs.shared[held].astype(np.int64),
            "alike": pairs.observed[held].astype(np.float64),
            "expected": pairs.expected[held].astype(np.float64),
            "merged": pa.array(voice[one] == voice[other], pa.bool_()),
        },
        schema=SUSPECT,
    )


def _indexed(questions: _Asked, annotators: int, classes: int) -> Answers:
    """Index answers whose questions are numbered anew, each aspect's apart."""
    aspect = np.concatenate([np.full(len(q[0]), n) for n, q in enumerate(questions)])
    asked, who, label = (np.concatenate(part) for part in zip(*questions, strict=True))
    _, task = np.unique(np.stack([aspect, asked]), axis=1, return_inverse=True)
    task = task.ravel()
    return index_answers(
        task, who, label, tasks=int(task.max()) + 1, annotators=annotators, classes=classes
    )
