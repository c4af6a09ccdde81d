"""Dependence: annotators whose answers are copied or shared, found and counted as one."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, triu
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtri

from annotation.answer_table import FloatArray, IntArray
from annotation.answers import Answers, index_answers
from annotation.dawid_skene import fit_dawid_skene

_ROUNDS: Final = 5
_LARGEST: Final = 0.4  # of all answers in one voice
_CROWDED: Final = 300  # answers to a task beyond which it is not searched: pairs grow as squares


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """How often two annotators agree, and how often they would if each judged alone.

    Axis: p pairs who share tasks, first < second.
    """

    first: IntArray
    second: IntArray
    shared: FloatArray  # tasks both answered
    observed: FloatArray  # share of those answered alike
    expected: FloatArray  # share that a fit of independent annotators implies

    @property
    def excess(self) -> FloatArray:
        """(p,) agreement beyond the expected, 1 where they never differ."""
        found: FloatArray = (self.observed - self.expected) / np.maximum(1 - self.expected, 1e-9)
        return found

    @property
    def deviation(self) -> FloatArray:
        """(p,) how many standard deviations the observed agreement is above the expected."""
        spread = np.sqrt(np.maximum(self.expected * (1 - self.expected), 1e-4) / self.shared)
        found: FloatArray = (self.observed - self.expected) / spread
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependence:
    """Who counts together: *group* numbers voices, and everybody alone is a voice."""

    group: IntArray  # (r,) voice of each annotator, numbered by its first member
    pairs: PairAgreement  # pairs that agreed nearly always, dependent or not
    dependent: IntArray  # (d,) pairs that look dependent, merged or too many to be judged

    @property
    def copies(self) -> int:
        """How many annotators add no voice of their own."""
        return len(self.group) - int(self.group.max(initial=-1)) - 1


def find_dependence(
    answers: Answers, *, alike: float = 0.8, excess: float = 0.7, shared: int = 10
) -> Dependence:
    """Find annotators who agree far more than judging alone explains.

    Good annotators agree often, and rightly so; copies agree where they are wrong. Whoever
    agrees in *alike* of the tasks is suspected; a fit in which suspects who hang together have
    one voice says what is right, thus how often two suspects would agree by judging alone. Those
    whom it clears get their voices back, and the rest is judged again, until nobody moves. A
    voice that would hold more than 40 % of all answers is left alone: nobody is left to say
    whether those who agree are copies or the only good ones.

    Args:
        answers: the indexed answers.
        alike: share of common tasks answered alike that makes two suspect.
        excess: agreement beyond the expected that holds two for dependent, 1 at most. Near-copies
            reach .9; machine judges of one family stay mostly below .7.
        shared: common tasks without which nobody is suspected.
    """
    pairs = agreement_of_pairs(answers, None)
    # One in a hundred crowds may hold a pair for dependent by chance, of all that were looked at.
    looked_at = max(int((pairs.shared >= shared).sum()), 1)
    least = float(ndtri(1 - 0.01 / looked_at))
    suspect = (pairs.shared >= shared) & (pairs.observed >= alike)
    group = _components(_only(pairs, suspect), answers.annotators)
    held: NDArray[np.bool_] = np.zeros(len(pairs.first), dtype=np.bool_)
    for _ in range(_ROUNDS if suspect.any() else 0):
        fit = fit_dawid_skene(merge_voices(answers, group))
        pairs = agreement_of_pairs(answers, fit.posterior)
        held = suspect & (pairs.excess >= excess) & (pairs.deviation >= least)
        before, group = group, _components(_only(pairs, held), answers.annotators)
        if np.array_equal(before, group):
            break
    return Dependence(
        group=_judged_by_most(answers, group),
        pairs=_only(pairs, suspect),
        dependent=np.flatnonzero(held[suspect]) if held.any() else np.zeros(0, dtype=np.int64),
    )


def merge_voices(answers: Answers, group: IntArray) -> Answers:
    """Return the answers of voices: of several members' answers to a task the most frequent.

    Where a voice is split evenly it does not answer; members alone keep all their answers.
    """
    voices = int(group.max(initial=-1)) + 1
    if voices == answers.annotators:
        return answers
    voice = group[answers.annotator]
    key = (answers.task * voices + voice) * answers.classes + answers.label
    found, votes = np.unique(key, return_counts=True)
    label, both = found % answers.classes, found // answers.classes
    first = np.flatnonzero(np.diff(both, prepend=-1))
    most = np.maximum.reduceat(votes, first) if len(first) else votes
    place = np.cumsum(np.diff(both, prepend=-1) != 0) - 1
    leading = votes == most[place]
    even = np.bincount(place, weights=leading, minlength=len(first))[place] > 1
    alone = np.bincount(group, minlength=voices)[both % voices] == 1
    keep = alone | (leading & ~even)
    return index_answers(
        both[keep] // voices, both[keep] % voices, label[keep],
        tasks=answers.tasks, annotators=voices, classes=answers.classes,
    )  # fmt: skip


def _judged_by_most(answers: Answers, group: IntArray) -> IntArray:
    """Split voices whose members gave more than their share of all answers.

    Experts among guessers agree as copies do, and only people outside can tell which they are.
    """
    given = np.bincount(group, weights=answers.answers_of)
    too_large = given[group] > _LARGEST * max(len(answers.cell), 1)
    return _renumber(np.where(too_large, len(group) + np.arange(len(group)), group))


def agreement_of_pairs(answers: Answers, posterior: FloatArray | None) -> PairAgreement:
    """Return the agreement of every pair that shares a task.

    Expected agreement takes each annotator's confusion as *posterior* (t, c) implies it; without
    one it is 0. Tasks with more than 300 answers are left out.
    """
    size = answers.classes
    busy = np.diff(answers.start)
    kept = (busy <= _CROWDED)[answers.task]
    task, who, label = answers.task[kept], answers.annotator[kept], answers.label[kept]
    one = np.ones(len(task))
    took = csr_array((one, (who, task)), shape=(answers.annotators, answers.tasks))
    took.data[:] = 1.0
    gave = csr_array((one, (who, task * size + label)),
                     shape=(answers.annotators, answers.tasks * size))  # fmt: skip
    shared = triu(took @ took.T, k=1).tocoo()
    first, second = shared.row.astype(np.int64), shared.col.astype(np.int64)
    common = np.maximum(shared.data, 1.0)
    alike = _at(gave @ gave.T, first, second)
    expected = np.zeros(len(first))
    if posterior is not None and len(first):
        counts = np.zeros((answers.annotators * size, size))
        np.add.at(counts, answers.cell, posterior[answers.task])
        held = counts.reshape(-1, size, size) + 1.0 / size
        chance = held / held.sum(axis=1, keepdims=True)  # (r, l, c)
        for c in range(size):
            weight = took.multiply(posterior[:, c]).tocsr()
            both = _at(weight @ took.T, first, second)
            expected += both * (chance[first, :, c] * chance[second, :, c]).sum(axis=1)
    return PairAgreement(
        first=first,
        second=second,
        shared=common,
        observed=np.minimum(alike / common, 1.0),
        expected=np.clip(expected / common, 0.0, 1.0),
    )


def _at(matrix: csr_array, row: IntArray, column: IntArray) -> FloatArray:
    if not len(row):  # an empty index would come back as a sparse array
        return np.zeros(0)
    found: FloatArray = np.asarray(matrix.tocsr()[row, column]).ravel().astype(np.float64)
    return found


def _only(pairs: PairAgreement, keep: NDArray[np.bool_]) -> PairAgreement:
    return PairAgreement(
        first=pairs.first[keep],
        second=pairs.second[keep],
        shared=pairs.shared[keep],
        observed=pairs.observed[keep],
        expected=pairs.expected[keep],
    )


def _components(pairs: PairAgreement, annotators: int) -> IntArray:
    links = csr_array(
        (np.ones(len(pairs.first)), (pairs.first, pairs.second)), shape=(annotators, annotators)
    )
    _, found = connected_components(links, directed=False)
    return _renumber(found)


def _renumber(group: NDArray[np.integer]) -> IntArray:
    """Number voices by their first member, so that the same crowd always gives the same."""
    _, first, place = np.unique(group, return_index=True, return_inverse=True)
    order: IntArray = np.argsort(np.argsort(first))[place].astype(np.int64)
    return order
