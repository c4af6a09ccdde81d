"""What users of a public set did, and what one policy's log says of another's click rate."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Figures = dict[str, Any]
# Below so many equally weighted impressions a bootstrap of them says little of the truth.
FEWEST: Final = 100


class Estimate(NamedTuple):
    """A click rate, and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def event_figures(
    events: pa.Table,
    generations: pa.Table,
    *,
    resamples: int,
    seed: int,
    names: Mapping[str, str] | None = None,
) -> Figures | None:
    """Return events by kind, and each policy's click rate as logged and as others imply it.

    Policies are the projects of impressions with a logged propensity; a campaign is a prompt, and
    *names* says by prompt id what the set calls it (None, or a prompt without one: its id).
    None where there are no events.
    """
    if events.num_rows == 0:
        return None
    frame = events.select(
        ["project_id", "user_id", "session_id", "kind", "generation_id", "position", "propensity"]
    ).to_pandas()
    counted = frame["kind"].value_counts().sort_index()
    prompt = dict(
        zip(*(generations[n].to_pylist() for n in ("generation_id", "prompt_id")), strict=True)
    )
    shown = frame[(frame["kind"] == "impression") & frame["propensity"].notna()]
    acted = frame.loc[frame["kind"] != "impression", "session_id"]
    shown = shown.assign(
        clicked=shown["session_id"].isin(acted).astype(float),
        campaign=shown["generation_id"].map(prompt),
    )
    policies = sorted(set(shown["project_id"]))
    found = []
    for campaign in sorted(set(shown["campaign"])):
        here = shown[shown["campaign"] == campaign]
        for logged in policies:
            for other in policies:
                if logged != other:
                    implied = _implied(here, logged, other, resamples=resamples, seed=seed)
                    found.append(implied | {"campaign": (names or {}).get(campaign) or campaign})
    return {
        "kinds": {kind: int(n) for kind, n in counted.items()},
        "users": int(frame["user_id"].nunique()),
        "policies": found,
    }


def self_normalised_rate(
    clicked: FloatArray, weight: FloatArray, *, resamples: int, rng: np.random.Generator
) -> Estimate:
    """Estimate another policy's click rate from weighted clicks of a log.

    Args:
        clicked: (n,) 1 where the impression was clicked.
        weight: (n,) chance of that choice under the other policy over that under the logging one.
        resamples: of impressions, for the interval.
        rng: draws them.

    Source:
        Swaminathan & Joachims (2015), self-normalised estimator.

    Example:
        >>> clicked, weight = np.array([1.0, 0.0]), np.array([3.0, 1.0])
        >>> self_normalised_rate(clicked, weight, resamples=9, rng=np.random.default_rng(0)).mean
        0.75
    """
    # Equal impressions are drawn together: the same draw, and a few hundred cells.
    cells, counts = np.unique(np.stack([clicked, weight]), axis=1, return_counts=True)
    drawn = rng.multinomial(len(clicked), counts / counts.sum(), size=resamples)
    total = drawn @ cells[1]
    rates = (drawn @ (cells[0] * cells[1]))[total > 0] / total[total > 0]
    low, high = np.quantile(rates, (0.025, 0.975))
    return Estimate(float((clicked * weight).sum() / weight.sum()), float(low), float(high))


def _implied(shown: pd.DataFrame, logged: str, other: str, *, resamples: int, seed: int) -> Figures:
    log, target = (shown[shown["project_id"] == each] for each in (logged, other))
    place = ["position", "generation_id"]
    share = target.groupby(place).size() / target.groupby("position").size()
    chance = share.reindex(pd.MultiIndex.from_frame(log[place])).fillna(0.0).to_numpy()
    weight = chance / log["propensity"].to_numpy()
    estimate = self_normalised_rate(
        log["clicked"].to_numpy(), weight, resamples=resamples, rng=np.random.default_rng(seed)
    )
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    return {
        "log": logged,
        "policy": other,
        "impressions": len(log),
        "clicks": int(log["clicked"].sum()),
        "logged_rate": float(log["clicked"].mean()),
        "own_rate": float(target["clicked"].mean()),
        "implied": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "effective": effective,
        "warning": _warning(effective, len(log)),
    }


def _warning(effective: float, impressions: int) -> str:
    """Say in words that few impressions carry an estimate; empty where enough do."""
    if effective >= FEWEST:
        return ""
    return (
        f"hardly an estimate: its weights are worth {effective:.0f} of {impressions} impressions, "
        f"and below {FEWEST} neither rate nor interval can be relied on"
    )
