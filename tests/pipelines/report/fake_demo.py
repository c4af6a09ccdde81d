"""A FAKE demo: invented numbers in the right shape. Nothing here was measured."""

import base64
import io
import math
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

ARMS = ("base", "naive", "sft_only", "explicit_only", "shuffled", "oracle", "ours")
ASPECTS = ("prompt_alignment", "physical_plausibility", "aesthetics")
_END = {
    "base": 73.9, "naive": 68.2, "sft_only": 76.4, "explicit_only": 82.0,
    "shuffled": 73.4, "oracle": 90.7, "ours": 88.1,
}  # fmt: skip
_PROMPTS = (
    "two red discs left of a blue square",
    "a green triangle above a yellow disc",
    "three blue squares in a row, a red disc below",
    "one orange square right of two green discs",
)
_STAGES = (
    "generate", "world", "signals", "preferences", "sft", "dpo", "reward", "evaluate",
)  # fmt: skip


def fake_demo(
    arms: tuple[str, ...] = ARMS, *, turns: int = 2, seeds: tuple[int, ...] = (7,)
) -> dict[str, Any]:
    """Invent a complete report for *arms*."""
    rng = np.random.default_rng(11)
    wheels = [name for name in arms if name != "base"]
    moments = [(turn, seed) for turn in range(1, turns + 1) for seed in seeds]
    return {
        "format": 1,
        "simulated": True,
        "command": "flywheel demo --all-arms --seeds 7",
        "seeds": list(seeds),
        "mockery": 0.5,
        "settings": {"prompts": 600, "heldout_prompts": 300, "dpo": {"beta": 0.1, "epochs": 2}},
        "environment": {"cores": 2, "versions": {"torch": "0.0-fake", "trl": "0.0-fake"}},
        "arms": [_arm(name, turns, seeds, rng) for name in arms],
        "comparisons": _comparisons(arms, seeds, rng),
        "pictures": [_pictures(prompt, arms, rng) for prompt in _PROMPTS],
        "intents": [_intents(turn, seed, rng) for turn, seed in moments if "ours" in arms],
        "drops": [
            {"arm": name, "turn": turn, "seed": seed, "stage": stage, "reason": reason,
             "rows": int(rows * rng.uniform(0.8, 1.2))}
            for name in wheels for turn, seed in moments
            for stage, reason, rows in (
                ("events", "duplicate event", 212), ("signals", "bot", 1840),
                ("signals", "voting ring", 655), ("pairs", "near a coin toss", 4020),
                ("pairs", "same picture", 77),
            )
        ],
        "agreement": [
            {"arm": "ours", "turn": turn, "seed": seed, "aspect": aspect,
             "alpha": float(0.6 + 0.02 * place), "low": 0.55, "high": 0.71, "answers": 1200}
            for turn, seed in moments if "ours" in arms
            for place, aspect in enumerate(("overall", *ASPECTS))
        ],
        "curves": [
            _curve(name, turn, seed, stage, metric, rng)
            for name in wheels for turn, seed in moments
            for stage, metric in (("sft", "loss"), ("dpo", "loss"), ("dpo", "reward accuracy"))
        ],
        "time": [
            {"arm": name, "turn": turn, "seed": seed, "stage": stage,
             "seconds": float(base * rng.uniform(0.8, 1.3))}
            for name in wheels for turn, seed in moments
            for stage, base in zip(_STAGES, (14, 3, 4, 2, 18, 31, 9, 12), strict=True)
        ],
        "memory_peak_mb": 3120.4,
        "wall_seconds": 431.7,
    }  # fmt: skip


def _arm(name: str, turns: int, seeds: tuple[int, ...], rng: np.random.Generator) -> dict[str, Any]:
    steps = [0] if name == "base" else list(range(1, turns + 1))
    return {
        "name": name,
        "turns": [_turn(name, turn, turns, seed, rng) for turn in steps for seed in seeds],
    }


def _turn(name: str, turn: int, turns: int, seed: int, rng: np.random.Generator) -> dict[str, Any]:
    reached = _END["base"] + (_END[name] - _END["base"]) * (turn / turns) ** 0.7
    score = float(reached + rng.normal(0, 0.3))
    parts = {
        aspect: _interval(float(np.clip(score / 100 + shift, 0, 0.99)), 0.015)
        for aspect, shift in zip(ASPECTS, (-0.07, 0.08, -0.01), strict=True)
    }
    valid = 0.962 - 0.006 * turn * (name == "naive")
    made: dict[str, Any] = {
        "turn": turn,
        "seed": seed,
        "quality": {"overall": _interval(score, 1.2), **parts},
        "validity": {"share": valid, "low": valid - 0.008, "high": valid + 0.008, "samples": 2000},
        "diversity": {"value": 0.412 - 0.006 * turn, "low": 0.395, "high": 0.428},
    }
    if name == "base":
        return made
    passed = name not in ("naive", "shuffled")
    gate = [
        {
            "rule": "reward on held-out prompts rises",
            "passed": passed,
            "detail": "+0.31 [0.2, 0.4]",
        },
        {"rule": "validity falls by at most 1 point", "passed": True, "detail": "−0.1 points"},
        {"rule": "diversity falls by at most 10 %", "passed": True, "detail": "−1.4 %"},
    ]
    return {**made, "released": passed, "checkpoint": f"ck_{name}_{turn}_{seed}", "gate": gate}


