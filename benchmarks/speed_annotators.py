"""Claim: crowd models on one core are many times faster than the libraries they equal.

    python -m benchmarks.speed_annotators --labels 1000000 --out FILE

Measures CPU seconds in one process: Dawid-Skene an EM iteration against Crowd-Kit on integer and
on string ids (encoding apart), Crowd-Bradley-Terry against evalica's plain Bradley-Terry at the
same tolerance with the accuracy of both, and a ranking of 100 models with intervals against
evalica and its bootstrap. Peak memory is what the resident set grew to, in bytes an answer.
"""

import argparse
import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import evalica
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from crowdkit.aggregation import DawidSkene
from numpy.typing import NDArray

from annotation.answers import Answers, index_answers, number_names
from annotation.bradley_terry import fit_bradley_terry, win_matrix
from annotation.comparisons import index_comparisons
from annotation.crowd_bradley_terry import fit_crowd_bradley_terry
from annotation.dawid_skene import fit_dawid_skene
from annotation.label_fit import EmSettings
from benchmarks.crowd_aggregation import environment

TOLERANCE = 1e-6
PARTS = ("dawid_skene", "crowd_bradley_terry", "hundred_models")
WINNERS = {1: evalica.Winner.X, -1: evalica.Winner.Y, 0: evalica.Winner.Draw}
Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--skip-strings", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    report: dict[str, object] = {"claim": "speed_annotators"}
    if chosen.out and chosen.out.exists():  # parts measured before stay
        report = json.loads(chosen.out.read_text("utf-8"))
    report["environment"] = environment()
    for part in chosen.parts:
        print(f"{part} ...", file=sys.stderr)
        if part == "dawid_skene":
            name = f"dawid_skene_{chosen.labels}"
            report[name] = dawid_skene(chosen.labels, chosen.seed, strings=not chosen.skip_strings)
        elif part == "crowd_bradley_terry":
            report[part] = crowd_bradley_terry(chosen.votes, chosen.seed)
        else:
            report[part] = hundred_models(chosen.votes, chosen.seed)
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n", encoding="utf-8")


def dawid_skene(labels: int, seed: int, *, strings: bool, classes: int = 4) -> Figures:
    """Return CPU seconds an iteration, theirs and ours, and bytes a label at peak."""
    rng = np.random.default_rng(seed)
    tasks, annotators = labels // 5, max(labels // 500, 10)
    truth = rng.integers(0, classes, tasks)
    skill = rng.uniform(0.4, 0.95, annotators)
    task = np.repeat(np.arange(tasks), 5)
    who = rng.integers(0, annotators, labels)
    right = rng.random(labels) < skill[who]
    label = np.where(right, truth[task], rng.integers(0, classes, labels))
    order = rng.permutation(labels)  # as answers come in: not sorted by task
    task, who, label = task[order], who[order], label[order]
    sizes = {"tasks": tasks, "annotators": annotators, "classes": classes}
    warm = index_answers(np.zeros(2, int), np.arange(2), np.ones(2, int), **sizes)
    fit_dawid_skene(warm, settings=EmSettings(max_iterations=1))

    encode, answers = clocked(lambda: index_answers(task, who, label, **sizes))
    ours = iteration(lambda n: our_fit(answers, n), 10, 40)
    held = grown(lambda: our_fit(index_answers(task, who, label, **sizes), 3))
    found: Figures = {
        "labels": labels,
        "tasks": tasks,
        "annotators": annotators,
        "ours_index_s": encode,
        "ours_s_per_iteration": ours,
        "ours_bytes_per_label": held / labels,
    }
    frame = pd.DataFrame({"task": task, "worker": who, "label": label})
    few, many = (1, 3) if labels > 3_000_000 else (1, 6)
    theirs = iteration(lambda n: DawidSkene(n_iter=n, tol=-np.inf).fit(frame), few, many)
    found |= {"crowdkit_int_s_per_iteration": theirs, "times_faster_int": theirs / ours}
    if strings:
        columns = (("task-", task), ("worker-", who), ("label-", label))
        names = [pa.array(np.char.add(word, ids.astype(str)).tolist()) for word, ids in columns]
        coded, _ = clocked(lambda: [number_names(column) for column in names])
        frame = pd.DataFrame(
            {n: column.to_pandas().astype(object)
             for n, column in zip(("task", "worker", "label"), names, strict=True)}
        )  # fmt: skip
        theirs = iteration(lambda n: DawidSkene(n_iter=n, tol=-np.inf).fit(frame), few, few + 2)
        found |= {
            "ours_encode_strings_s": coded,
            "crowdkit_string_s_per_iteration": theirs,
            "times_faster_string": theirs / ours,
        }
    return found


def our_fit(answers: Answers, iterations: int) -> object:
    """Run *iterations* of the classic model, as Crowd-Kit does."""
    settings = EmSettings(
        max_iterations=iterations, tolerance=None, share_smoothing=0, vote_smoothing=0
    )
    return fit_dawid_skene(answers, pool_strength=0, settings=settings)


def crowd_bradley_terry(votes: int, seed: int, *, items: int = 2000) -> Figures:
    """Compare on a crowd of whom three in ten guess; both start from integer columns."""
    rng = np.random.default_rng(seed)
    annotators = 1000
    score = rng.normal(0, 1, items)
    slope = np.where(rng.random(annotators) < 0.3, 0.0, rng.uniform(0.7, 1.5, annotators))
    first = rng.integers(0, items, votes)
    second = (first + rng.integers(1, items, votes)) % items
    who = rng.integers(0, annotators, votes)
    chance = 1 / (1 + np.exp(-slope[who] * (score[first] - score[second])))
    outcome = np.where(rng.random(votes) < chance, 1, -1)

    def ours() -> Any:
        rows = index_comparisons(who, first, second, outcome, items=items, annotators=annotators)
        return fit_crowd_bradley_terry(rows, tolerance=TOLERANCE)

    ours()  # compiles
    ours_s, fit = clocked(ours)
    held = grown(ours)
    xs, ys = first.tolist(), second.tolist()
    winners = [WINNERS[n] for n in outcome.tolist()]
    index_s, _ = clocked(lambda: evalica.indexing(xs, ys))
    theirs_s, plain = clocked(lambda: evalica.bradley_terry(xs, ys, winners, tolerance=TOLERANCE))
    blind = np.log(plain.scores.reindex(range(items)).to_numpy())
    return {
        "comparisons": votes,
        "items": items,
        "annotators": annotators,
        "ours_s": ours_s,
        "ours_steps": fit.steps,
        "ours_converged": float(fit.converged),
        "ours_bytes_per_comparison": held / votes,
        "ours_accuracy": ordered(fit.score, score),
        "evalica_s": theirs_s,
        "evalica_indexing_s": index_s,
        "evalica_iterations": plain.iterations,
        "evalica_accuracy": ordered(blind, score),
    }


def hundred_models(votes: int, seed: int, *, resamples: int = 20) -> Figures:
    """Rank 100 models with intervals, ties included; both start from names as text."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 1, 100)
    first = rng.integers(0, 100, votes)
    second = (first + rng.integers(1, 100, votes)) % 100
    gap = score[first] - score[second]
    drawn = rng.random(votes)
    won, lost = 1 / (1 + np.exp(0.3 - gap)), 1 / (1 + np.exp(0.3 + gap))
    outcome = np.where(drawn < won, 1, np.where(drawn > 1 - lost, -1, 0))
    names = np.array([f"model-{n:03d}" for n in range(100)])
    left, right = names[first].tolist(), names[second].tolist()
    columns = pa.array(left), pa.array(right)

    def ours() -> Any:
        known, both = number_names(pa.concat_arrays(columns))
        wins, ties = win_matrix(both[:votes], both[votes:], outcome, items=len(known))
        found = fit_bradley_terry(wins, ties, prior=0.0)
        return found, found.interval()

    ours()
    ours_s, (fit, (low, high)) = clocked(ours)
    winners = [WINNERS[n] for n in outcome.tolist()]
    plain_s, plain = clocked(lambda: evalica.bradley_terry(left, right, winners, tolerance=1e-12))
    boot_s, boot = clocked(
        lambda: evalica.bootstrap(
            evalica.bradley_terry, left, right, winners, n_resamples=resamples,
            bootstrap_method="percentile", random_state=0,
        )
    )  # fmt: skip
    theirs = np.log(plain.scores.reindex(names.tolist()).to_numpy())
    spread = np.log(boot.distribution).std(axis=0).reindex(names.tolist()).to_numpy()
    return {
        "votes": votes,
        "ours_with_intervals_s": ours_s,
        "evalica_s": plain_s,
        "evalica_with_bootstrap_s": boot_s,
        "bootstrap_resamples": resamples,
        "largest_score_difference": float(np.abs(fit.score - theirs).max()),
        "our_half_width_over_bootstraps": float(((high - low) / 2).mean() / (1.96 * spread).mean()),
    }


def ordered(score: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the share of pairs of items in the right order."""
    a, b = np.triu_indices(len(truth), 1)
    return float(((score[a] > score[b]) == (truth[a] > truth[b])).mean())


def clocked(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of *work* and what it returned; the better of two runs."""
    taken = []
    result = None
    for _ in range(2):
        gc.collect()
        started = time.process_time()
        result = work()
        taken.append(time.process_time() - started)
    return min(taken), result


def iteration(work: Callable[[int], Any], few: int, many: int) -> float:
    """Return CPU seconds an iteration: what *many* cost beyond *few*."""
    short, _ = clocked(lambda: work(few))
    long, _ = clocked(lambda: work(many))
    return (long - short) / (many - few)


def grown(work: Callable[[], Any]) -> float:
    """Return by how many bytes the resident set grew at most while *work* ran (Linux)."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # pages freed before would hide what is taken now
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the old peak
    work()
    status = Path("/proc/self/status").read_text("ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return peak * 1024.0 - before


if __name__ == "__main__":
    main()
