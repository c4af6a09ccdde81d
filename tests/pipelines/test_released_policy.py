"""The gate releases a policy over the one it was compared with, and undoes no person's rollback."""

import json
import shutil
from datetime import UTC, datetime

import dagster as dg
import pytest
from blind_pair import policy

from pipelines.assets.finetune import released_policy
from pipelines.assets.turns import TURNS
from pipelines.definitions import build_definitions
from pipelines.releasing import champion_now
from pipelines.resources import Wheel
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_stores

AT = datetime(2026, 1, 2, tzinfo=UTC)
ONE, TWO = "turn-001", "turn-002"


@pytest.fixture
def zone(tmp_path):
    """Two turns trained, nothing released but the base that both may have started from."""
    write_resolved(WheelSettings(evidence="simulated"), tmp_path)
    stores = open_stores(tmp_path)
    base, first, second = (policy(stores, value) for value in (1.0, 2.0, 3.0))
    stores.catalogue.promote("policy", base, reason="shipped", by="test", at=AT)
    for turn, candidate in ((ONE, first), (TWO, second)):
        stores.catalogue.swap_pointer(
            f"finetune/dpo_policy/{turn}", expected=None, new=candidate, reason="trained",
            by="test", at=AT,
        )  # fmt: skip
    return stores, base, first, second


def passed(stores, turn, candidate, champion):
    """Write down that the candidate of *turn* passed against *champion*."""
    (stores.root / "jobs").mkdir(exist_ok=True)
    file = stores.root / "jobs" / f"{turn}-policy_report.result.json"
    told = {"candidate": candidate, "champion": champion, "passed": True, "findings": []}
    file.write_text(json.dumps(told))


def with_turns():
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions(TURNS.name, [ONE, TWO])
    return instance


def release(stores, turn):
    """Materialise the gate for *turn*; return the run's result."""
    with with_turns() as instance:
        return dg.materialize(
            [released_policy], partition_key=turn, instance=instance,
            resources={"wheel": Wheel(root=str(stores.root))}, raise_on_error=False,
        )  # fmt: skip


def why_failed(result):
    [event] = [each for each in result.all_events if each.is_step_failure]
    return event.step_failure_data.user_failure_data.description


def actions(stores):
    return [(move.action, move.by) for move in stores.catalogue.release_history("policy")]


def test_turns_are_released_one_after_the_other_and_again_without_effect(zone):
    stores, base, first, second = zone
    passed(stores, ONE, first, base)
    passed(stores, TWO, second, first)
    assert all(release(stores, turn).success for turn in (ONE, TWO, TWO))
    assert stores.catalogue.release("policy") == second
    assert actions(stores)[1:] == [("promote", "gate")] * 2


def test_an_older_turn_is_not_released_over_what_it_was_never_compared_with(zone):
    stores, base, first, second = zone
    passed(stores, ONE, first, base)
    passed(stores, TWO, second, first)
    release(stores, ONE)
    release(stores, TWO)
    told = release(stores, ONE)
    assert "materialise policy_report" in why_failed(told)
    assert stores.catalogue.release("policy") == second


def test_of_two_turns_that_started_from_the_same_policy_only_one_is_released(zone):
    stores, base, first, second = zone
    passed(stores, ONE, first, base)
    passed(stores, TWO, second, base)
    assert release(stores, ONE).success
    told = why_failed(release(stores, TWO))
    assert f"compared with {base[:12]}, but {first[:12]} is released now" in told
    assert stores.catalogue.release("policy") == first


def test_what_a_person_rolled_back_only_a_person_promotes_again(zone):
    stores, base, first, second = zone
    passed(stores, ONE, first, base)
    passed(stores, TWO, second, first)
    release(stores, ONE)
    release(stores, TWO)
    stores.catalogue.rollback("policy", reason="draws six fingers", by="Ada", at=AT)
    result = release(stores, TWO)
    assert result.success
    assert not result.asset_materializations_for_node("finetune__released_policy")
    assert stores.catalogue.release("policy") == first
    assert actions(stores)[-1] == ("rollback", "Ada")
    stores.catalogue.promote("policy", second, reason="looked at again", by="Ada", at=AT)
    assert release(stores, TWO).success
    assert stores.catalogue.release("policy") == second


def test_a_release_between_the_check_and_the_promotion_is_not_overwritten(zone, monkeypatch):
    """Somebody promotes while the gate looks at vetoes and labels."""
    stores, base, first, second = zone
    passed(stores, ONE, first, base)

    def slow(*_given):
        stores.catalogue.promote("policy", second, reason="meanwhile", by="Ada", at=AT)
        return ()

    monkeypatch.setattr("pipelines.assets.finetune.standing_findings", slow)
    assert f"but {second[:12]} is released now" in why_failed(release(stores, ONE))
    assert stores.catalogue.release("policy") == second


def test_a_report_measures_against_what_is_released_now(zone):
    """The policy that the turn started from counts only where the candidate is released itself."""
    stores, base, first, second = zone
    assert champion_now(stores, second, started_from=base) == base
    stores.catalogue.promote("policy", first, reason="gate", by="gate", at=AT)
    assert champion_now(stores, second, started_from=base) == first
    assert champion_now(stores, first, started_from=base) == base


def test_the_report_of_a_turn_that_another_overtook_is_about_what_is_released(nano_wheel, tmp_path):
    """The turn started from the base; since then a second policy was released."""
    root = tmp_path / "wheel"
    shutil.copytree(nano_wheel, root)
    stores = open_stores(root)
    stands = stores.catalogue.pointers()
    candidate, overtook = (stands[f"finetune/{name}_policy/{ONE}"] for name in ("dpo", "sft"))
    stores.catalogue.promote("policy", overtook, reason="meanwhile", by="test", at=AT)
    made = build_definitions(root).resolve_job_def("__ASSET_JOB").execute_in_process(
        instance=with_turns(), partition_key=ONE,
        asset_selection=[dg.AssetKey(["finetune", "policy_report"])],
    )  # fmt: skip
    assert made.success
    told = json.loads((root / "jobs" / f"{ONE}-policy_report.result.json").read_text())
    assert (told["candidate"], told["champion"]) == (candidate, overtook)
