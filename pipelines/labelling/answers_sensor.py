"""A turn of the wheel with people: ask, wait for their answers, then learn.

No `from __future__ import annotations`: Dagster resolves annotations at run time.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import dagster as dg
import numpy as np
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from data_contracts.errors import FlywheelError
from pipelines.assets.turns import TURNS
from pipelines.labelling.desk import LabelStudioDesk, tasks_of
from pipelines.labelling.gold import gold_of
from pipelines.labelling.ledger import open_assignments, open_ledger
from pipelines.labelling.push import push_assignments
from pipelines.labelling.quality_figures import standing_figures, told_in_numbers
from pipelines.labelling.service import client_of
from pipelines.labelling.sync import annotations_of, sync_answers
from pipelines.labelling.waking import woken_at
from pipelines.stores import open_stores

_TASKS: Final = dg.AssetKey(["annotation", "annotation_tasks"])
_GLANCE_S: Final = 5  # between two looks at whether something was answered, which cost nothing
_POLL_S: Final = 30.0  # between two polls, though nobody was heard to answer
_ASKED: Final = dg.AssetSelection.assets(_TASKS).upstream().required_multi_asset_neighbors()

ask_job = dg.define_asset_job(
    "ask",
    selection=_ASKED,
    partitions_def=TURNS,
    executor_def=dg.in_process_executor,
    description="The first half of a turn: from a delivery to tasks in Label Studio.",
)


def learn_job_of(assets: dg.AssetSelection) -> UnresolvedAssetJobDefinition:
    """Return the job that makes what a turn makes of *assets* after the answers came."""
    return dg.define_asset_job(
        "learn",
        selection=assets - _ASKED,
        partitions_def=TURNS,
        executor_def=dg.in_process_executor,
        description="The second half of a turn: from annotators' answers to a released policy.",
    )


def answers_sensor(
    root: Path,
    learn: UnresolvedAssetJobDefinition | None = None,
    *,
    clock: Callable[[], float] = time.time,
) -> dg.SensorDefinition:
    """Return a sensor that pulls answers, asks another round, and goes on when all is settled.

    It pulls as soon as the door heard an answer, and twice a minute in any case.
    """

    @dg.sensor(
        job=learn or learn_job_of(dg.AssetSelection.all()),
        name="answers_arrived",
        minimum_interval_seconds=_GLANCE_S,
        description="Pulls annotators' answers, asks another round, learns when all is settled.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def answers_arrived(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        asked = context.instance.get_materialized_partitions(_TASKS)
        learned = context.instance.get_materialized_partitions(
            dg.AssetKey(["annotation", "annotations"])
        )
        turns = sorted(asked - learned)
        if not turns:
            return dg.SkipReason("no turn waits for answers")
        now, polled = clock(), float(context.cursor or 0)
        # A second's grace: what was answered while the last poll began may have escaped it.
        heard = woken_at(root) > polled - 1.0
        if polled <= now < polled + _POLL_S and not heard:
            return dg.SkipReason("nobody answered since the last look")
        context.update_cursor(str(now))
        try:
            client = client_of(root)
            synced = sync_answers(root, client)
            # What a day's budget held back, or a push that died left over.
            push_assignments(root, client)
        except FlywheelError as error:
            # A server that is down is no failure: people go on when it is up again.
            return dg.SkipReason(str(error))
        desk = LabelStudioDesk(root=str(root))
        stores, ledger = open_stores(root), open_ledger(root)
        left = {
            turn: desk.ask_more(turn, tasks_of(stores, turn)) or open_assignments(ledger, turn)
            for turn in turns
        }
        done = [turn for turn, count in left.items() if count == 0]
        waiting = ", ".join(f"{turn}: {count}" for turn, count in left.items())
        seen = _observed(root, turns) if synced.accepted or synced.deleted else []
        if not done:
            said = f"{synced.accepted} new answers; still to be given, {waiting}"
            return dg.SensorResult(skip_reason=said, asset_events=seen)
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"learn-{t}", partition_key=t) for t in done],
            asset_events=seen,
        )

    return answers_arrived


def _observed(root: Path, turns: Sequence[str]) -> list[dg.AssetObservation]:
    """Say how annotators do, while a turn still waits for answers: plotted over time by Dagster."""
    ledger = open_ledger(root)
    known = gold_of(ledger)
    return [
        dg.AssetObservation(
            ["annotation", "annotations"],
            partition=turn,
            metadata=told_in_numbers(
                standing_figures(
                    annotations_of(ledger, turn), gold=known, rng=np.random.default_rng(0)
                )
            ),
        )
        for turn in turns
    ]
