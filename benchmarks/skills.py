"""After a turn of the wheel a policy follows the skill that it is given, and no skill without one.

    python -m benchmarks.skills --seed 51 --out benchmarks/results/skills.json

One turn in a studio whose users work under "at-night", "by-day" or no skill. Then the shipped
policy and the turn's candidate, released or not, draw the same held-out prompts under each.
With --guidance nothing is trained: the shipped policy draws 64 held-out prompts under each text.
All figures are simulated.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backbone.emu3 import Emu3Backbone
from benchmarks.crowd_aggregation import environment
from data_contracts.conditioning import Skill, conditioned_text
from data_contracts.ids import SkillId
from pipelines.assets.backbone import shipped_checkpoint
from pipelines.assets.turns import turn_name
from pipelines.demo import DemoOptions, demo_settings
from pipelines.policies import stored_policy
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_stores
from pipelines.wheel import turn_wheel
from pipelines.world.scoring import GuidedScore, interval, score_under
from pipelines.world.studio import Studio, StudioSettings, studio_of

SKILLS = ("at-night", "by-day")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=51)
    parser.add_argument("--prompts", type=int, default=240, help="asked in the turn")
    parser.add_argument("--sessions", type=int, default=5400)
    parser.add_argument("--steps", type=int, default=240, help="of DPO")
    parser.add_argument(
        "--heldout", type=int, default=100, help="prompts that are drawn before and after"
    )
    parser.add_argument("--samples", type=int, default=4, help="pictures a prompt and skill")
    parser.add_argument("--guidance", action="append", help="a text; repeat it for several")
    parser.add_argument("--root", type=Path, help="keep the wheel here")
    parser.add_argument("--out", type=Path)
    told = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if told.guidance:
        print(json.dumps(shipped_under(told.guidance, told.seed), indent=1))
        return
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(told.root or Path(scratch) / "wheel", told)
    text = json.dumps(report, indent=1)
    print(text)
    if told.out is not None:
        told.out.write_text(text + "\n", "utf-8")


def measure(root: Path, told: argparse.Namespace) -> dict[str, Any]:
    """Turn a wheel once and score the policy before and after."""
    settings = guided_settings(told)
    started = time.perf_counter()
    write_resolved(settings, root)
    turn_wheel(root, turns=1, deliveries=None, say=lambda *_, **__: None)
    turned = time.perf_counter() - started
    stores, studio, turn = open_stores(root), studio_of(settings), turn_name(1)
    policies = {
        "before": stores.catalogue.pointer(f"backbone/backbone/{turn}"),
        "after": stores.catalogue.pointer(f"finetune/dpo_policy/{turn}"),
    }
    drawn = {
        name: {
            skill or "no skill": score_under(
                stored_policy(stores, str(checkpoint)),
                studio,
                skill,
                samples=told.samples,
                seed=told.seed,
            )
            for skill in (None, *SKILLS)
        }
        for name, checkpoint in policies.items()
    }
    gate = json.loads((root / "jobs" / f"{turn}-policy_report.result.json").read_text("utf-8"))
    aspects = json.loads((root / "jobs" / f"{turn}-aspect_model.result.json").read_text("utf-8"))
    return {
        "claim": "skills",
        "simulated": True,
        "told": {k: v for k, v in vars(told).items() if k not in ("root", "out")},
        "drawn": {
            name: {skill: _figures(score) for skill, score in by_skill.items()}
            for name, by_skill in drawn.items()
        },
        "gained": {
            skill: _gained(drawn["before"][skill], drawn["after"][skill])
            for skill in drawn["after"]
        },
        "gate_passed": gate["passed"],
        "gate_refused": [f["rule"] for f in gate["findings"] if not f["passed"]],
        "by_reward_model": gate["skills"],
        "reward_accuracy": aspects["aspects"]["overall"]["by_skill"],
        "gate": {f["rule"]: f["detail"] for f in gate["findings"] if f["rule"] == "diversity"},
        "seconds": {
            "turn": round(turned, 1),
            "all": round(time.perf_counter() - started, 1),
            "of_one_core": round(time.process_time(), 1),
        },
        "environment": environment(),
    }


def shipped_under(texts: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the shipped policy's quality under texts that it never read; "" is no guidance."""
    studio = Studio(StudioSettings(heldout_prompts=64), seed=seed)
    policy = Emu3Backbone.load(shipped_checkpoint(), device="cpu")
    asked = [text for text in studio.heldout_texts for _ in range(2)]
    found = {}
    for text in texts:
        skill = Skill(skill_id=SkillId("probe"), text=text) if text else None
        codes = policy.generate(
            [conditioned_text(t, skill) for t in asked], seed=seed, grammar=True
        )
        truth = studio.truth(policy.decode([c for c in codes if c is not None]), asked)
        found[text] = _named(truth.overall.reshape(64, 2))
    return found


def guided_settings(told: argparse.Namespace) -> WheelSettings:
    """Return the demo's settings, smaller, with users who work under skills."""
    settings = demo_settings(DemoOptions()).model_dump()
    changes: dict[str, dict[str, Any]] = {
        "studio": {
            "prompts": told.prompts,
            "sessions": told.sessions,
            "heldout_prompts": told.heldout,
            "skills": SKILLS,
        },
        "dpo": {"max_steps": told.steps},
        "scoring": {"samples": 1, "validity_samples": 8},
    }
    for part, fields in changes.items():
        settings[part] = settings[part] | fields
    return WheelSettings.model_validate(
        settings | {"seed": told.seed, "keep_runs": False, "own_processes": False}
    )


def _figures(score: GuidedScore) -> dict[str, Any]:
    return {
        "quality": _named(score.overall),
        "followed": {name: _named(values) for name, values in score.followed.items()},
    }


def _gained(before: GuidedScore, after: GuidedScore) -> dict[str, Any]:
    """Return after less before, paired by prompt."""
    return {
        "quality": _named(after.overall.mean(1) - before.overall.mean(1)),
        "followed": {
            name: _named(values.mean(1) - before.followed[name].mean(1))
            for name, values in after.followed.items()
        },
    }


def _named(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    mean, low, high = interval(values, rng=np.random.default_rng(0))
    return {"mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)}


if __name__ == "__main__":
    main()
