"""One account before one generation again and again does not decide what it is."""

import numpy as np
import pyarrow as pa
import pytest
from small_studio import START, studio

from data_contracts.schemas import UTC
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.signals import WeighingSettings
from pipelines.signals.drops import drop_counts

FITTED = ["mock_share", "endorse_share", "indiscriminate_share"]  # the same within 1e-9
LIKES, IDLE = 100, 150  # likes of the worst generation, each in a turn of its own; idle looks


def account(worst, items):
    """Events of one account that likes *worst* LIKES times and looks at others in between."""
    idle = np.random.default_rng(0).integers(0, items, IDLE).tolist()
    rows = [(kind, turn, worst) for turn in range(LIKES) for kind in ("impression", "like")]
    rows += [("impression", LIKES + turn, item) for turn, item in enumerate(idle)]
    n = len(rows)
    return pa.table(
        {
            "event_id": [f"x{k:06d}" for k in range(n)],
            "tenant_id": ["t0"] * n, "project_id": ["p0"] * n, "user_id": ["zz"] * n,
            "session_id": ["s"] * n, "turn": pa.array([turn for _, turn, _ in rows], pa.int32()),
            "kind": [kind for kind, _, _ in rows],
            "generation_id": [f"g{item:04d}" for _, _, item in rows],
            "surface": ["grid"] * n, "position": pa.array([0] * n, pa.int32()),
            "occurred_at": pa.array(START + np.arange(n) * 1_000_000).cast(UTC),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def bought():
    """Fifty readers' events, one account's among them, and the number of what it praises."""
    w = studio(prompts=30, users=50, shown=4000, mockers=0.2, rated=0.0, seed=3)
    worst = int(np.argmin(w.quality))
    w.events = pa.concat_tables([w.events, account(worst, w.generations.num_rows)])
    return w, worst


def test_one_account_does_not_make_the_worst_generation_a_good_one(bought):
    w, worst = bought
    fit = denoise(w.events, w.generations, None).fit
    assert fit.expected_class()[worst] < 0.2
    heard = WeighingSettings(keep=("repeated",))
    believed = denoise(w.events, w.generations, None, settings=DenoiseSettings(weighing=heard)).fit
    assert believed.expected_class()[worst] > 0.8, "the account gives up; the test shows nothing"


@pytest.mark.parametrize("every", [True, False])
def test_repeats_weigh_the_same_in_memory_and_on_disk(bought, every):
    w, _ = bought
    weighing = WeighingSettings(user_floor=60, tenant_share=0.9)
    whole, parted = (
        denoise(
            w.events, w.generations, None,
            settings=DenoiseSettings(all_pairs=every, weighing=weighing, memory_limit=limit),
        )
        for limit in (None, 16_000_000)
    )  # fmt: skip
    np.testing.assert_allclose(parted.fit.posterior, whole.fit.posterior, rtol=0, atol=1e-9)
    assert parted.users.drop_columns(FITTED).equals(whole.users.drop_columns(FITTED))
    assert drop_counts(parted.drops) == drop_counts(whole.drops)
    assert drop_counts(whole.drops)["repeated"] >= LIKES - 3
    (mine,) = (row for row in whole.users.to_pylist() if row["user_id"] == "zz")
    assert mine["reason"] == "cap"
    assert 0 < mine["weight"] < 1
