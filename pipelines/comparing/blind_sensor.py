"""The wheel asks people by itself: a candidate that only lacks their word is compared blindly.

No `from __future__ import annotations`: Dagster resolves annotations at run time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId
from pipelines.comparing.asking import Asked, ask_people, take_answers
from pipelines.labelling.service import client_of
from pipelines.releasing import POLICY
from pipelines.settings import read_resolved
from pipelines.stores import Stores, asset_partitions, open_stores

SENSOR: Final = "people_compare"
_POLICY: Final = "finetune/dpo_policy"
_OF_PEOPLE: Final = {"human", "calibration"}  # rules of the gate that only blind answers satisfy


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A candidate that passed everything that its report could ask without people."""

    turn: str
    candidate: CheckpointId
    champion: CheckpointId


def candidate_due(stores: Stores) -> Due | None:
    """Return the newest turn's candidate if it lacks nothing but people's word; None otherwise.

    An older turn's candidate is not asked about any more, nor one whose report compares with
    another policy than the one that is released now: the gate would not count the answers.
    """
    reports = {
        turn: stores.root / "jobs" / f"{turn}-policy_report.result.json"
        for turn in asset_partitions(stores, _POLICY)
    }
    turn = max((turn for turn, file in reports.items() if file.is_file()), default=None)
    if turn is None:
        return None
    report = json.loads(reports[turn].read_text("utf-8"))
    failed = {f["rule"] for f in report["findings"] if not f["passed"]}
    released, candidate = stores.catalogue.release(POLICY), report["candidate"]
    if (
        not failed <= _OF_PEOPLE
        or candidate != stores.catalogue.pointer(f"{_POLICY}/{turn}")
        or released is None
        or released == candidate
        or released != report["champion"]
    ):
        return None
    return Due(turn=turn, candidate=CheckpointId(candidate), champion=released)


def blind_sensor(root: Path) -> dg.SensorDefinition:
    """Return a sensor that asks people about a candidate, and says how far they are."""

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=60,
        description="Gives annotators the blind comparison of a candidate that passed its report, "
        "once, within [queue] blind; pulls their answers to where the gate looks.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        asset_selection=dg.AssetSelection.assets(["finetune", "policy_report"]),
    )
    def people_compare(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        budget = read_resolved(root).queue.blind
        stores = open_stores(root)
        due = candidate_due(stores) if budget else None
        if due is None:
            return dg.SkipReason("no candidate waits for people")
        try:
            client, pair = client_of(root), (due.candidate, due.champion)
            new = ask_people(stores, *pair, client, most=budget)
            asked = take_answers(stores, *pair, client, by=SENSOR, at=datetime.now(UTC))
        except FlywheelError as error:
            # A server that is down, or nobody seated yet: people go on when it is up again.
            return dg.SkipReason(str(error))
        told = told_of(due, asked, needed=read_resolved(root).gate.min_human_prompts)
        said = json.dumps(told, sort_keys=True)
        seen = dg.AssetObservation(
            ["finetune", "policy_report"], partition=due.turn, metadata=dict(told)
        )
        return dg.SensorResult(
            skip_reason=f"{new} new tasks; {asked.answered} of {asked.given} answered",
            asset_events=[] if said == context.cursor else [seen],
            cursor=said,
        )

    return people_compare


def told_of(due: Due, asked: Asked, *, needed: int) -> Mapping[str, Any]:
    """Return what Dagster's page shows of a blind comparison, each figure under a name."""
    told: dict[str, Any] = {
        "blind_candidate": due.candidate,
        "blind_champion": due.champion,
        "blind_questions": asked.questions,
        "blind_questions_given": asked.covered,
        "blind_given": asked.given,
        "blind_answered": asked.answered,
        "blind_quarantined": asked.quarantined,
        "blind_prompts_needed": needed,
    }
    if asked.covered < needed:
        told["blind_too_few"] = (
            f"what was given out covers {asked.covered} prompts and the gate wants {needed}; "
            "deliver more prompts, or raise [queue] blind"
        )
    if asked.human is not None:
        share = asked.human.win_share
        told |= {
            "blind_prompts_answered": asked.human.prompts,
            "blind_win_share": share.mean,
            "blind_win_share_low": share.low,
            "blind_win_share_high": share.high,
        }
        if asked.human.prompts >= needed:
            told["blind_next"] = f"flywheel promote {due.candidate[:12]}"
    return told
