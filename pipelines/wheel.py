"""One wheel, turned by a process of its own: serve, run the asset graph, score; again.

    python -m pipelines.wheel ROOT --turns 2

Prints one JSON object a line: what it does now, and how far it is. Everything else goes to
ROOT/wheel.log.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_contracts.errors import FlywheelError
from pipelines.settings import WheelSettings, read_resolved
from pipelines.stores import Stores, open_stores

Say = Callable[..., None]


def turn_wheel(root: Path, *, turns: int, deliveries: Path | None, say: Say) -> None:
    """Turn the wheel under *root* until it has turned *turns* times; scored after each.

    Args:
        root: the wheel's folder, with its resolved settings.
        turns: how many turns in all; those already made are kept.
        deliveries: where wheels of one studio share deliveries that are the same for all.
        say: called with what happens.

    Raises:
        FlywheelError: an asset failed; it is named.
    """
    settings = read_resolved(root)
    for number in range(1, turns + 1):
        outcome = root / "outcomes" / f"turn-{number:03d}.json"
        if outcome.is_file():
            continue
        timings = _deliver(root, settings, number, deliveries, say)
        timings |= _materialise(root, number, say)
        figures = _score(root, settings, number, final=number == turns, say=say)
        outcome.parent.mkdir(exist_ok=True)
        outcome.write_text(json.dumps(figures | {"seconds": timings}, sort_keys=True) + "\n")


def score_base(root: Path, *, say: Say) -> None:
    """Score the wheel's released policy without turning it: the arm *base*."""
    settings = read_resolved(root)
    figures = _score(root, settings, 0, final=True, say=say)
    (root / "outcomes").mkdir(exist_ok=True)
    (root / "outcomes" / "turn-000.json").write_text(json.dumps(figures, sort_keys=True) + "\n")


def _deliver(
    root: Path, settings: WheelSettings, number: int, deliveries: Path | None, say: Say
) -> dict[str, float]:
    """Let the studio's product serve one turn and put its delivery into the inbox."""
    from pipelines.assets.backbone import first_release
    from pipelines.assets.turns import turn_name
    from pipelines.inbox import Inbox

    stores, turn, started = open_stores(root), turn_name(number), time.perf_counter()
    inbox = Inbox(root)
    if turn in inbox.turns():
        return {}
    release = first_release(stores)
    folder = inbox.folder(turn)
    shared = None
    if deliveries is not None:
        shared = deliveries / f"{_delivery_key(settings, release)}-{turn}"
        with _only_one(shared.with_suffix(".lock")):
            if not (shared / "delivery.json").is_file():
                _serve(stores, settings, number, release, root, folder, say)
                shutil.copytree(folder, shared, dirs_exist_ok=True)
    if not (folder / "delivery.json").is_file():
        if shared is not None:
            say("served", turn=number, done=1, total=1)
            shutil.copytree(shared, folder, dirs_exist_ok=True)
        else:
            _serve(stores, settings, number, release, root, folder, say)
    return {"serve": round(time.perf_counter() - started, 2)}


def _delivery_key(settings: WheelSettings, release: str) -> str:
    from pipelines.stores.digests import json_digest

    studio = settings.studio.model_dump(mode="json")
    return json_digest([studio, settings.seed, release])[:24]


