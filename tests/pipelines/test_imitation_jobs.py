"""What an engineer sets for DPO in a wheel that only imitates: carried over, or refused by name."""

from datetime import UTC, datetime

import pytest

from data_contracts.errors import FlywheelError
from finetune.config import DpoConfig, SftConfig
from pipelines.post_training import ASSETS, SNAPSHOT, resolve_job
from pipelines.settings import WheelSettings
from pipelines.stores import open_stores

TURN = "turn-001"
SETTINGS = WheelSettings(
    method="sft_only",
    sft=SftConfig(batch_size=16, max_steps=40, seed=7),
    dpo=DpoConfig(batch_size=24, max_steps=10),
)


@pytest.fixture
def resolve(tmp_path):
    """Everything that a job needs stands."""
    stores = open_stores(tmp_path)
    for asset in ("backbone/backbone", ASSETS["sft"], SNAPSHOT, "artifacts/prompts",
                  "artifacts/generations"):  # fmt: skip
        stores.catalogue.swap_pointer(
            f"{asset}/{TURN}", expected=None, new=asset, reason="", by="test",
            at=datetime(2026, 1, 2, tzinfo=UTC),
        )  # fmt: skip

    def resolved(**told):
        return resolve_job(stores, SETTINGS, kind="dpo", turn=TURN, told=told)

    return resolved


def test_the_compute_of_dpo_is_spent_on_imitation(resolve):
    """10 steps of 24 pairs, two sequences and two thirds each: 640 sequences, 40 steps of 16."""
    job = resolve(seed=None)
    assert (job.kind, job.reference) == ("sft", None)
    assert job.configuration == SETTINGS.sft.model_dump() | {"max_steps": 40}


def test_what_imitation_knows_is_carried_over(resolve):
    told = {"seed": 5, "learning_rate": 1e-5, "device": "cpu", "expected_world_size": 2}
    assert resolve(**told).configuration == SETTINGS.sft.model_dump() | told | {"max_steps": 40}


def test_more_steps_and_larger_batches_keep_the_compute_equal(resolve):
    """20 steps of 24 pairs are 1,280 sequences; of 32 pairs, 10 are 853, in steps of 32."""
    assert resolve(max_steps=20).configuration["max_steps"] == 80
    larger = resolve(batch_size=32).configuration
    assert (larger["batch_size"], larger["max_steps"]) == (32, 27)


def test_what_only_dpo_knows_is_refused_by_name(resolve):
    with pytest.raises(FlywheelError, match="beta, choice_below cannot be set") as raised:
        resolve(beta=0.2, choice_below=0.5, seed=5)
    assert "seed" not in str(raised.value)


def test_what_does_not_fit_imitation_is_refused_before_it_runs(resolve):
    """24 pairs part among three processes, the 16 rows of imitation do not."""
    with pytest.raises(FlywheelError, match="batch_size 16 must be a multiple"):
        resolve(expected_world_size=3)
