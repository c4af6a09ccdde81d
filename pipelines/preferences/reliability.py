"""Reliability: what the fit believes of each annotator, as a table for people."""

import numpy as np
import pyarrow as pa

from pipelines.preferences.channels import Channel
from pipelines.preferences.comparison_model import (
    expected_sharpness,
    expected_side,
    reversed_chance,
)
from pipelines.preferences.kernel import FloatArray

ANNOTATOR_RELIABILITY = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("kind", pa.string()),  # rating or comparison
        pa.field("answers", pa.int64()),
        pa.field("accuracy", pa.float64()),  # chance of naming the class; of the better of two
        pa.field("reversed", pa.float64()),  # chance of answering upside down
        pa.field("side_bias", pa.float64()),  # log-odds for what is shown left; null for ratings
    ]
)


def annotator_table(
    names: tuple[str, ...], channels: tuple[Channel, ...], class_shares: FloatArray
) -> pa.Table:
    """Return a row per annotator, aspect and kind with at least one answer."""
    rows: list[dict[str, object]] = []
    for channel in channels:
        if channel.ratings is not None and channel.confusions is not None:
            used = np.bincount(channel.ratings.annotator, minlength=len(names))
            psi = channel.confusions.psi
            classes, levels = psi.shape[1:]
            level = np.rint(np.arange(classes) * (levels - 1) / (classes - 1)).astype(np.int64)
            right = psi[:, np.arange(classes), level] @ class_shares
            turned = channel.confusions.types[:, 2]
            rows += [
                _row(names[r], channel.aspect, "rating", used[r], right[r], turned[r], None)
                for r in np.flatnonzero(used)
            ]
        if channel.comparisons is not None and channel.judges is not None:
            used = np.bincount(channel.comparisons.annotator, minlength=len(names))
            sharpness = expected_sharpness(channel.judges)
            right = 1 / (1 + np.exp(-sharpness))
            turned = reversed_chance(channel.judges)
            side = expected_side(channel.judges)
            rows += [
                _row(names[r], channel.aspect, "comparison", used[r], right[r], turned[r], side[r])
                for r in np.flatnonzero(used)
            ]
    rows.sort(key=lambda row: (row["annotator_id"], row["aspect"], row["kind"]))
    return pa.Table.from_pylist(rows, schema=ANNOTATOR_RELIABILITY)


def _row(
    annotator: str,
    aspect: str,
    kind: str,
    answers: np.int64,
    accuracy: np.float64,
    turned: np.float64,
    side: np.float64 | None,
) -> dict[str, object]:
    return {
        "annotator_id": annotator,
        "aspect": aspect,
        "kind": kind,
        "answers": int(answers),
        "accuracy": float(accuracy),
        "reversed": float(turned),
        "side_bias": None if side is None else float(side),
    }