def _serve(
    stores: Stores,
    settings: WheelSettings,
    number: int,
    release: str,
    root: Path,
    folder: Path,
    say: Say,
) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipelines.inbox import Inbox
    from pipelines.policies import stored_policy
    from pipelines.world.serving import serve
    from pipelines.world.studio import studio_of

    studio = studio_of(settings)
    policy = stored_policy(stores, release, settings.studio.modality)
    total = min(settings.studio.prompts, 10**9) * studio.generations_per_prompt()
    done = 0

    def progress(more: int) -> None:
        nonlocal done
        done += more
        say("serve", turn=number, done=done, total=total)

    served = serve(studio, number, policy, release=release, progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    ids = served.generations["generation_id"]
    pq.write_table(
        pa.table({"generation_id": ids, "quality": served.quality.overall}),
        folder / "oracle.parquet",
    )
    visits = served.visits
    pq.write_table(
        pa.table(
            {
                "user_id": np.array([studio.user_id(int(u)) for u in visits.user]),
                "generation_id": ids.take(pa.array(visits.generation)),
                "mocks": visits.mocks,
                "downloaded": visits.acts["download"],
                "mocker": studio.population.mocker[visits.user],
                "bot": studio.population.bot[visits.user],
            }
        ),
        folder / "meant.parquet",
    )
    Inbox(root).deliver(
        folder.name,
        prompts=served.prompts,
        generations=served.generations,
        media=served.media,
        events=served.events,
        skills=served.skills,
    )


def _materialise(root: Path, number: int, say: Say) -> dict[str, float]:
    """Run the asset graph for one turn in this process; training runs in its own."""
    import dagster as dg

    from pipelines.assets.turns import turn_name
    from pipelines.definitions import build_definitions
    from pipelines.orchestrator import dagster_home, free_dead_runs, process_tag

    os.environ["DAGSTER_HOME"] = str(dagster_home(root))
    keep = read_resolved(root).keep_runs
    instance = dg.DagsterInstance.get() if keep else dg.DagsterInstance.ephemeral()
    free_dead_runs(instance)
    definitions = build_definitions(root.absolute())
    turn, run_id = turn_name(number), str(uuid.uuid4())
    instance.add_dynamic_partitions("turn", [turn])
    job = definitions.resolve_job_def("turn")
    total = len(job.graph.node_dict) if hasattr(job.graph, "node_dict") else 30
    open_now: list[str] = []
    ended = 0

    def heard(entry: Any) -> None:
        # Told by each event: asking for the steps' figures reads every event of the run again.
        nonlocal ended
        event = entry.dagster_event
        if event is None:
            return
        if event.is_step_start:
            open_now.append(event.step_key)
        elif event.is_step_success or event.is_step_failure or event.is_step_skipped:
            ended += 1
            open_now[:] = [step for step in open_now if step != event.step_key]
        else:
            return
        with contextlib.suppress(OSError):  # whoever looked on is gone: no reason to stop
            say("assets", turn=number, done=ended, total=total, now=open_now[-1:] or [""])

    instance.add_event_listener(run_id, heard)
    result = job.execute_in_process(
        instance=instance,
        partition_key=turn,
        run_id=run_id,
        tags=process_tag(),
        raise_on_error=False,
    )
    stats = instance.get_run_step_stats(run_id)
    if not result.success:
        failed = sorted(s.step_key for s in stats if s.status and s.status.value == "FAILURE")
        raise FlywheelError(
            f"{turn}: {', '.join(failed) or 'a check'} failed; see {root.name}/wheel.log, or "
            "open the run with `flywheel up`"
        )
    return {
        s.step_key: round(s.end_time - s.start_time, 2)
        for s in stats
        if s.end_time and s.start_time
    }


def _score(
    root: Path, settings: WheelSettings, number: int, *, final: bool, say: Say
) -> dict[str, Any]:
    from pipelines.outcome import turn_outcome

    return turn_outcome(
        root,
        settings,
        number,
        final=final,
        progress=lambda done, total: say("score", turn=number, done=done, total=total),
    )


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Turn one wheel, speaking JSON lines on standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--turns", type=int, default=2, help="0 only scores the shipped policy")
    parser.add_argument("--deliveries", type=Path, help="share deliveries with other wheels")
    told = parser.parse_args(arguments)
    spoken = os.fdopen(os.dup(1), "w", buffering=1)

    def say(stage: str, **more: Any) -> None:
        spoken.write(json.dumps({"stage": stage, **more}) + "\n")

    # Libraries print to both streams, from C as well; people get the JSON lines alone.
    with (told.root / "wheel.log").open("a", buffering=1) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            import torch

            torch.set_num_threads(1)  # the same sums in the same order, however busy the machine
            if told.turns == 0:
                score_base(told.root, say=say)
            else:
                turn_wheel(told.root, turns=told.turns, deliveries=told.deliveries, say=say)
        except FlywheelError as error:
            say("failed", error=str(error))
            return 1
    say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
