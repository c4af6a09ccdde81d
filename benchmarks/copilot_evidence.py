"""Claim: what becomes of an accepted suggestion tells more of the next one than acceptance alone.

    python -m benchmarks.copilot_evidence --out FILE

On copilot_cups: 21 programmers, each suggestion accepted or rejected, and of the accepted ones how
much was changed later. A logistic regression predicts whether the *next* suggestion of the session
is accepted, from acceptance so far; another one also from survival. Both are fitted on 20 users
and judged on the 21st, in turn. The interval is a paired bootstrap over users.

Survival is read at the set's first look and at its last of five. The last one is later than the
next suggestion, so it is an upper bound of what could be known in time. Rows that were not accepted
have a number there too, which means nothing and is never read. Also measured: whether a later
turn that was accepted says anything of the turn before it.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.denoiser_click_world import ROOT, environment

FloatArray = NDArray[np.float64]
LOOKS = {"first_look": "edit_pct_0", "last_look": "edit_pct_4"}
RESAMPLES = 10_000
UNTOUCHED = 1e-9  # share changed up to which a suggestion survived whole


class Turns(NamedTuple):
    """Decisions that have a next one in their session; every array is (n,)."""

    user: NDArray[np.int64]
    accepted: FloatArray
    changed: FloatArray  # share changed of what was accepted, 0 where it was not
    accepted_so_far: FloatArray  # share of the session's decisions until here, shrunk to a half
    changed_so_far: FloatArray  # mean change of what was accepted until here, shrunk to none
    next_accepted: FloatArray


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    data = Path(os.environ.get("FLYWHEEL_DATA", ROOT / "../shared/data"))
    rows = pd.read_csv(data / "copilot_cups" / "cups_events.csv.gz")
    rng = np.random.default_rng(chosen.seed)
    report: dict[str, object] = {
        "claim": "copilot_evidence",
        "simulated": False,
        "source": "Mozannar et al., CHI 2024, arXiv:2210.14306",
        "environment": environment(),
        "users": int(rows["UserId"].nunique()),
        "resamples": RESAMPLES,
    }
    for look, column in LOOKS.items():
        found = turns(rows, changed=column)
        report["decisions"] = len(found.user)
        report["next_accepted"] = round(float(found.next_accepted.mean()), 4)
        report[look] = survival_figures(found, rng)
    report["later_turn"] = later_turn_figures(found, rng)
    text = json.dumps(report, indent=1) + "\n"
    if chosen.out:
        chosen.out.write_text(text, "utf-8")
    print(text)


def turns(rows: pd.DataFrame, *, changed: str) -> Turns:
    """Return each decision that is followed by another one in its session.

    Args:
        rows: session, UserId, StateName and *changed*, in order of time within a session.
        changed: column of the share changed later; read of accepted rows only.
    """
    decided = rows[rows["StateName"].isin(["Accepted", "Rejected"])]
    accepted = (decided["StateName"] == "Accepted").astype(float)
    lost = decided[changed].where(accepted > 0, 0.0).astype(float)
    session = decided["session"]
    count = accepted.groupby(session).cumcount() + 1
    taken = accepted.groupby(session).cumsum()
    following = accepted.groupby(session).shift(-1)
    has_next = following.notna().to_numpy()
    columns = (
        accepted,
        lost,
        (taken + 1) / (count + 2),
        lost.groupby(session).cumsum() / (taken + 1),
        following,
    )
    return Turns(
        decided["UserId"].to_numpy()[has_next].astype(np.int64),
        *(column.to_numpy(dtype=np.float64)[has_next] for column in columns),
    )


def survival_figures(found: Turns, rng: np.random.Generator) -> dict[str, object]:
    """Return both models' loss and ranking on users left out, and the paired difference."""
    alone = np.stack([found.accepted, found.accepted_so_far], axis=1)
    more = np.column_stack([alone, found.changed, found.changed_so_far])
    chances = {
        "accept_alone": left_out_chances(alone, found.next_accepted, found.user),
        "with_survival": left_out_chances(more, found.next_accepted, found.user),
    }
    loss = {name: log_loss(found.next_accepted, chance) for name, chance in chances.items()}
    gain = by_user(loss["accept_alone"] - loss["with_survival"], found.user)
    return {
        name: {
            "log_loss": round(float(loss[name].mean()), 5),
            "auc": round(auc(found.next_accepted, chance), 4),
        }
        for name, chance in chances.items()
    } | {"log_loss_saved_by_survival": interval(gain, rng)}


def left_out_chances(features: FloatArray, truth: FloatArray, user: FloatArray) -> FloatArray:
    """Return (n,) the chance of *truth* for each user's rows, fitted on all other users."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chance = np.zeros(len(truth))
    for each in np.unique(user):
        out = user == each
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(features[~out], truth[~out])
        chance[out] = model.predict_proba(features[out])[:, 1]
    return chance


def later_turn_figures(found: Turns, rng: np.random.Generator) -> dict[str, object]:
    """Return what a later turn that was accepted says of the turn before it.

    Each row is compared with the user's own share, or busy accepters would look like evidence:
    the difference is a covariance within users over the variance of the later turn.
    """
    accepted = found.accepted > 0
    whole = (found.changed <= UNTOUCHED).astype(np.float64)
    return {
        "before_accepted": slope_within(found.next_accepted, found.accepted, found.user, rng),
        "before_unchanged_of_accepted": slope_within(
            found.next_accepted[accepted], whole[accepted], found.user[accepted], rng
        ),
        "accepted_with_a_later_turn": int(accepted.sum()),
    }


def slope_within(
    later: FloatArray, before: FloatArray, user: FloatArray, rng: np.random.Generator
) -> dict[str, float]:
    """Return by how much *before* is likelier where *later* is 1, within users, in points of 1."""
    places = np.unique(user, return_inverse=True)[1]
    size = np.bincount(places)
    mean_later, mean_before = (np.bincount(places, weights=v) / size for v in (later, before))
    apart = later - mean_later[places]
    together = np.bincount(places, weights=apart * (before - mean_before[places]))
    return interval(np.stack([together, np.bincount(places, weights=apart**2)], axis=1), rng)


def by_user(values: FloatArray, user: FloatArray) -> FloatArray:
    """Return (users, 2): the sum of *values* by user, and how many there are."""
    places = np.unique(user, return_inverse=True)[1]
    return np.stack([np.bincount(places, weights=values), np.bincount(places)], axis=1)


def interval(sums: FloatArray, rng: np.random.Generator) -> dict[str, float]:
    """Return the ratio of the two columns' totals, with its 95 % bootstrap interval over users."""
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES) @ sums
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    total = sums.sum(axis=0)
    named = {"mean": total[0] / total[1], "low": low, "high": high}
    return {name: round(float(value), 5) for name, value in named.items()}


def log_loss(truth: FloatArray, chance: FloatArray) -> FloatArray:
    """Return (n,) the loss of each row, in nats."""
    loss: FloatArray = -np.log(np.where(truth > 0, chance, 1 - chance))
    return loss


def auc(truth: FloatArray, chance: FloatArray) -> float:
    """Return how often a row that came true has the higher chance, ties counting half."""
    order = np.sort(chance[truth == 0])
    high = chance[truth > 0]
    below = np.searchsorted(order, high, "left") + np.searchsorted(order, high, "right")
    return float(below.mean() / (2 * len(order)))


if __name__ == "__main__":
    main()
