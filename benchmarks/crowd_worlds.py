"""Claim: none of its own; the simulated crowds and gold sets of the crowd benchmarks.

    python -m benchmarks.crowd_worlds

Prints what each crowd is, with the accuracy of its annotators and of their vote. The kinds
differ in what is wrong with the crowd, so that no single model can be right about all.
"""

import csv
import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotation.answers import Answers, index_answers, number_names
from annotation.simple_models import fit_majority

Array = NDArray[np.int64]
Rng = np.random.Generator
DATA: Final = Path(
    os.environ.get("FLYWHEEL_DATA", Path(__file__).resolve().parents[1] / "../shared/data")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldSet:
    """Answers whose truth is known to the scorer."""

    name: str
    answers: Answers
    truth: Array  # (t,)
    ordered: bool = False


def main() -> None:
    """Print a line per kind of crowd (development seed 0)."""
    for name in (*CROWDS, *llmbar_subsets()):
        held = gold_set(name, 0)
        voted = fit_majority(held.answers).posterior.argmax(axis=1)
        right = (held.answers.label == held.truth[held.answers.task]).mean()
        facts = {
            "crowd": name,
            "tasks": held.answers.tasks,
            "annotators": held.answers.annotators,
            "answers": len(held.answers.cell),
            "answers_right": round(float(right), 3),
            "vote_right": round(float((voted == held.truth).mean()), 3),
        }
        print(json.dumps(facts))


def gold_set(name: str, seed: int) -> GoldSet:
    """Return a simulated crowd drawn with *seed*, or a subset of the machine judges' verdicts."""
    if name in CROWDS:
        return CROWDS[name](np.random.default_rng([seed, sorted(CROWDS).index(name)]))
    return llmbar(name)


def assigned(rng: Rng, *, tasks: int, annotators: int, per_task: int) -> tuple[Array, Array]:
    """Return (n,) tasks and annotators: *per_task* different ones each, some busier than others."""
    busy = rng.gamma(1.0, 1.0, annotators) + 0.05
    keys = rng.random((tasks, annotators)) ** (1 / busy)
    who = np.argpartition(-keys, per_task - 1, axis=1)[:, :per_task]
    return np.repeat(np.arange(tasks), per_task), who.ravel()


def confused(rng: Rng, confusion: NDArray[np.float64], who: Array, truth: Array) -> Array:
    """Draw labels from (r, c, l) *confusion*."""
    below = confusion[who, truth].cumsum(axis=1)
    drawn = (rng.random(len(who))[:, None] > below).sum(axis=1)
    return np.minimum(drawn, confusion.shape[2] - 1)


def coin(skill: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return (r, c, l) confusions of those who err evenly."""
    wrong = (1 - skill)[:, None, None] / (classes - 1)
    return wrong + (skill[:, None, None] - wrong) * np.eye(classes)


def build(
    name: str, task: Array, who: Array, label: Array, truth: Array, annotators: int, classes: int,
    ordered: bool = False,
) -> GoldSet:  # fmt: skip
    """Index a crowd."""
    answers = index_answers(
        task, who, label, tasks=len(truth), annotators=annotators, classes=classes
    )
    return GoldSet(name=name, answers=answers, truth=truth, ordered=ordered)


def skilled_mix(rng: Rng) -> GoldSet:
    """Forty annotators from poor to good, four classes."""
    truth = rng.choice(4, 400, p=[0.4, 0.3, 0.2, 0.1])
    task, who = assigned(rng, tasks=400, annotators=40, per_task=5)
    label = confused(rng, coin(rng.uniform(0.3, 0.9, 40), 4), who, truth[task])
    return build("skilled_mix", task, who, label, truth, 40, 4)


def spammers(rng: Rng) -> GoldSet:
    """Four of ten answer at random."""
    truth = rng.integers(0, 3, 400)
    skill = np.where(rng.random(40) < 0.4, 1 / 3, rng.uniform(0.65, 0.9, 40))
    task, who = assigned(rng, tasks=400, annotators=40, per_task=5)
    return build(
        "spammers", task, who, confused(rng, coin(skill, 3), who, truth[task]), truth, 40, 3
    )


def one_sided(rng: Rng) -> GoldSet:
    """Four of ten nearly always give their favourite answer."""
    truth = rng.choice(3, 400, p=[0.5, 0.3, 0.2])
    confusion = coin(rng.uniform(0.6, 0.85, 40), 3)
    for r in np.flatnonzero(rng.random(40) < 0.4):
        confusion[r] = 0.1 * confusion[r] + 0.9 * np.eye(3)[rng.choice(3, p=[0.6, 0.2, 0.2])]
    task, who = assigned(rng, tasks=400, annotators=40, per_task=5)
    return build("one_sided", task, who, confused(rng, confusion, who, truth[task]), truth, 40, 3)


def copied(rng: Rng) -> GoldSet:
    """A quarter copy one mediocre annotator."""
    truth = rng.integers(0, 3, 400)
    task, who = assigned(rng, tasks=400, annotators=32, per_task=7)
    label = confused(rng, coin(rng.uniform(0.55, 0.8, 32), 3), who, truth[task])
    shared = confused(rng, coin(np.array([0.5]), 3), np.zeros(400, dtype=np.int64), truth)
    copies = (who < 8) & (rng.random(len(who)) < 0.97)
    label = np.where(copies, shared[task], label)
    return build("copied", task, who, label, truth, 32, 3)


def sparse(rng: Rng) -> GoldSet:
    """Three hundred annotators of about six answers each."""
    truth = rng.integers(0, 2, 600)
    task, who = assigned(rng, tasks=600, annotators=300, per_task=3)
    label = confused(rng, coin(rng.beta(6, 3, 300), 2), who, truth[task])
    return build("sparse", task, who, label, truth, 300, 2)


def confusable(rng: Rng) -> GoldSet:
    """Everybody mixes up their own pair of neighbouring classes."""
    truth = rng.integers(0, 4, 400)
    confusion = coin(rng.uniform(0.7, 0.9, 25), 4)
    for r in range(25):
        a = rng.integers(0, 2) * 2
        confusion[r, a] = 0.35 * confusion[r, a] + 0.65 * np.eye(4)[a + 1]
    task, who = assigned(rng, tasks=400, annotators=25, per_task=5)
    return build("confusable", task, who, confused(rng, confusion, who, truth[task]), truth, 25, 4)


def hard_tasks(rng: Rng) -> GoldSet:
    """A third of the tasks mislead everybody alike: errors are shared without any copying."""
    truth = rng.integers(0, 3, 400)
    lure = (truth + rng.integers(1, 3, 400)) % 3
    pull = np.where(rng.random(400) < 0.35, rng.uniform(0.2, 0.6, 400), 0.0)
    task, who = assigned(rng, tasks=400, annotators=30, per_task=6)
    label = confused(rng, coin(rng.uniform(0.55, 0.9, 30), 3), who, truth[task])
    label = np.where(rng.random(len(who)) < pull[task], lure[task], label)
    return build("hard_tasks", task, who, label, truth, 30, 3)


def ordinal(rng: Rng) -> GoldSet:
    """Five levels; annotators lean and scatter."""
    truth = np.clip(np.rint(rng.normal(2, 1.1, 400)), 0, 4).astype(np.int64)
    lean, scatter = rng.normal(0, 0.6, 40), rng.uniform(0.4, 1.3, 40)
    task, who = assigned(rng, tasks=400, annotators=40, per_task=5)
    seen = truth[task] + lean[who] + scatter[who] * rng.normal(size=len(who))
    label = np.clip(np.rint(seen), 0, 4).astype(np.int64)
    return build("ordinal", task, who, label, truth, 40, 5, ordered=True)


def minority_taste(rng: Rng) -> GoldSet:
    """A quarter like something else on half of the tasks; truth is what the others like."""
    truth = rng.integers(0, 3, 400)
    other = np.where(rng.random(400) < 0.5, truth, rng.integers(0, 3, 400))
    task, who = assigned(rng, tasks=400, annotators=40, per_task=6)
    meant = np.where(who < 10, other[task], truth[task])
    label = confused(rng, coin(rng.uniform(0.6, 0.85, 40), 3), who, meant)
    return build("minority_taste", task, who, label, truth, 40, 3)


CROWDS: Final[dict[str, Callable[[Rng], GoldSet]]] = {
    make.__name__: make
    for make in (
        skilled_mix, spammers, one_sided, copied, sparse, confusable, hard_tasks, ordinal,
        minority_taste,
    )
}  # fmt: skip


def llmbar_subsets() -> tuple[str, ...]:
    """Return the names of the machine judges' subsets; empty where they are not installed."""
    if not (DATA / "llmbar" / "judgements.csv.gz").exists():
        return ()
    return ("llmbar_natural", "llmbar_faireval", "llmbar_llmeval2", "llmbar_mt-bench")


def llmbar(name: str) -> GoldSet:
    """Return one subset: pairs are tasks, a judge with a strategy and an order is an annotator."""
    wanted = name.removeprefix("llmbar_")
    rows: list[tuple[str, str, int]] = []
    gold: dict[str, int] = {}
    with gzip.open(DATA / "llmbar" / "judgements.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            subset = row["subset"].split("/")[-1].lower().replace("^", "")
            if subset != wanted:
                continue
            gold[row["item"]] = int(row["label"]) - 1
            for order in ("winner", "winner_swapped"):
                if row[order]:
                    judge = f"{row['judge']}/{row['strategy']}/{order}"
                    rows.append((row["item"], judge, int(float(row[order])) - 1))
    tasks, task = number_names([row[0] for row in rows])
    judges, who = number_names([row[1] for row in rows])
    label = np.array([row[2] for row in rows])
    truth = np.array([gold[item] for item in tasks])
    return build(name, task, who, label, truth, len(judges), 2)


if __name__ == "__main__":
    main()
