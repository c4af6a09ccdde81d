"""Claim: the queue needs at most .6 of the answers that random order needs for equal accuracy.

    python -m benchmarks.queue_answers --seed 100 --seed 101 --out FILE

On scenes of the simulated studio with known truth: 100 prompts of four pictures, all 600 pairs, a
crew of twelve of whom some are careless or reversed. Random order asks three annotators about
each pair (N = 1,800); the queue asks in rounds of one question an annotator, .05 of them at
random. Both are read by the same model (Crowd-Bradley-Terry), and both hear the same answer from
the same person about the same pair. Accuracy is the share of pairs, ties in truth left out, on
which the likelier side is the better one. Reported per seed: accuracy of both at .6 N and at N,
and how many answers the queue needed for what random order reached with N (null: more than N):
the first round from which the mean of five rounds is as high, so that no lucky one counts.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from annotation.beliefs import pair_beliefs
from annotation.comparisons import Comparisons, index_comparisons
from annotation.crowd_bradley_terry import CrowdStrengths, fit_crowd_bradley_terry
from annotation.next_questions import QueueRules, next_questions
from annotation.queue import TASK
from benchmarks.crowd_aggregation import environment
from pipelines.world.annotators import answer_tasks, draw_crew
from pipelines.world.prompts import every_request
from pipelines.world.scenes import draw_care, draw_scene
from pipelines.world.truth import judge

PROMPTS, PICTURES, PEOPLE, OVERLAP, ROUND = 100, 4, 12, 3, 12
STEADY = 5  # rounds
EXPLORATION, SETTLED = 0.05, 0.995
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """Pairs with known truth, and what every annotator would say about each."""

    truth: NDArray[np.float64]  # (i,)
    prompt: Ints  # (i,)
    first: Ints  # (p,) item
    second: Ints  # (p,)
    said: Ints  # (p, r) 1 the first, -1 the second, 0 a tie
    side: Ints  # (p, r) 1 the first was left, -1 right

    def fit(self, asked: NDArray[np.bool_]) -> tuple[Comparisons, CrowdStrengths]:
        """Read the answers that were *asked* for."""
        pair, who = np.nonzero(asked)
        comparisons = index_comparisons(
            who, self.first[pair], self.second[pair], self.said[pair, who], self.side[pair, who],
            items=len(self.truth), annotators=self.said.shape[1],
        )  # fmt: skip
        return comparisons, fit_crowd_bradley_terry(comparisons)

    def accuracy(self, fit: CrowdStrengths) -> float:
        """Return the share of untied pairs on which the likelier side is the better one."""
        truth = self.truth[self.first] - self.truth[self.second]
        found = fit.score[self.first] - fit.score[self.second]
        right = np.where(found == 0, 0.5, np.sign(found) == np.sign(truth))
        return float(right[np.abs(truth) > 1e-9].mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, action="append", required=True)
    parser.add_argument("--worth", type=float, default=QueueRules().worth)
    parser.add_argument("--lead", type=float, default=QueueRules().lead)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    rules = QueueRules(
        exploration=EXPLORATION, settled=SETTLED, worth=chosen.worth, lead=chosen.lead
    )
    seeds = [measure(seed, rules) for seed in chosen.seed]
    report = {
        "claim": "queue_answers",
        "seeds": chosen.seed,
        "rules": asdict(rules),
        "answers_of_random_order": PROMPTS * 6 * OVERLAP,
        "share_of_answers": interval([each["share"] for each in seeds]),
        "accuracy_at_six_tenths_minus_random_at_all": interval(
            [each["queue_at_0.6N"] - each["random_at_N"] for each in seeds]
        ),
        "by_seed": seeds,
        "environment": environment(),
    }
    text = json.dumps(report, indent=2) + "\n"
    print(text)
    if chosen.out:
        chosen.out.write_text(text, "utf-8")


def measure(seed: int, rules: QueueRules) -> dict[str, Any]:
    """Return the figures of one seed."""
    studio = draw_studio(seed)
    total = studio.said.shape[0] * OVERLAP
    checks = {int(0.6 * total), total}
    random = dict(random_order(studio, checks, np.random.default_rng([seed, 2])))
    queue = dict(queue_order(studio, total, rules, np.random.default_rng([seed, 3])))
    counts, curve = list(queue), np.array(list(queue.values()))
    steady = np.convolve(curve, np.full(STEADY, 1 / STEADY), mode="valid")
    reached = [counts[k] for k in np.flatnonzero(steady >= random[total])]
    print(f"seed {seed}: {reached[:1]}", file=sys.stderr)
    return {
        "seed": seed,
        "random_at_0.6N": random[int(0.6 * total)],
        "random_at_N": random[total],
        "queue_at_0.6N": at_least(queue, int(0.6 * total)),
        "queue_at_N": at_least(queue, total),
        "answers_needed": min(reached, default=None),
        "share": min(reached, default=total) / total,
    }


def draw_studio(seed: int) -> Studio:
    """Draw scenes, judge their pixels, and let everybody answer everything."""
    rng = np.random.default_rng([seed, 1])
    requests = every_request()
    asked = [
        requests[k] for k in rng.choice(len(requests), PROMPTS, replace=False)
        for _ in range(PICTURES)
    ]  # fmt: skip
    care = draw_care(len(asked), rng=rng)
    pictures = np.stack(
        [draw_scene(r, care=float(c), rng=rng) for r, c in zip(asked, care, strict=True)]
    )
    truth = judge(pictures, asked).overall / 100.0
    prompt = np.repeat(np.arange(PROMPTS), PICTURES)
    one, other = np.triu_indices(PICTURES, 1)
    first, second = (
        (np.arange(PROMPTS)[:, None] * PICTURES + each).ravel() for each in (one, other)
    )
    names = [f"g{k:04d}" for k in range(len(truth))]
    tasks = pa.table(
        {
            "task_id": [f"t{k:04d}" for k in range(len(first))],
            "kind": ["comparison"] * len(first),
            "prompt_id": [f"q{k:03d}" for k in prompt[first]],
            "generation_id": [names[k] for k in first],
            "other_generation_id": [names[k] for k in second],
            "aspect": ["overall"] * len(first),
        },
        schema=TASK,
    )
    rows = answer_tasks(
        tasks, {"overall": dict(zip(names, truth.tolist(), strict=True))},
        draw_crew(PEOPLE, rng=rng), answers_per_task=PEOPLE, batch="x",
        start=datetime(2026, 1, 1, tzinfo=UTC), rng=rng,
    )  # fmt: skip
    pair, who = (
        np.array([int(name[1:]) for name in rows[column].to_pylist()])
        for column in ("task_id", "annotator_id")
    )
    said, side = np.zeros((2, len(first), PEOPLE), np.int64)
    said[pair, who] = np.sign(rows["value"].to_numpy()).astype(np.int64)
    left = np.array(rows["shown_left"].to_pylist()) == np.array(rows["generation_id"].to_pylist())
    side[pair, who] = np.where(left, 1, -1)
    return Studio(truth=truth, prompt=prompt, first=first, second=second, said=said, side=side)


def random_order(
    studio: Studio, checks: set[int], rng: np.random.Generator
) -> Iterable[tuple[int, float]]:
    """Yield (answers, accuracy) at *checks*, asking OVERLAP people about each pair."""
    pairs, people = studio.said.shape
    who = np.argsort(rng.random((pairs, people)), axis=1)[:, :OVERLAP]
    order = rng.permutation(pairs * OVERLAP)
    for count in sorted(checks):
        asked = np.zeros((pairs, people), np.bool_)
        taken = order[:count]
        asked[taken // OVERLAP, who[taken // OVERLAP, taken % OVERLAP]] = True
        yield count, studio.accuracy(studio.fit(asked)[1])


def queue_order(
    studio: Studio, total: int, rules: QueueRules, rng: np.random.Generator
) -> Iterable[tuple[int, float]]:
    """Yield (answers, accuracy) after each round of the queue."""
    asked = np.zeros(studio.said.shape, np.bool_)
    comparisons, fit = studio.fit(asked)
    while asked.sum() < total:
        belief = pair_beliefs(comparisons, fit, studio.first, studio.second, studio.prompt)
        more = next_questions(
            belief, asked, studio.prompt[studio.first],
            slope=fit.slope, tie=fit.tie, budget=np.full(PEOPLE, ROUND // PEOPLE), rules=rules,
            rng=rng,
        )  # fmt: skip
        if not len(more.pair):
            return
        asked[more.pair, more.annotator] = True
        comparisons, fit = studio.fit(asked)
        yield int(asked.sum()), studio.accuracy(fit)


def at_least(curve: dict[int, float], answers: int) -> float:
    """Return the accuracy at the last round that took at most *answers*."""
    return curve[max(count for count in curve if count <= answers)]


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """Return the mean over seeds and its 95 % interval (Student's t)."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    reach = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


if __name__ == "__main__":
    main()
