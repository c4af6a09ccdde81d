"""Figures: what the report of one de-noising says, in counts and shares; ids, never content."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation import pairwise_agreement, rated_aspects, rating_agreement, read_ratings
from annotation.concurrence import pairs_as_units
from pipelines.denoising.copies import mark_suspects
from pipelines.denoising.sightings import Sightings
from pipelines.denoising.tables import Tables
from pipelines.preferences import IntentFit
from pipelines.preferences.hearing import Heard
from pipelines.preferences.kernel import FloatArray
from pipelines.signals.query import query
from pipelines.signals.signal_patterns import readiness_buckets
from pipelines.signals.signal_table import INTENTS, SIGNAL_NAMES
from pipelines.signals.tenant_users import number_users

Figures = dict[str, Any]

BINS: Final = 20  # of the histograms
BUCKETS: Final = ("least ready to act", "less ready", "more ready", "most ready to act")
LISTED: Final = 50  # annotators on the page; all are in annotators.parquet
MOST_FOR_KAPPA: Final = 2_000  # annotators of an aspect: pairs of them grow as squares
_RESAMPLES: Final = 200


def report_figures(
    tables: Tables,
    heard: Heard,
    seen: Sightings,
    fit: IntentFit,
    probability: FloatArray,
    users: pa.Table,
    drops: pa.Table,
) -> Figures:
    """Return everything the page shows, ready for JSON; the same for any order of rows.

    *probability* is that of each pair.
    """
    return {
        "rows": {
            "events": seen.events,
            "annotations": tables.annotations.num_rows,
            "exposures": seen.exposures,
            "generations": len(fit.generation_ids),
        },
        "pairs": {
            "rows": len(probability),
            "confidence": np.histogram(probability, BINS // 2, (0.5, 1.0))[0].tolist(),
            "quartiles": np.quantile(probability, (0.25, 0.5, 0.75)).round(4).tolist()
            if len(probability)
            else [],
            "undecided": int((probability < 0.65).sum()),
        },
        "intents": _intents(fit, users),
        "signals": _signals(fit),
        "examined": {name: round(value, 4) for name, value in fit.eta.items()},
        "reliability": _reliability(mark_suspects(fit.annotators, heard)),
        "agreement": _agreement(heard.accepted, tables.generations),
        "calibration": {
            "temperature": fit.calibration.temperature,
            "judged_generations": fit.calibration.judged,
            "answers_foretold_before": round(fit.calibration.before, 4),
            "answers_foretold_after": round(fit.calibration.after, 4),
        },
        "cohorts": _cohorts(seen.activity, fit),
        "drops": drops.sort_by([("stage", "ascending"), ("reason", "ascending")]).to_pylist(),
        "fit": {
            "iterations": fit.iterations,
            "converged": fit.converged,
            "prior": fit.prior,
            "prior_scores": {name: round(value, 4) for name, value in fit.prior_scores.items()},
            "firmness": {name: round(value, 4) for name, value in fit.firmness.items()},
            "without_evidence": int(len(fit.has_evidence) - fit.has_evidence.sum()),
        },
    }


def _intents(fit: IntentFit, users: pa.Table) -> Figures:
    share = users["mock_share"].to_numpy()
    return {
        "of_exposures": {name: round(value, 4) for name, value in fit.intent_shares.items()},
        "users": users.num_rows,
        "mostly_mock": int((share > 0.5).sum()),
        "mock_share": np.histogram(share, BINS, (0.0, 1.0))[0].tolist(),
    }


def _signals(fit: IntentFit) -> list[Figures]:
    """Return by signal what worst and best class draw from endorsing and from mocking users."""
    if fit.phi.shape[2] == 0:
        return []
    endorse, mock = (fit.phi[INTENTS.index(name)] for name in ("endorse", "mock"))
    return [
        {
            "signal": name,
            "endorse": [round(float(endorse[0, s]), 4), round(float(endorse[-1, s]), 4)],
            "mock": [round(float(mock[0, s]), 4), round(float(mock[-1, s]), 4)],
        }
        for s, name in enumerate(SIGNAL_NAMES)
    ]


def _reliability(annotators: pa.Table) -> Figures:
    # Who wants a look first; newcomers lie near the pool, so a single slip puts nobody there.
    rows = sorted(
        annotators.to_pylist(),
        key=lambda row: (
            -round(row["reversed"], 2), round(row["accuracy"], 4), -row["answers"],
            row["annotator_id"], row["aspect"], row["kind"],
        ),
    )  # fmt: skip
    turned = {row["annotator_id"] for row in rows if row["reversed"] > 0.5}
    return {
        "annotators": len({row["annotator_id"] for row in rows}),
        "reversed": len(turned),
        "rows": [
            {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()}
            for row in rows[:LISTED]
        ],
    }


def _agreement(accepted: pa.Table, generations: pa.Table) -> list[Figures]:
    """Return by kind of answer and aspect how far annotators agree beyond chance.

    Of answers that can be, about generations that are there, before copies are merged: ordinal
    alpha, and of comparisons also kappa on their side (better, equal, worse), the mean over pairs
    of annotators by the questions that both answered.
    """
    ids = generations["generation_id"].combine_chunks()
    other = accepted["other_generation_id"]
    there = pc.and_(
        pc.is_in(accepted["generation_id"], value_set=ids),
        pc.or_(pc.is_null(other), pc.is_in(other, value_set=ids)),
    )
    rows = accepted.filter(there)
    ratings = [_agreed(rows, aspect, "generations") for aspect in rated_aspects(rows)]
    units = pairs_as_units(rows)
    compared = [
        _agreed(units, aspect, "pairs") | {"kappa": _kappa(units, aspect)}
        for aspect in rated_aspects(units)
    ]
    return [{"kind": "rating"} | each for each in ratings] + [
        {"kind": "comparison"} | each for each in compared
    ]


def _agreed(rows: pa.Table, aspect: str, units: str) -> Figures:
    measured = rating_agreement(
        rows, aspect=aspect, resamples=_RESAMPLES, rng=np.random.default_rng(0)
    )
    return {
        "aspect": aspect, "level": "ordinal", "alpha": _rounded(measured.alpha),
        "low": _rounded(measured.low), "high": _rounded(measured.high),
        "answers": measured.answers, units: measured.generations,
        "annotators": measured.annotators,
    }  # fmt: skip


def _kappa(units: pa.Table, aspect: str) -> float | None:
    ratings = read_ratings(units, aspect=aspect)
    if len(ratings.annotators) > MOST_FOR_KAPPA:
        return None
    told = pairwise_agreement(replace(ratings, value=np.sign(ratings.value)))
    told = told.filter(pc.is_valid(told["kappa"]))
    if told.num_rows == 0:
        return None
    shared = told["shared"].to_numpy()
    return _rounded(float(np.average(told["kappa"].to_numpy(), weights=shared)))


def _cohorts(activity: pa.Table, fit: IntentFit) -> list[Figures]:
    """Return mockery by readiness to act and by tenant: who is read how."""
    if activity.num_rows == 0 or not fit.users:
        return []
    users, of_fit = number_users(
        *(pa.chunked_array([pa.array(ids, pa.string())]) for ids in (fit.users, fit.tenants))
    )
    mock = np.zeros(len(users))
    mock[of_fit] = fit.user_mock_share
    user = users.places(activity["user_id"], activity["tenant_id"])
    rows, user = activity.filter(pa.array(user >= 0)), user[user >= 0]
    shown, acted = (
        np.bincount(user, weights=rows[name].to_numpy(), minlength=len(users)).astype(np.float64)
        for name in ("exposures", "acted")
    )
    bucket = readiness_buckets(shown, acted, buckets=len(BUCKETS))
    rows = rows.append_column("readiness", pa.array(bucket[user]))
    rows = rows.append_column("user", pa.array(user))
    rows = rows.append_column("mock", pa.array(mock[user]))
    counted = query(_COHORTS, rows=rows).to_pylist()
    return [
        {
            "cohort": BUCKETS[row["readiness"]] if row["tenant_id"] is None else row["tenant_id"],
            "of": "readiness" if row["tenant_id"] is None else "tenant",
            "users": row["users"],
            "exposures": row["exposures"],
            "acted": round(row["acted"], 4),
            "mock_share": round(row["mock"], 4),
        }
        for row in counted
    ]


_COHORTS: Final = """
SELECT tenant_id, readiness, count(DISTINCT "user") AS users,
    CAST(sum(exposures) AS BIGINT) AS exposures, sum(acted) / sum(exposures) AS acted,
    sum(mock * exposures) / sum(exposures) AS mock
FROM rows GROUP BY GROUPING SETS ((tenant_id), (readiness))
ORDER BY tenant_id NULLS FIRST, readiness
"""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
