"""The queue asks about whole prompts, mostly the least certain ones."""

import numpy as np
import pyarrow as pa
import pytest

from annotation import TASK, choose_tasks
from data_contracts.errors import ContractError


def generations(prompts=20, per=3):
    return pa.table(
        {
            "generation_id": [f"g{n:03d}" for n in range(prompts * per)],
            "prompt_id": [f"q{n // per:02d}" for n in range(prompts * per)],
            "modality": ["image"] * (prompts * per),
        }
    )


def doubt(prompts=20, per=3):
    """Prompt q00 is the least uncertain, the last one the most."""
    names = generations(prompts, per)["generation_id"]
    return pa.table({"generation_id": names, "uncertainty": np.arange(prompts * per) / 100})


def ask(table=None, unsure=None, *, budget=40, exploration=0.0, seed=0):
    return choose_tasks(
        generations() if table is None else table, unsure, budget=budget, exploration=exploration,
        rng=np.random.default_rng(seed), aspects=("overall",),
    )  # fmt: skip


def test_the_least_certain_prompts_come_first_and_whole():
    """Three ratings and two comparisons a prompt: a budget of 10 is two whole prompts."""
    tasks = ask(unsure=doubt(), budget=11)
    assert tasks.schema == TASK
    assert set(tasks["prompt_id"].to_pylist()) == {"q19", "q18"}
    assert tasks["kind"].to_pylist().count("rating") == 6
    assert tasks["kind"].to_pylist().count("comparison") == 4


def test_exploration_meets_prompts_the_model_is_sure_of():
    tasks = ask(unsure=doubt(), exploration=1.0)
    assert set(tasks["prompt_id"].to_pylist()) - {f"q{n}" for n in range(12, 20)}


def test_same_seed_same_queue_whatever_the_row_order():
    table = generations()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    first = ask(table, doubt(), exploration=0.3)
    assert ask(shuffled, doubt(), exploration=0.3).equals(first)
    assert not ask(table, doubt(), exploration=0.3, seed=9).equals(first)


def test_a_question_keeps_its_task_id():
    first, second = ask(unsure=None, budget=100, seed=1), ask(unsure=None, budget=100, seed=2)
    key = {r["task_id"]: (r["kind"], r["generation_id"], r["other_generation_id"], r["aspect"])
           for r in first.to_pylist() + second.to_pylist()}  # fmt: skip
    assert len(set(key.values())) == len(key)
    assert set(first["task_id"].to_pylist()) == set(second["task_id"].to_pylist())


def test_nothing_to_ask_gives_an_empty_queue():
    assert ask(generations(prompts=0)).num_rows == 0
    assert ask(budget=0).num_rows == 0


def test_one_generation_alone_is_rated_but_not_compared():
    assert set(ask(generations(2, 1))["kind"].to_pylist()) == {"rating"}


def test_refuses_a_share_beyond_one():
    with pytest.raises(ContractError, match="exploration"):
        ask(exploration=1.5)


def test_only_answers_under_one_skill_are_compared():
    """Of a prompt's four answers two are under a skill: two comparisons are left of six."""
    table = generations(prompts=1, per=4)
    skills = pa.array(["night", None, "night", None])
    guided = ask(table.append_column("skill_id", skills), doubt(1, 4), budget=100)
    duels = guided.filter(guided["kind"].to_numpy(zero_copy_only=False) == "comparison")
    found = set(zip(*(duels[n].to_pylist() for n in TASK.names[3:5]), strict=True))
    assert found == {("g001", "g003"), ("g000", "g002")}
    plain = ask(table.append_column("skill_id", pa.nulls(4, pa.string())), doubt(1, 4), budget=100)
    assert plain.equals(ask(table, doubt(1, 4), budget=100))
