"""What came of one turn of the wheel, gathered for the report."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from annotation.agreement import rating_agreement
from annotation.answer_table import rated_aspects
from data_contracts.labels import GENERAL
from pipelines.append_io import read_batch
from pipelines.assets.backbone import first_release
from pipelines.assets.turns import turn_name
from pipelines.inbox import Inbox
from pipelines.settings import WheelSettings
from pipelines.stores import Stores, open_stores, read_asset_table

Progress = Callable[[int, int], None]
PICTURES = 8  # held-out prompts whose pictures are kept for the report


def turn_outcome(
    root: Path, settings: WheelSettings, number: int, *, final: bool, progress: Progress
) -> dict[str, Any]:
    """Score the released policy and gather what the stores know of the turn.

    Args:
        root: the wheel's folder.
        settings: it was started with.
        number: of the turn; 0 is before the first.
        final: measure validity and diversity too.
        progress: called with samples done and to do.
    """
    stores = open_stores(root)
    release = first_release(stores)
    figures = {"turn": number, "checkpoint": release} | _true_quality(
        stores, settings, release, final=final, progress=progress
    )
    if number == 0:
        return figures
    turn = turn_name(number)
    return (
        figures
        | _training(root, turn)
        | {
            "released": stores.catalogue.pointer(f"finetune/dpo_policy/{turn}") == release,
            "intents": _intents(root, stores, turn),
            "drops": _drops(stores, turn),
            "agreement": _agreement(stores, turn, settings.seed),
        }
    )


def _true_quality(
    stores: Stores, settings: WheelSettings, release: str, *, final: bool, progress: Progress
) -> dict[str, Any]:
    from backbone.media import as_png, write_media
    from pipelines.policies import stored_policy
    from pipelines.world.scoring import score_policy, score_under
    from pipelines.world.studio import studio_of

    studio = studio_of(settings)
    policy = stored_policy(stores, release, settings.studio.modality)
    unconstrained = settings.scoring.validity_samples if final else 2
    each = len(studio.heldout_texts) * settings.scoring.samples
    skills = [None, *studio.settings.skills] if studio.settings.skills else []
    total = each * (1 + len(skills)) + unconstrained
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    score = score_policy(
        policy,
        studio,
        samples=settings.scoring.samples,
        validity_samples=unconstrained,
        seed=settings.seed,
        progress=count,
    )
    shown = range(min(PICTURES, len(studio.heldout_texts)))
    figures: dict[str, Any] = {
        "overall": score.overall.round(6).tolist(),
        "aspects": {name: values.round(8).tolist() for name, values in score.aspects.items()},
        "pictures": [
            {
                "prompt": studio.heldout_texts[i],
                "images": [
                    base64.b64encode(as_png(write_media(p))).decode() for p in score.pictures[i]
                ],
                "overall": score.overall[i].round(2).tolist(),
            }
            for i in shown
        ],
    }
    guided = [
        (skill, score_under(policy, studio, skill, samples=settings.scoring.samples,
                            seed=settings.seed, progress=count))
        for skill in skills
    ]  # fmt: skip
    if guided:
        figures["skills"] = [
            {
                "skill_id": skill,
                "overall": found.overall.round(6).tolist(),
                "followed": {n: v.astype(int).tolist() for n, v in found.followed.items()},
            }
            for skill, found in guided
        ]
    if final:
        figures["valid"] = score.valid.astype(int).tolist()
        figures["distances"] = score.distances.round(8).tolist()
    return figures


def _training(root: Path, turn: str) -> dict[str, Any]:
    """Read what the turn's training processes reported."""
    found: dict[str, Any] = {"curves": {}}
    for file in sorted((root / "jobs").glob(f"{turn}-*.result.json")):
        name = file.name.removeprefix(f"{turn}-").removesuffix(".result.json")
        told = json.loads(file.read_text("utf-8"))
        if name == "policy_report":
            found["gate"] = told["findings"]
            found["measured"] = told["measured"]
        else:
            found["curves"][name] = told["curves"]
            overall = told.get("aspects", {}).get("overall", {}).get("accuracy")
            if judged := told.get("validation") or overall:
                found["reward_accuracy"] = judged
    return found