def _interval(mean: float, half: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _comparisons(
    arms: tuple[str, ...], seeds: tuple[int, ...], rng: np.random.Generator
) -> list[dict[str, Any]]:
    pairs = [(name, "base") for name in arms if name != "base" and "base" in arms]
    pairs += [("ours", name) for name in arms if "ours" in arms and name not in ("ours", "base")]
    return [
        {"arm": arm, "against": against, "aspect": aspect, "prompts": 300, "seeds": list(seeds),
         "difference": gain / scale, "low": (gain - 1.9) / scale, "high": (gain + 1.8) / scale}
        for arm, against in pairs
        for aspect, scale in (("overall", 1), *((name, 100) for name in ASPECTS[:1]))
        for gain in [_END[arm] - _END[against] + float(rng.normal(0, 0.2))]
    ]  # fmt: skip


def _pictures(prompt: str, arms: tuple[str, ...], rng: np.random.Generator) -> dict[str, Any]:
    drawn = [name for name in arms if name in ("base", "naive", "ours")] or [arms[0]]
    return {
        "prompt": prompt,
        "arms": [
            {
                "name": name,
                "images": [fake_png(rng) for _ in range(2)],
                "overall": [
                    float(np.clip(_END[name] + rng.normal(0, 8), 0, 100)) for _ in range(2)
                ],
            }
            for name in drawn
        ],
    }


def fake_png(rng: np.random.Generator) -> str:
    """Draw a few shapes at random, as base64."""
    picture = Image.new("RGB", (32, 32), (244, 240, 230))
    pen = ImageDraw.Draw(picture)
    colours = ((206, 66, 53), (52, 101, 164), (64, 150, 90), (232, 180, 50))
    for _ in range(int(rng.integers(2, 5))):
        x, y = (int(value) for value in rng.integers(1, 22, size=2))
        draw = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        draw((x, y, x + 8, y + 8), fill=colours[int(rng.integers(4))])
    written = io.BytesIO()
    picture.save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


def _intents(turn: int, seed: int, rng: np.random.Generator) -> dict[str, Any]:
    names = ["endorse", "mock", "indiscriminate"]
    users = [
        {"mock_share": float(share), "is_mocker": mocker}
        for mocker, shares in ((True, rng.beta(7, 2, 70)), (False, rng.beta(1.3, 12, 230)))
        for share in shares
    ]
    return {
        "arm": "ours", "turn": turn, "seed": seed,
        "found_against_truth": {
            "rows": names, "columns": names,
            "counts": [[8120, 410, 690], [300, 3480, 220], [910, 260, 2950]],
        },
        "mocker_auc": 0.973,
        "mock_share_of_downloads": {"true": 0.503, "found": 0.478},
        "users": users,
        "example_users": [
            {"user": "u_0017", "is_mocker": True, "mock_share": 0.94,
             "actions": {"downloads": 14, "likes": 0, "regenerations": 1},
             "remark": "downloads what others regenerate"},
            {"user": "u_0203", "is_mocker": False, "mock_share": 0.03,
             "actions": {"downloads": 6, "likes": 11}},
            {"user": "u_0120", "is_mocker": False, "mock_share": 0.41,
             "actions": {"downloads": 3, "likes": 1}, "remark": "an odd taste, not mockery"},
        ],
    }  # fmt: skip


def _curve(
    arm: str, turn: int, seed: int, stage: str, metric: str, rng: np.random.Generator
) -> dict[str, Any]:
    steps = list(range(0, 200, 5))
    rises = metric != "loss"
    values = [
        (0.5 + 0.35 * (1 - math.exp(-step / 60)) if rises else 0.25 + 0.6 * math.exp(-step / 50))
        + float(rng.normal(0, 0.012)) - 0.03 * turn
        for step in steps
    ]  # fmt: skip
    return {"arm": arm, "turn": turn, "seed": seed, "stage": stage, "metric": metric,
            "steps": steps, "values": values}  # fmt: skip
