"""The demo: every arm turns a wheel of its own in the same simulated studio; one report."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from data_contracts.errors import FlywheelError
from pipelines.code_version import code_version
from pipelines.demo_report import demo_figures
from pipelines.memory import KEEP_MEMORY, PeakMemory
from pipelines.settings import WheelSettings, conf_folder, read_settings, write_resolved
from pipelines.stores.digests import json_digest

FEW_ARMS: Final = ("base", "naive", "ours")
ANNOTATED_ARMS: Final = ("base", "ours")  # with a real server: each wheel has one of its own
ALL_ARMS: Final = (
    "base", "naive", "sft_only", "explicit_only", "shuffled", "oracle", "ours",
)  # fmt: skip
# What an arm changes; everything else is the same for all.
_CHANGES: Final[dict[str, dict[str, Any]]] = {
    "base": {},
    "ours": {},
    "naive": {"pairs": {"making": "naive"}},
    "sft_only": {"method": "sft_only"},
    "explicit_only": {"pairs": {"making": "explicit_only"}},
    "shuffled": {"pairs": {"making": "shuffled"}},
    "oracle": {"pairs": {"making": "oracle"}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `flywheel demo` was asked for."""

    root: Path = Path(".flywheel/demo")
    reports: Path = Path("reports")
    seeds: list[int] = field(default_factory=lambda: [7])
    mockery: float | None = None
    all_arms: bool = False
    arms: tuple[str, ...] = ()  # these alone; empty leaves the choice to *all_arms*
    nano: bool = False
    films: bool = False  # instead of pictures
    label_studio: bool = False  # the simulated annotators answer through a real server
    turns: int = 2
    settings: Path | None = None
    parallel: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One wheel to turn."""

    name: str
    seed: int
    root: Path
    turns: int  # 0: only scored


def run_demo(options: DemoOptions) -> Path:
    """Turn every arm's wheel and write reports/demo.json and demo.html.

    A wheel that stands already with the same settings and code is not turned again, so an
    interrupted demo goes on where it stopped.

    Returns:
        The page.

    Raises:
        FlywheelError: an arm failed; the sentence names it.
    """
    # matplotlib and the templates are needed at the end only.
    from pipelines.report import write_report

    started = time.perf_counter()
    settings = demo_settings(options)
    arms = list(_arms(options, settings))
    console = Console(stderr=True)
    with PeakMemory() as memory:
        try:
            _turn_all(arms, options, console)
        finally:
            _take_down(arms)
    demo = demo_figures(
        [(arm.name, arm.seed, arm.root) for arm in arms],
        settings=settings,
        turns=options.turns,
        memory_peak_mb=memory.peak_mb,
        wall_seconds=round(time.perf_counter() - started, 1),
        command=_command(options),
    )
    return write_report(demo, options.reports).page


def _take_down(arms: Sequence[Arm]) -> None:
    """Stop the Label Studio of each wheel that has one; its data stays."""
    from pipelines.labelling.service import server_folder, take_down

    for arm in arms:
        if server_folder(arm.root).is_dir():
            take_down(arm.root)


def demo_settings(options: DemoOptions) -> WheelSettings:
    """Return the settings that all arms share, before each arm's own change."""
    if options.settings is not None:
        settings = read_settings(options.settings, evidence="simulated")
    else:
        name = "nano.toml" if options.nano else "films.toml" if options.films else "demo.toml"
        settings = read_settings(conf_folder() / name, evidence="simulated")
    if options.films:
        studio = settings.studio.model_dump() | {"modality": "video"}
        settings = WheelSettings.model_validate(settings.model_dump() | {"studio": studio})
    if options.label_studio:
        settings = WheelSettings.model_validate(settings.model_dump() | {"desk": "seated"})
    if options.mockery is None:
        return settings
    studio = settings.studio.model_dump() | {"mockery": options.mockery}
    return WheelSettings.model_validate(settings.model_dump() | {"studio": studio})


