"""What policies are measured on is nothing that they, or policies before them, learned from."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from data_contracts.schemas import PROMPT
from pipelines.asked import trained_prompts, unseen_prompts
from pipelines.stores import open_snapshot, open_stores

TURN = "turn-001"
LONG = [f"word{n}" for n in range(60)]


@pytest.fixture(scope="module")
def stores(nano_wheel):
    return open_stores(nano_wheel)


@pytest.fixture(scope="module")
def learned(stores):
    return trained_prompts(stores, [stores.catalogue.pointer(f"finetune/dpo_policy/{TURN}")])


def asked(texts, previous=None):
    """Rows of the prompt contract."""
    rows = [
        {"prompt_id": name, "text": text, "previous_turns": (previous or {}).get(name)}
        for name, text in texts.items()
    ]
    return pa.Table.from_pylist(rows, schema=PROMPT)


def unseen(stores, prompts, trained):
    table = stores.derived.write(prompts, sort_by=["prompt_id"])
    return {each.prompt_id for each in unseen_prompts(stores, table.digest, trained=trained)}


def test_what_a_policy_was_trained_on_are_its_snapshots_training_prompts(stores, learned):
    name = stores.catalogue.pointer(f"preferences/preference_snapshot/{TURN}")
    pairs = open_snapshot(stores, SnapshotId(name), GENERAL).pairs
    train = pairs.filter(pc.equal(pairs["split"], "train"))
    assert sorted(learned["prompt_id"].to_pylist()) == sorted(set(train["prompt_id"].to_pylist()))
    assert learned.num_rows
    base = stores.catalogue.pointer("backbone")
    assert trained_prompts(stores, [base]).num_rows == 0


def test_a_turn_loses_no_prompt_that_training_left_out(stores, learned):
    prompts = stores.catalogue.pointer(f"artifacts/prompts/{TURN}")
    before = unseen_prompts(stores, prompts)
    assert unseen_prompts(stores, prompts, trained=learned) == before
    assert not {each.prompt_id for each in before} & set(learned["prompt_id"].to_pylist())


def test_what_follows_a_trained_prompt_or_nearly_agrees_with_it_is_left_out(stores):
    fresh = asked({f"n{n:03d}": f"{n} green squares" for n in range(200)})
    held = sorted(unseen(stores, fresh, None))
    assert len(held) > 10
    # Two prompts that their own table holds out: one follows a trained prompt, one copies it.
    follows, copies = held[:2]
    texts = dict(zip(fresh["prompt_id"].to_pylist(), fresh["text"].to_pylist(), strict=True))
    for last in range(1000):
        texts[copies] = " ".join([*LONG[:-1], f"end{last}"])
        if copies in unseen(stores, asked(texts), None):
            break
    trained = asked({"t1": "a red disc", "t2": " ".join(LONG)}).select(
        ["prompt_id", "text", "previous_turns"]
    )
    now = asked(texts, {follows: ["t1"]})
    assert {follows, copies} <= unseen(stores, now, None)
    assert unseen(stores, now, trained) == unseen(stores, now, None) - {follows, copies}
    assert unseen(stores, now, trained.slice(0, 0)) == unseen(stores, now, None)


def test_a_prompt_that_was_trained_on_is_left_out_whatever_a_later_table_says(stores):
    fresh = asked({f"n{n:03d}": f"{n} green squares" for n in range(200)})
    [one, *others] = sorted(unseen(stores, fresh, None))
    trained = fresh.filter(pc.equal(fresh["prompt_id"], one))
    assert unseen(stores, fresh, trained) == set(others)
