"""A little world of clicks and ratings with known quality."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from annotation_rows import annotations, rating

from pipelines.signals import EXPOSURE, SIGNAL_NAMES

CHANCES = {  # what users of this little world do by quality 0 .. 1: endorsing, mocking
    "like": (lambda q: 0.02 + 0.5 * q, lambda q: 0.03),
    "download": (lambda q: 0.02 + 0.3 * q, lambda q: 0.75 - 0.7 * q),
    "regenerate": (lambda q: 0.4 - 0.35 * q, lambda q: 0.1),
}


def world(*, items=300, users=60, shown=9000, mockers=0.3, rated=0.0, seed=0):
    """Clicks of endorsing and of mocking users, honest and reversed annotators."""
    rng = np.random.default_rng(seed)
    quality, mocks = rng.random(items), rng.random(users) < mockers
    item, user, position = (rng.integers(0, n, shown) for n in (items, users, 4))
    looked = rng.random(shown) < np.array([0.95, 0.8, 0.6, 0.45])[position]
    pattern = np.zeros(shown, dtype=np.int64)
    for name, (endorse, mock) in CHANCES.items():
        chance = np.where(mocks[user], mock(quality[item]), endorse(quality[item]))
        given = looked & (rng.random(shown) < chance)
        pattern |= given.astype(np.int64) << SIGNAL_NAMES.index(name)
    text = [f"g{n:04d}" for n in range(items)]
    names = np.array([f"u{n:03d}" for n in range(users)])
    exposures = pa.table(
        {
            "tenant_id": ["t"] * shown, "project_id": ["p"] * shown,
            "user_id": names[user].tolist(), "session_id": [f"s{n}" for n in range(shown)],
            "turn": pa.array([0] * shown, pa.int32()),
            "generation_id": [text[n] for n in item],
            "prompt_id": [f"q{n // 4}" for n in item],
            "surface": ["grid"] * shown, "position": pa.array(position, pa.int32()),
            "propensity": pa.nulls(shown, pa.float64()),
            "shown_at": pa.nulls(shown, EXPOSURE.field("shown_at").type),
            "pattern": pattern, "weight": np.ones(shown), "heldout": np.zeros(shown, dtype=bool),
            "event_ids": [[f"e{n}"] for n in range(shown)],
        },
        schema=EXPOSURE,
    )  # fmt: skip
    known = pa.table({"generation_id": text, "prompt_id": [f"q{n // 4}" for n in range(items)]})
    answers = [
        rating(f"g{n:04d}", a, level(quality[n] + 0.1 * rng.normal(), turned=a == "turned"))
        for n in np.flatnonzero(rng.random(items) < rated)
        for a in ("ann", "bob", "turned")
    ]
    return SimpleNamespace(
        quality=quality, mocks=mocks, users=names, exposures=exposures, generations=known,
        annotations=annotations(answers),
    )  # fmt: skip


def level(quality, *, turned=False):
    at = int(np.clip(np.floor(quality * 5), 0, 4))
    return 5 - at if turned else at + 1