def _arms(options: DemoOptions, settings: WheelSettings) -> Iterator[Arm]:
    few = ANNOTATED_ARMS if options.label_studio else FEW_ARMS
    names = options.arms or (ALL_ARMS if options.all_arms else few)
    for seed in options.seeds:
        for name in names:
            told = settings.model_dump() | {"name": name, "seed": seed}
            for part, change in _CHANGES[name].items():
                told[part] = told[part] | change if isinstance(change, dict) else change
            for part in ("sft", "dpo", "reward", "aspects"):
                told[part] = told[part] | {"seed": seed}
            resolved = WheelSettings.model_validate(told)
            # Another setting or other code is another wheel: nothing stale is ever reported.
            mark = json_digest([resolved.digest, code_version(), options.turns])[:8]
            root = options.root / f"{name}-{seed}-{mark}"
            write_resolved(resolved, root)
            _point(options.root / f"{name}-{seed}", root)
            yield Arm(name=name, seed=seed, root=root, turns=0 if name == "base" else options.turns)


def _point(link: Path, root: Path) -> None:
    """Let the plain name lead to the newest wheel."""
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(root.name)


def _turn_all(arms: Sequence[Arm], options: DemoOptions, console: Console) -> None:
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=28),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    # What is only scored first, so that the wheels end together.
    order = sorted(arms, key=lambda arm: (arm.turns != 0, arm.name != "ours"))
    with Progress(*columns, console=console) as bar:
        tasks = {
            id(arm): bar.add_task(f"{arm.name} (seed {arm.seed})", total=1000, now="waiting")
            for arm in order
        }
        with ThreadPoolExecutor(max_workers=options.parallel) as pool:
            failures = [
                f for f in pool.map(lambda a: _turn_one(a, options, bar, tasks[id(a)]), order) if f
            ]
    if failures:
        raise FlywheelError("; ".join(failures))


_WEIGHTS: Final = {"serve": 0.2, "assets": 0.65, "score": 0.15}
_BEFORE: Final = {"serve": 0.0, "served": 0.0, "assets": 0.2, "score": 0.85}


def _turn_one(arm: Arm, options: DemoOptions, bar: Progress, task: TaskID) -> str | None:
    """Run one arm's process and follow it; return what went wrong, or None."""
    now = ""

    def show(completed: float, doing: str) -> None:
        nonlocal now
        bar.update(task, completed=completed, now=doing)
        # A pipe or a log has no bars: there each new step is a line.
        if not bar.console.is_terminal and doing != now:
            bar.console.print(f"{arm.name} (seed {arm.seed}) {completed / 10:3.0f} % {doing}")
        now = doing

    command = [
        sys.executable, "-m", "pipelines.wheel", str(arm.root), "--turns", str(arm.turns),
        "--deliveries", str(options.root / "deliveries"),
    ]  # fmt: skip
    show(0, "starting")
    failed = f"{arm.name} (seed {arm.seed}) ended early; see {arm.root.name}/wheel.log"
    environment = os.environ | KEEP_MEMORY
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if told["stage"] == "done":
                show(1000, "done")
                failed = ""
            elif told["stage"] == "failed":
                failed = f"{arm.name} (seed {arm.seed}): {told['error']}"
            else:
                show(1000 * _share(arm, told), _now(told))
    return failed or None


def _share(arm: Arm, told: dict[str, Any]) -> float:
    part = told["done"] / max(told["total"], 1)
    stage = _BEFORE[told["stage"]] + _WEIGHTS.get(told["stage"], 0.0) * min(part, 1.0)
    if arm.turns == 0:
        return float(min(part, 1.0))
    return float((told["turn"] - 1 + stage) / arm.turns)


def _now(told: dict[str, Any]) -> str:
    words = {"serve": "sampling and showing", "served": "showing", "score": "scoring"}
    step = (told.get("now") or [""])[0].split("__")[-1]
    what = words.get(told["stage"], step.replace("_", " ")) or "working"
    return f"turn {told['turn']}: {what}" if told["turn"] else what


def _command(options: DemoOptions) -> str:
    words = ["flywheel demo"]
    if options.all_arms:
        words.append("--all-arms")
    if options.nano:
        words.append("--nano")
    if options.films:
        words.append("--films")
    if options.label_studio:
        words.append("--label-studio")
    if options.mockery is not None:
        words.append(f"--mockery {options.mockery:g}")
    words += [f"--seed {seed}" for seed in options.seeds if options.seeds != [7]]
    return " ".join(words)
