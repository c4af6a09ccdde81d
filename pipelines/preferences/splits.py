"""Splits: by prompt, near-duplicates and earlier turns together, the same on every machine."""

import re
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data_contracts.errors import ContractError
from data_contracts.schemas import PROMPT
from data_contracts.vocabulary import SPLITS
from pipelines.signals.query import conform, subset


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """Shares of prompts, and what counts as nearly the same text."""

    validation: float = 0.1
    heldout: float = 0.1
    long_text: int = 20  # tokens from which texts are compared by shingles
    similarity: float = 0.8  # estimated Jaccard similarity of shingles

    def __post_init__(self) -> None:
        if min(self.validation, self.heldout) < 0 or self.validation + self.heldout >= 1:
            raise ContractError("validation and heldout are shares and must leave some to train")


_NUMBERS: Final = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
    "a": "1", "an": "1", "single": "1", "both": "2",
}  # fmt: skip
_EMPTY: Final = frozenset({"the", "please", "of", "is", "are"})
_WORD: Final = re.compile(r"[^\W_]+")
_ROWS, _BANDS = 4, 16
_AT_ONCE: Final = 1 << 24  # agreements of signatures that are held at a time


def normalise_text(text: str) -> tuple[str, ...]:
    """Return the tokens of *text* without case, punctuation, number words and plural s.

    Accented letters are one whether written in one character or two. A text without any word,
    such as emoji, has its characters for tokens: else all of them would be alike.

    Example:
        >>> normalise_text("Two red discs, left of a Blue square!")
        ('2', 'red', 'disc', 'left', '1', 'blue', 'square')
    """
    text = unicodedata.normalize("NFC", text.casefold())
    words = (_NUMBERS.get(word, word) for word in _WORD.findall(text))
    tokens = tuple(
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in words
        if word not in _EMPTY
    )
    return tokens or tuple("".join(text.split()))


def split_prompts(prompts: pa.Table, *, settings: SplitSettings | None = None) -> pa.Table:
    """Return prompt_id, cluster, split: near-duplicates share a cluster, a cluster a split.

    Texts with the same tokens in any order are near-duplicates ("a disc left of a square",
    "a square left of a disc": a model that knows one has half-seen the other); so are long
    texts whose shingles overlap, and a prompt with the turns it followed. The cluster's smallest
    text decides, so adding an unrelated prompt moves nothing.

    Raises:
        ContractError: a required column is missing, or one prompt_id has two texts.
    """
    settings = settings or SplitSettings()
    rows = conform(
        prompts, subset(PROMPT, ("prompt_id", "text", "previous_turns")), what="prompts"
    ).sort_by([("prompt_id", "ascending"), ("text", "ascending")])
    ids, texts = rows["prompt_id"].to_pylist(), rows["text"].to_pylist()
    tokens = [normalise_text(text) for text in texts]
    twice = [a for a, b, s, t in zip(ids, ids[1:], texts, texts[1:], strict=False)
             if a == b and s != t]  # fmt: skip
    if twice:
        raise ContractError(
            f"prompts: {len(twice)} ids have two texts ({', '.join(twice[:5])}); ids must be unique"
        )
    edges = _same_tokens(tokens) + _earlier_turns(ids, rows["previous_turns"].to_pylist())
    edges += _same_ids(ids) + _similar(tokens, settings=settings)
    cluster = _components(edges, len(ids))
    keys = [" ".join(sorted(words)) for words in tokens]
    smallest: dict[int, str] = {}
    for c, key in zip(cluster.tolist(), keys, strict=True):
        smallest[c] = min(smallest.get(c, key), key)
    names = {c: blake2b(key.encode(), digest_size=8).hexdigest() for c, key in smallest.items()}
    table = pa.table(
        {
            "prompt_id": pa.array(ids, pa.string()),
            "cluster": pa.array([names[c] for c in cluster.tolist()], pa.string()),
            "split": pa.array([_split(names[c], settings) for c in cluster.tolist()], pa.string()),
        }
    )
    return table.group_by(["prompt_id", "cluster", "split"]).aggregate([]).sort_by("prompt_id")


