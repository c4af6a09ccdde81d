"""Dagster's page tells an engineer what everything is, each asset in words of its own."""

from collections import Counter

import pytest

from pipelines.definitions import build_definitions
from pipelines.settings import WheelSettings, write_resolved


@pytest.fixture(scope="module")
def definitions(tmp_path_factory):
    root = tmp_path_factory.mktemp("wheel")
    write_resolved(WheelSettings(), root)
    return build_definitions(root)


def test_every_asset_has_a_description_that_no_other_has(definitions):
    said = {
        node.key.to_user_string(): node.description
        for node in definitions.resolve_asset_graph().asset_nodes
    }
    assert len(said) > 30
    assert [key for key, words in said.items() if not words] == []
    assert [words for words, times in Counter(said.values()).items() if times > 1] == []


def test_every_table_says_what_it_is_kept_as(definitions):
    plain = {
        node.key.to_user_string()
        for node in definitions.resolve_asset_graph().asset_nodes
        if not node.kinds
    }
    assert plain == {
        "backbone/backbone", "finetune/released_policy", "preferences/preference_snapshot",
        "reward_models/aspect_model_report", "reward_models/reward_model_report",
    }  # fmt: skip


def test_every_job_check_and_sensor_has_a_description(definitions):
    jobs = [job for job in definitions.jobs if job.name != "__ASSET_JOB"]
    checks = [spec for each in definitions.asset_checks for spec in each.check_specs]
    assert {job.name for job in jobs} >= {"turn", "post_training", "other_reward_model", "landing"}
    assert checks
    named = [*jobs, *definitions.sensors, *checks]
    assert [each.name for each in named if not each.description] == []
