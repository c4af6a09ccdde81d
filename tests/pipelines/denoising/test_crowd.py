"""The crowd read alone: its models judged by gold, minorities named, never mixed in."""

import numpy as np
import pyarrow as pa

from pipelines.denoising import DenoiseSettings, denoise
from pipelines.denoising.crowd import crowd_figures
from pipelines.denoising.page import render_page
from pipelines.denoising.reading import ANNOTATIONS, GOLD_LABELS, checked

IDS = pa.array([f"g{n:03d}" for n in range(60)])


def rated(labels):
    """Ratings by annotator: name -> (60,) levels 1 .. 5."""
    rows = [(who, n, level) for who, levels in labels.items() for n, level in enumerate(levels)]
    table = pa.table(
        {
            "annotation_id": [f"n{k:05d}" for k in range(len(rows))],
            "annotator_id": [who for who, _, _ in rows], "kind": ["rating"] * len(rows),
            "generation_id": [f"g{n:03d}" for _, n, _ in rows],
            "aspect": ["overall"] * len(rows), "value": [float(v) for _, _, v in rows],
        }
    )  # fmt: skip
    return checked(table, ANNOTATIONS)


def compared(quality, rng, *, annotators=6, asked=80):
    rows = []
    for who in range(annotators):
        for _ in range(asked):
            a, b = rng.choice(len(quality), 2, replace=False)
            wins = rng.random() < 1 / (1 + np.exp(-2.0 * (quality[a] - quality[b])))
            rows.append((f"a{who}", a, b, 1.0 if wins else -1.0))
    table = pa.table(
        {
            "annotation_id": [f"n{k:05d}" for k in range(len(rows))],
            "annotator_id": [r[0] for r in rows], "kind": ["comparison"] * len(rows),
            "generation_id": [f"g{r[1]:03d}" for r in rows],
            "other_generation_id": [f"g{r[2]:03d}" for r in rows],
            "aspect": ["overall"] * len(rows), "value": [r[3] for r in rows],
        }
    )  # fmt: skip
    return checked(table, ANNOTATIONS)


def gold(levels, count=30):
    table = pa.table(
        {
            "generation_id": [f"g{n:03d}" for n in range(count)],
            "aspect": ["overall"] * count, "value": [float(v) for v in levels[:count]],
        }
    )  # fmt: skip
    return checked(table, GOLD_LABELS)


def noisy(truth, rng, slips):
    return np.where(rng.random(len(truth)) < slips, rng.integers(1, 6, len(truth)), truth)


def test_gold_judges_every_model_and_without_it_the_default_is_named():
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 6, 60)
    crowd = {f"a{k}": noisy(truth, rng, 0.2) for k in range(4)}
    crowd |= {f"z{k}": rng.integers(1, 6, 60) for k in range(3)}
    (judged,) = crowd_figures(rated(crowd), gold(truth), IDS)
    names = {"majority", "one_coin", "dawid_skene", "mace", "ordinal"}
    assert {model["method"] for model in judged["models"]} == names
    assert judged["chosen_on"] == "gold"
    assert judged["known_questions"] == 30
    weights = {model["method"]: model["weight"] for model in judged["models"]}
    assert judged["method"] == max(weights, key=weights.get)
    (unknown,) = crowd_figures(rated(crowd), gold(truth, count=5), IDS)
    assert (unknown["chosen_on"], unknown["method"], unknown["models"]) == (
        "default",
        "ordinal",
        [],
    )


def test_a_consistent_minority_is_named_with_what_it_sees_otherwise():
    rng = np.random.default_rng(1)
    truth, other = rng.integers(1, 6, (2, 60))
    crowd = {f"a{k}": noisy(truth, rng, 0.1) for k in range(8)}
    crowd |= {f"m{k}": noisy(other, rng, 0.1) for k in range(4)}
    (found,) = crowd_figures(rated(crowd), gold(truth), IDS)
    (cohort,) = found["cohorts"]
    assert cohort["annotators"] == ["m0", "m1", "m2", "m3"]
    assert cohort["differs"] > 20
    of_one_mind = {name: levels for name, levels in crowd.items() if name[0] == "a"}
    (single,) = crowd_figures(rated(of_one_mind), gold(truth), IDS)
    assert single["cohorts"] == []


def test_comparisons_are_read_as_strengths_and_judged_by_known_levels():
    rng = np.random.default_rng(2)
    quality = rng.normal(size=60)
    levels = np.searchsorted(np.quantile(quality, (0.2, 0.4, 0.6, 0.8)), quality) + 1
    (found,) = crowd_figures(compared(quality, rng), gold(levels), IDS)
    assert found["kind"] == "comparison"
    assert found["bradley_terry"]["right"] > 0.85
    assert found["bradley_terry"]["known_pairs"] > 200


def test_rows_in_any_order_are_read_alike():
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 6, 60)
    rows = rated({f"a{k}": noisy(truth, rng, 0.2) for k in range(5)})
    turned = rows.take(rng.permutation(rows.num_rows))
    assert crowd_figures(rows, gold(truth), IDS) == crowd_figures(turned, gold(truth), IDS)


def test_the_page_shows_models_minorities_and_order_and_pairs_stay_the_same():
    rng = np.random.default_rng(4)
    truth, other = rng.integers(1, 6, (2, 60))
    crowd = {f"a{k}": noisy(truth, rng, 0.1) for k in range(8)}
    crowd |= {f"m{k}": noisy(other, rng, 0.1) for k in range(4)}
    told = pa.concat_tables([rated(crowd), renamed(compared(truth.astype(float), rng))])
    generations = pa.table(
        {"generation_id": IDS, "prompt_id": [f"q{n // 4}" for n in range(60)],
         "model_release": ["r0"] * 60}
    )  # fmt: skip
    made = denoise(None, generations, told, gold=gold(truth), settings=DenoiseSettings(crowd=True))
    page = render_page(made.figures)
    assert "What the annotators say alone" in page
    assert "Crowd-Bradley-Terry puts" in page
    assert "m0, m1, m2, m3" in page
    without = denoise(None, generations, told, gold=gold(truth))
    assert made.pairs.equals(without.pairs)
    assert "What the annotators say alone" not in render_page(without.figures)


def renamed(table):
    ids = pa.array([f"c{k:05d}" for k in range(table.num_rows)])
    return table.set_column(0, "annotation_id", ids)