def _split(name: str, settings: SplitSettings) -> str:
    place = int(name, 16) / 2.0**64
    train, validation, heldout = SPLITS
    if place < settings.heldout:
        return heldout
    return validation if place < settings.heldout + settings.validation else train


def _same_tokens(tokens: list[tuple[str, ...]]) -> list[tuple[int, int]]:
    first: dict[tuple[str, ...], int] = {}
    return [(first.setdefault(tuple(sorted(words)), n), n) for n, words in enumerate(tokens)]


def _same_ids(ids: list[str]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [(first.setdefault(name, n), n) for n, name in enumerate(ids)]


def _earlier_turns(ids: list[str], previous: list[list[str] | None]) -> list[tuple[int, int]]:
    place = {name: n for n, name in enumerate(ids)}
    return [
        (place[earlier], n)
        for n, turns in enumerate(previous)
        for earlier in turns or ()
        if earlier in place
    ]


def _similar(tokens: list[tuple[str, ...]], *, settings: SplitSettings) -> list[tuple[int, int]]:
    """Return pairs of long texts whose MinHash signatures say they are nearly the same.

    Source:
        Broder (1997); banding after Leskovec, Rajaraman & Ullman, ch. 3.
    """
    long = [n for n, words in enumerate(tokens) if len(words) >= settings.long_text]
    if len(long) < 2:
        return []
    signatures = np.stack([_signature(tokens[n]) for n in long])
    compared: set[bytes] = set()
    edges: list[tuple[int, int]] = []
    for band in range(_BANDS):
        part = np.ascontiguousarray(signatures[:, band * _ROWS : (band + 1) * _ROWS])
        _, where = np.unique(part, axis=0, return_inverse=True)
        order = np.argsort(where.ravel(), kind="stable")
        begins = np.flatnonzero(np.diff(where.ravel()[order], prepend=-1))
        for alike in np.split(order, begins[1:]):
            if len(alike) > 1 and alike.tobytes() not in compared:
                compared.add(alike.tobytes())
                edges += _near(signatures, alike, settings.similarity)
    return [(long[a], long[b]) for a, b in edges]


def _near(
    signatures: NDArray[np.uint64], some: NDArray[np.int64], similarity: float
) -> list[tuple[int, int]]:
    """Return the pairs of *some* rows that agree in at least *similarity* of their signature.

    All pairs, m (m - 1) / 2 of m rows: what a template shares may lie between two copies in any
    order, so that neighbours alone do not show them.
    """
    edges: list[tuple[int, int]] = []
    rows = max(1, _AT_ONCE // (len(some) * signatures.shape[1]))
    for begin in range(0, len(some), rows):
        here = some[begin : begin + rows]
        agree = (signatures[here][:, None] == signatures[some[begin:]][None]).mean(axis=2)
        a, b = np.nonzero(agree >= similarity)
        a, b = a[b > a], b[b > a]
        edges += zip(here[a].tolist(), some[begin:][b].tolist(), strict=True)
    return edges


def _signature(words: tuple[str, ...]) -> NDArray[np.uint64]:
    shingles = {" ".join(words[n : n + 3]) for n in range(len(words) - 2)}
    hashes = np.array(
        [int.from_bytes(blake2b(s.encode(), digest_size=8).digest()) for s in shingles],
        dtype=np.uint64,
    )
    # Each function must order shingles anew: a product that hardly wraps around keeps the order,
    # and all functions then find the same minimum.
    keys = np.arange(1, _ROWS * _BANDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    signature: NDArray[np.uint64] = _mixed(hashes[:, None] + keys).min(axis=0)
    return signature


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return *values* with their bits mixed, one to one.

    Source:
        The finaliser of SplitMix64 (Steele, Lea & Flood 2014, fig. 16).
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _components(edges: list[tuple[int, int]], size: int) -> NDArray[np.int32]:
    if size == 0:
        return np.zeros(0, dtype=np.int32)
    ends = np.array(edges).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels
