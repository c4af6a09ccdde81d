"""De-noise a click log in which a third of the downloads are mockery (simulated).

    python examples/read_a_click_log.py

People see four pictures for each prompt. Most like and download what is good; one in seven
downloads what is bad, to laugh at it, and downloads a lot. Three in a hundred pictures were rated.
The script says how often each way of reading the log finds the better of two pictures.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts.schemas import ANNOTATION, EVENT, GENERATION
from pipelines.denoising import DenoiseSettings, denoise

PROMPTS, PICTURES, USERS, SIGHTINGS = 400, 4, 400, 24_000
OWNER = {"tenant_id": "acme", "project_id": "campaign"}


def draw_log(rng: np.random.Generator) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Draw events, the (n,) true quality of the pictures, and who mocks, (users,)."""
    quality = rng.normal(size=PROMPTS * PICTURES)
    mocks = rng.random(USERS) < 1 / 7
    activity = np.where(mocks, 3.0, 1.0)
    user = rng.choice(USERS, SIGHTINGS, p=activity / activity.sum())
    picture = rng.integers(len(quality), size=SIGHTINGS)
    mocking, good = mocks[user], quality[picture]

    wanted = np.where(mocking, -good, good)
    downloads = rng.random(SIGHTINGS) < 0.25 / (1 + np.exp(-2 * wanted))
    happened = {
        "impression": np.ones(SIGHTINGS, bool),
        "like": ~mocking & (rng.random(SIGHTINGS) < 0.25 / (1 + np.exp(-2 * good))),
        "download": downloads,
        "share": rng.random(SIGHTINGS) < np.where(mocking & downloads, 0.5, 0.05),
    }
    seconds = np.arange(SIGHTINGS) * 60
    tables = []
    for later, (kind, did) in enumerate(happened.items()):
        shown = np.flatnonzero(did)
        when = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(seconds[shown] + later, "s")
        tables.append(
            pd.DataFrame(
                {
                    "event_id": [f"{kind}-{i}" for i in shown],
                    "user_id": [f"u{i}" for i in user[shown]],
                    "session_id": [f"s{i}" for i in shown],
                    "kind": kind,
                    "generation_id": [f"g{i}" for i in picture[shown]],
                    "position": shown % 4,
                    "occurred_at": when,
                    "received_at": when,
                }
            )
        )
    events = pd.concat(tables).assign(surface="grid", turn=0, **OWNER)
    return conform(events, EVENT), quality, mocks


def draw_ratings(quality: np.ndarray, rng: np.random.Generator) -> pa.Table:
    """Let three people rate 3 % of the pictures, each a little off."""
    rated = np.repeat(rng.choice(len(quality), len(quality) * 3 // 100, replace=False), 3)
    felt = quality[rated] + rng.normal(0, 0.5, len(rated))
    answers = pd.DataFrame(
        {
            "annotation_id": [f"a{i}" for i in range(len(rated))],
            "task_id": [f"t{i}" for i in rated],
            "annotator_id": [f"p{i % 3}" for i in range(len(rated))],
            "kind": "rating",
            "generation_id": [f"g{i}" for i in rated],
            "aspect": "overall",
            "value": np.digitize(felt, [-1.0, -0.3, 0.3, 1.0]) + 1.0,
            "scale": "1-5",
        }
    )
    return conform(answers, ANNOTATION)


def conform(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Give a frame the contract's types; columns that may be absent are left out."""
    named = pa.schema([schema.field(name) for name in schema.names if name in frame])
    return pa.Table.from_pandas(frame, schema=named, preserve_index=False)


def right(quality: np.ndarray, pairs: pd.DataFrame, score: np.ndarray) -> float:
    """Return how often the better of two by *score* is the better in truth; a tie is half."""
    first, second = (pairs[side].str[1:].astype(int) for side in ("chosen_id", "rejected_id"))
    better = np.sign(quality[first] - quality[second])
    return float(np.mean(0.5 + 0.5 * better * np.sign(score[first] - score[second])))


def main() -> None:
    """Draw, de-noise, and compare with the truth."""
    rng = np.random.default_rng(7)
    events, quality, mocks = draw_log(rng)
    pictures = pd.DataFrame({"generation_id": [f"g{i}" for i in range(len(quality))]})
    pictures["prompt_id"] = [f"q{i // PICTURES}" for i in range(len(quality))]
    generations = conform(
        pictures.assign(model_release="base", modality="image", **OWNER), GENERATION
    )
    made = denoise(
        events, generations, draw_ratings(quality, rng), settings=DenoiseSettings(all_pairs=True)
    )
    pairs = made.pairs.to_pandas()
    chosen, rejected = (quality[pairs[s].str[1:].astype(int)] for s in ("chosen_id", "rejected_id"))
    print(f"by inferred intent: {np.mean(chosen > rejected):.1%} of {len(pairs):,} pairs are right")

    praise = events.to_pandas().query("kind in ('like', 'download')")
    counts = praise["generation_id"].value_counts()
    score = counts.reindex(pictures["generation_id"], fill_value=0).to_numpy()
    print(f"likes and downloads counted as praise: {right(quality, pairs, score):.1%}")

    read = made.users.to_pandas().set_index("user_id")["mock_share"]
    share = read.reindex([f"u{i}" for i in range(USERS)], fill_value=0.0).to_numpy()
    print(f"read as mockery: {share[mocks].mean():.0%} of what mockers do")
    print(f"                 {share[~mocks].mean():.0%} of what others do")


if __name__ == "__main__":
    main()
