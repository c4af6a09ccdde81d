"""Machines as judges: how often each says what people say, and what all together imply."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.importing.intervals import mean_interval
from pipelines.importing.questions import questions
from pipelines.intake.importers import GOLD, MACHINE, asked
from pipelines.preferences import IntentFit
from pipelines.preferences.siblings import better_chance

Figures = dict[str, Any]
Signs = dict[str, float]  # by pair: 1 the smaller id is better, -1 the other, 0 a tie

_MANY: Final = 10  # of more machines, the page shows the best and the worst


def machine_figures(
    annotations: pa.Table, fit: IntentFit | None, *, resamples: int, seed: int
) -> Figures | None:
    """Return how often each machine says what people say, over pairs; None: no machines.

    People are the gold label where there is one, else the votes, of which each counts; a tie is
    equal to a tie alone. Beside the machines: people among themselves, and, where the fit saw
    machines alone, their majority (a draw counts half) and the fit against the gold label.
    """
    asked_of = [each for each in questions(annotations) if each.kind == "comparison"]
    judged = [each.as_ratings() for each in asked_of if each.by == MACHINE]
    if not judged:
        return None
    machines = pa.concat_tables(judged)
    gold = _gold(annotations)
    people = [each.as_ratings() for each in asked_of if each.by != MACHINE]
    votes = _votes(gold) if gold is not None else _votes(pa.concat_tables(people))
    rng = np.random.default_rng(seed)

    def told(name: str, right: NDArray[np.float64], verdicts: int) -> Figures:
        share = mean_interval(right, resamples, rng)
        return {
            "judge": name, "pairs": len(right), "verdicts": verdicts,
            "mean": share.mean, "low": share.low, "high": share.high,
        }  # fmt: skip

    names = np.array([each.split("|")[0] for each in machines["annotator_id"].to_pylist()])
    signs = np.sign(machines["value"].to_numpy())
    pairs = machines["generation_id"].to_numpy()
    found = []
    for name in sorted(set(names.tolist())):
        mine = names == name
        right = _like(pairs[mine], signs[mine], votes)
        found.append(told(name.removeprefix("machine:"), right, int(mine.sum())))
    found.sort(key=lambda each: -each["mean"])
    together = []
    if gold is not None:
        sure = _sums(pairs, signs)
        most = [0.5 + 0.5 * np.sign(sure[p]) * v.mean() for p, v in votes.items() if p in sure]
        together.append(told("majority of the machines", np.array(most), len(signs)))
        if fit is not None:
            together.append(
                told("what the fit infers from them", _inferred(fit, votes), len(signs))
            )
    return {
        "against": "gold labels" if gold is not None else "people's votes",
        "judges": found if len(found) <= _MANY else [*found[:5], *found[-5:]],
        "machines": len(found),
        "together": together,
    }


def _gold(annotations: pa.Table) -> pa.Table | None:
    mine = np.array([asked(each)[1] == GOLD for each in annotations["origin"].to_pylist()])
    if not mine.any():
        return None
    rows = annotations.filter(pa.array(mine))
    # As answers by people, so that they are read as all others are.
    origin = pa.array([each.removesuffix(f":{GOLD}") for each in rows["origin"].to_pylist()])
    rows = rows.set_column(rows.schema.get_field_index("origin"), "origin", origin)
    [question] = questions(rows)
    return question.as_ratings()


def _votes(rows: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Return the signs that were given to each pair."""
    found: dict[str, list[float]] = {}
    signs = np.sign(rows["value"].to_numpy()).tolist()
    for pair, sign in zip(rows["generation_id"].to_pylist(), signs, strict=True):
        found.setdefault(pair, []).append(sign)
    return {pair: np.array(given) for pair, given in found.items()}


def _like(
    pairs: NDArray[np.object_], signs: NDArray[np.float64], votes: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return for each pair how often a judge's verdicts equal the votes."""
    shares: dict[str, list[float]] = {}
    for pair, sign in zip(pairs.tolist(), signs.tolist(), strict=True):
        if pair in votes:
            shares.setdefault(pair, []).append(float((votes[pair] == sign).mean()))
    return np.array([np.mean(each) for each in shares.values()])


def _sums(pairs: NDArray[np.object_], signs: NDArray[np.float64]) -> Signs:
    names, at = np.unique(pairs.astype(str), return_inverse=True)
    return dict(zip(names.tolist(), np.bincount(at, weights=signs).tolist(), strict=True))


def _inferred(fit: IntentFit, votes: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    place = {name: n for n, name in enumerate(fit.generation_ids)}
    ends = [pair.split("|") for pair in votes]
    small, large = (np.array([place[each[n]] for each in ends]) for n in (0, 1))
    chance = np.round(better_chance(fit.posterior[small], fit.posterior[large]), 12)
    truth = np.array([given.mean() for given in votes.values()])
    right: NDArray[np.float64] = 0.5 + 0.5 * np.sign(chance - 0.5) * truth
    return right
