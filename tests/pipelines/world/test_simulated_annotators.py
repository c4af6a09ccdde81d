from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from annotation.queue import TASK
from data_contracts.contract import load_contract
from data_contracts.schemas import ANNOTATION
from pipelines.stores.enforcer import find_violations
from pipelines.world.annotators import (
    CARELESS,
    CUTS,
    HONEST,
    REVERSED,
    Crew,
    answer_tasks,
    draw_crew,
)
from pipelines.world.desk import SimulatedDesk

START = datetime(2026, 1, 11, tzinfo=UTC)
COUNT = 1200


def truth(seed: int = 0) -> dict[str, float]:
    values = np.random.default_rng(seed).uniform(0.2, 1.0, COUNT)
    return {f"g{k}": float(v) for k, v in enumerate(values)}


def crew(*kinds: int, noise: float = 0.15, left: float = 0.0) -> Crew:
    n = len(kinds)
    return Crew(
        kind=np.array(kinds),
        noise=np.full(n, noise),
        shift=np.zeros(n),
        left_bias=np.full(n, left),
    )


def ratings() -> pa.Table:
    ids = [f"g{k}" for k in range(COUNT)]
    return tasks("rating", ids, [None] * COUNT)


def both_ways() -> pa.Table:
    """Each pair twice, once in each order."""
    even, odd = ([f"g{k}" for k in range(start, COUNT, 2)] for start in (0, 1))
    return tasks("comparison", even + odd, odd + even)


def tasks(kind: str, ids: list[str], others: list) -> pa.Table:
    return pa.table(
        {
            "task_id": [f"task{k:05d}" for k in range(len(ids))],
            "kind": [kind] * len(ids),
            "generation_id": ids,
            "other_generation_id": pa.array(others, pa.string()),
            "aspect": ["overall"] * len(ids),
        }
    )


def answers(work: pa.Table, who: Crew, *, overlap: int, seed: int = 0) -> pa.Table:
    return answer_tasks(
        work,
        {"overall": truth()},
        who,
        answers_per_task=overlap,
        batch="b",
        start=START,
        rng=np.random.default_rng(seed),
    )


def by_annotator(rows: pa.Table, annotator: str) -> dict[str, np.ndarray]:
    mine = [r for r in rows.to_pylist() if r["annotator_id"] == annotator]
    quality = truth()
    return {
        "value": np.array([r["value"] for r in mine]),
        "quality": np.array([quality[r["generation_id"]] for r in mine]),
        "rival": np.array([quality.get(r["other_generation_id"], 0.0) for r in mine]),
        "left": np.array([1 if r["shown_left"] == r["generation_id"] else -1 for r in mine]),
    }


MIXED = crew(HONEST, CARELESS, REVERSED)


@pytest.fixture(scope="module")
def rated() -> pa.Table:
    return answers(ratings(), MIXED, overlap=3)


@pytest.fixture(scope="module")
def compared() -> pa.Table:
    return answers(both_ways(), MIXED, overlap=3)


def test_an_annotator_without_noise_rates_by_the_cuts():
    """.35, .55, .75 and .92 part the five levels."""
    exact = answers(ratings(), crew(HONEST, noise=0.0), overlap=1)
    seen = by_annotator(exact, "a000")
    expected = 1 + (seen["quality"][:, None] > CUTS).sum(1)
    np.testing.assert_array_equal(seen["value"], expected)


def test_an_annotator_without_noise_prefers_the_better_by_how_much():
    """A gap of .04 is a preference, of .2 a clear one."""
    seen = by_annotator(answers(both_ways(), crew(HONEST, noise=0.0), overlap=1), "a000")
    gap = seen["quality"] - seen["rival"]
    expected = np.sign(gap) * ((abs(gap) > 0.04).astype(int) + (abs(gap) > 0.2))
    np.testing.assert_array_equal(seen["value"], expected)