def _intents(root: Path, stores: Stores, turn: str) -> dict[str, Any]:
    """Hold what the de-noiser believes of users against what the studio knows."""
    meant = pq.read_table(Inbox(root).file(turn, "meant"))
    found = read_asset_table(
        stores, "preferences/user_intents", clearance=GENERAL, partition=turn
    ).table
    bots = _bots(stores, turn)
    truth = _by_user(meant)
    ids = np.array(found["user_id"].to_pylist())
    share = found["mock_share"].to_numpy()
    known = np.array([truth[user] for user in ids])
    believed = np.where(share > 0.5, "mock", "endorse")
    kinds = ["endorse", "mock", "indiscriminate"]
    pairs = list(zip(believed, known, strict=True))
    pairs += [("indiscriminate", truth[user]) for user in bots if user in truth]
    counts = [[sum(p == (row, column) for p in pairs) for column in kinds] for row in kinds]
    downloads = meant.filter(meant["downloaded"])
    shares = dict(zip(ids.tolist(), share.tolist(), strict=True))
    by_download = [shares.get(u, 0.0) for u in downloads["user_id"].to_pylist()]
    sample = np.linspace(0, max(len(ids) - 1, 0), min(300, len(ids))).astype(int).tolist()
    return {
        "found_against_truth": {"rows": kinds, "columns": kinds, "counts": counts},
        "mocker_auc": _auc(share, known == "mock"),
        "mock_share_of_downloads": {
            "true": float(np.mean(downloads["mocks"].to_numpy(zero_copy_only=False))),
            "found": float(np.mean(by_download)),
        },
        "users": [
            {"mock_share": round(float(share[i]), 4), "is_mocker": bool(known[i] == "mock")}
            for i in sample
        ],
    }


def _by_user(meant: pa.Table) -> dict[str, str]:
    kinds = np.where(
        meant["mocker"].to_numpy(zero_copy_only=False),
        "mock",
        np.where(meant["bot"].to_numpy(zero_copy_only=False), "indiscriminate", "endorse"),
    )
    return dict(zip(meant["user_id"].to_pylist(), kinds.tolist(), strict=True))


def _bots(stores: Stores, turn: str) -> list[str]:
    shown = read_asset_table(
        stores,
        "signals/exposures",
        clearance=GENERAL,
        partition=turn,
        columns=["user_id", "weight"],
    ).table
    left_out = shown.filter(shown["weight"].to_numpy() == 0.0)
    return sorted(set(left_out["user_id"].to_pylist()))


def _auc(score: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> float | None:
    """Return the chance that a mocker scores above another user; ties count half."""
    from scipy.stats import rankdata

    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def _drops(stores: Stores, turn: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name in ("signals/signal_drops", "preferences/pair_drops"):
        table = read_asset_table(stores, name, clearance=GENERAL, partition=turn).table
        rows += [r for r in table.to_pylist() if r["rows"]]
    quarantined = _quarantined(stores, turn)
    return rows + [
        {"stage": "intake", "reason": reason, "rows": count}
        for reason, count in sorted(quarantined.items())
    ]


def _quarantined(stores: Stores, turn: str) -> dict[str, int]:
    return dict(Counter(read_batch(stores, "quarantined_events", turn)[1]["reason"].to_pylist()))


def _agreement(stores: Stores, turn: str, seed: int) -> list[dict[str, Any]]:
    _, answers = read_batch(stores, "annotations", turn)
    found: list[dict[str, Any]] = []
    for aspect in rated_aspects(answers):
        agreement = rating_agreement(answers, aspect=aspect, rng=np.random.default_rng(seed))
        found.append(
            {
                "aspect": aspect,
                "alpha": agreement.alpha,
                "low": agreement.low,
                "high": agreement.high,
                "answers": agreement.answers,
            }
        )
    return found
