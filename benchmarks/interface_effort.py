"""Claim: a picture pair takes at most six keys for its choice and three ratings.

    python -m benchmarks.interface_effort --out benchmarks/results/interface_effort.json

A program sits down as somebody would who was only given the link: opens it, which signs them in
and shows the first task, closes the guidelines, answers everything that the interface asks with a
key each, submits, and takes the next interface from the page of its own progress. Keys and clicks
are counted by the page that receives them. Its seconds are the machine's, never a person's: they
say how long pages take, not how long anybody thinks.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotation.interfaces import INTERFACES, Interface, interface_named
from annotation.interfaces.controls import REASON_KEYS, VERDICTS, WRITE_KEY, side_choices
from benchmarks.label_studio_rates import environment, quiet
from pipelines.labelling.ledger import open_ledger
from pipelines.labelling.planning import Original, Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.service import bring_up, client_of, free_port, take_down
from pipelines.labelling.sync import sync_answers
from pipelines.stores import open_stores

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/annotation/label_studio"))
from answering import assignments
from browsing import FRAMES, RATE, SUBMIT, Seat, film, picture, png

EVERY = INTERFACES
MOST_KEYS = 6  # of a picture pair
STARS = 3  # of five: what a critique is given on each aspect
# Trusted events alone: what the editor dispatches itself is nobody's work. A held key is one.
_COUNTED = """for (const [kind, name] of [["keydown", "keys"], ["pointerdown", "clicks"]])
    window.addEventListener(kind, event => {
        if (!event.isTrusted || event.repeat) return;
        sessionStorage[name] = Number(sessionStorage[name] ?? 0) + 1;
    }, true);"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, print, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shots", type=Path, help="Keep a picture of every page here.")
    told = parser.parse_args(arguments)
    # Whoever stops this stops the server with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            service = bring_up(
                root, ["ann-1"], EVERY, port=free_port(), url=None, bars=quiet, outlives=False
            )
            found = _worked(root, _asked(root), service.links[0].url, told.shots)
        finally:
            take_down(root)
    whole = {
        "claim": (__doc__ or "").splitlines()[0],
        **found,
        "bar_keys_of_a_picture_pair": MOST_KEYS,
        "met": found["interfaces"]["pair_image"]["keys"] <= MOST_KEYS,
        "environment": environment(),
    }
    print(json.dumps(whole, indent=1))
    if told.out:
        told.out.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")


def keys_of(interface: Interface) -> list[str]:
    """Return the keys that answer everything an interface asks, drawing and writing aside.

    Of an edit they are those into the text and out of it, one character, and one reason.
    """
    if interface.form == "edit":
        return [WRITE_KEY, "x", "Escape", REASON_KEYS[0]]
    if interface.form == "critique":
        return [str(n) for n in range(1, len(interface.aspects) + 1) for _ in range(STARS)]
    rows = [side_choices(row)[0].key for row in range(len(interface.aspects))]
    return [VERDICTS[0].key, *rows]


def _asked(root: Path) -> dict[str, Any]:
    """Send one question of each interface; return its assignment."""
    blobs = open_stores(root).blobs
    shown = {
        "image": blobs.put_many([png(picture(0)), png(picture(90))]),
        "video": [blobs.put(film())] * 2,
        "text": [None, None],
    }
    questions = []
    for name in EVERY:
        form, modality = name.split("_")
        text = "The disc rests on the floor. " * 12 if modality == "text" else None
        sides = [
            Shown(generation_id=f"{name}_{n}", modality=modality, blob=digest, text=text,
                  frames=FRAMES, fps=RATE)
            for n, digest in enumerate(shown[modality])
        ]  # fmt: skip
        asked = Original(tenant_id="studio", project_id="effort", prompt_id="effort")
        questions.append(
            Question(
                task_id=name, prompt="a red disc on the floor", first=sides[0],
                other=None if form in ("critique", "edit") else sides[1], blind=form == "blind",
                original=asked if form == "edit" else None,
            )
        )  # fmt: skip
    ledger = open_ledger(root)
    plan_assignments(ledger, "effort", questions, overlap=1)
    push_assignments(root, client_of(root))
    return {row.interface: row for row in assignments(ledger, "effort")}


def _worked(root: Path, given: dict[str, Any], link: str, shots: Path | None) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        seat = Seat(browser, root, given["pair_image"])
        seat.page.add_init_script(_COUNTED)
        loads: list[str] = []
        seat.page.on("framenavigated", lambda frame: loads.append(frame.url))
        first = _first(seat, given, link, loads, shots)
        each = {first["interface"]: _answered(seat, first["interface"], shots)}
        for name in EVERY:
            if name not in each:
                seat.task = given[name]
                _begin(seat)
                each[name] = _answered(seat, name, shots)
        errors = len(seat.errors)
        seat.close()
        browser.close()
    read = sync_answers(root, client_of(root))
    return {
        "first_comparison": first,
        "interfaces": each,
        "answers_accepted": read.accepted,
        "answers_quarantined": read.quarantined,
        "script_errors": errors,
    }


def _first(
    seat: Seat, given: dict[str, Any], link: str, loads: list[str], shots: Path | None
) -> dict[str, Any]:
    """Go from the link to a first task that can be answered, whichever comes first."""
    begin = time.perf_counter()
    seat.page.goto(link)
    seat.page.wait_for_selector("text=Escape closes this", timeout=60_000)
    shown_s = time.perf_counter() - begin
    seat.task = next(
        task for task in given.values() if f"/projects/{task.project_id}/" in seat.page.url
    )
    seat.wait()
    _shoot(seat, shots, "1-guidelines")
    seat.close_guidelines()
    ready_s = time.perf_counter() - begin
    _shoot(seat, shots, "2-first-task")
    return {
        "interface": seat.task.interface,
        "machine_s_to_the_guidelines": round(shown_s, 2),
        "machine_s_to_a_first_task": round(ready_s, 2),
        "page_loads": len(loads),
        "clicks": 0,
        "fields_to_fill": 0,
        "keys": 1,  # Escape closes the guidelines
    }


def _begin(seat: Seat) -> None:
    seat.page.goto(f"{seat._url}/progress")
    _follow(seat)
    seat.close_guidelines()


def _follow(seat: Seat) -> None:
    seat.page.click(f"a[href*='/projects/{seat.task.project_id}/']")
    seat.wait()


def _answered(seat: Seat, name: str, shots: Path | None) -> dict[str, int]:
    """Answer what is asked and submit; return the keys and clicks that it took."""
    seat.page.evaluate("sessionStorage.keys = sessionStorage.clicks = 0")
    seat.press(*keys_of(interface_named(name)))
    _shoot(seat, shots, name)
    counted = "[sessionStorage.keys, sessionStorage.clicks].map(Number)"
    keys, clicks = seat.page.evaluate(counted)
    seat.submit()
    return {"keys": keys + len(SUBMIT.split("+")), "clicks": clicks}


def _shoot(seat: Seat, shots: Path | None, name: str) -> None:
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
        seat.page.screenshot(path=shots / f"{name}.png")


if __name__ == "__main__":
    main()