@pytest.mark.parametrize(("annotator", "low", "high"), [
    ("a000", 0.6, 1.0), ("a001", -0.1, 0.1), ("a002", -1.0, -0.6),
])  # fmt: skip
def test_honest_careless_and_reversed_show_against_the_truth(rated, compared, annotator, low, high):
    seen = by_annotator(rated, annotator)
    assert low < np.corrcoef(seen["value"], seen["quality"])[0, 1] < high
    seen = by_annotator(compared, annotator)
    assert low < np.corrcoef(seen["value"], seen["quality"] - seen["rival"])[0, 1] < high


@pytest.mark.parametrize("annotator", ["a000", "a001", "a002"])
def test_comparisons_do_not_favour_the_one_named_first(compared, annotator):
    """Each pair was asked both ways: the two answers cancel, give or take 2 s / sqrt(600)."""
    value = by_annotator(compared, annotator)["value"]
    there, back = value[: COUNT // 2], value[COUNT // 2 :]
    assert abs(there.mean() + back.mean()) < 0.2


def test_a_left_bias_shows_on_the_left_only():
    seen = by_annotator(answers(both_ways(), crew(HONEST, left=0.3), overlap=1), "a000")
    assert (seen["value"] * seen["left"]).mean() > 0.4
    assert abs(seen["value"].mean()) < 0.15
    fair = by_annotator(answers(both_ways(), crew(HONEST), overlap=1), "a000")
    assert abs((fair["value"] * fair["left"]).mean()) < 0.15


def test_sides_are_drawn_evenly(compared):
    assert abs(by_annotator(compared, "a000")["left"].mean()) < 0.1


def test_severity_lowers_ratings():
    strict = Crew(
        kind=np.zeros(2, np.int64),
        noise=np.full(2, 0.1),
        shift=np.array([-0.2, 0.2]),
        left_bias=np.zeros(2),
    )
    rows = answers(ratings(), strict, overlap=2)
    means = [by_annotator(rows, name)["value"].mean() for name in ("a000", "a001")]
    assert means[0] + 1 < means[1]


def test_answers_keep_the_contract(rated, compared):
    contract = load_contract("annotation")
    for rows in (rated, compared):
        later = datetime(2026, 2, 1, tzinfo=UTC)
        assert find_violations(rows, contract, now=later).num_rows == 0
        assert rows.schema.equals(contract.schema)
    assert set(rated["value"].to_pylist()) == {1, 2, 3, 4, 5}
    assert set(compared["value"].to_pylist()) == {-2, -1, 0, 1, 2}


def test_every_task_is_answered_by_different_annotators():
    rows = answers(ratings(), crew(*[HONEST] * 7), overlap=3).to_pylist()
    pairs = {(r["task_id"], r["annotator_id"]) for r in rows}
    assert len(pairs) == len(rows) == 3 * COUNT
    assert {r["annotator_id"] for r in rows} == {f"a{j:03d}" for j in range(7)}


def test_a_small_crew_answers_each_task_once_each():
    assert answers(ratings(), crew(HONEST, HONEST), overlap=5).num_rows == 2 * COUNT


def test_the_order_of_tasks_does_not_matter(rated):
    backwards = ratings().take(list(range(COUNT - 1, -1, -1)))
    assert answers(backwards, MIXED, overlap=3).equals(rated)
    assert not answers(ratings(), MIXED, overlap=3, seed=1).equals(rated)


def test_no_tasks_are_no_answers():
    assert answers(ratings().slice(0, 0), MIXED, overlap=3).num_rows == 0


def test_most_of_a_crew_is_honest():
    drawn = draw_crew(20_000, rng=np.random.default_rng(0))
    shares = np.bincount(drawn.kind) / len(drawn)
    np.testing.assert_allclose(shares, [0.82, 0.10, 0.08], atol=0.01)
    assert drawn.noise.min() >= 0.08
    assert drawn.noise.max() <= 0.25
    assert abs(drawn.left_bias.mean()) < 0.001


def test_an_empty_desk_gives_no_answers(tmp_path):
    desk = SimulatedDesk(root=str(tmp_path))
    desk.push("turn-001", TASK.empty_table())
    assert desk.pull("turn-001").equals(ANNOTATION.empty_table())
