"""Public sets in the layout of the real ones, a few rows each, every row sound."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

OBD_LOGS = [f"{policy}_{campaign}" for policy in ("random", "bts") for campaign in ("men", "women")]
PLACES = ["Shown", "Replay", "Accepted", "Shown", "Rejected", "Shown", "Browsing", "Accepted"]


def _table(rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def agiqa3k() -> dict[str, str]:
    """Two models drew one prompt."""
    text = {"prompt": "a disc", "adj1": "red", "adj2": "", "style": ""}
    marks = {"mos_quality": 2.5, "std_quality": 0.5, "mos_align": 3.5, "std_align": 0.75}
    names = ["sd1.5_normal_000.jpg", "DALLE2_normal_000.jpg"]
    return {"data.csv": _table([{"name": name, **text, **marks} for name in names])}


def copilot_cups() -> dict[str, str]:
    """One session: two suggestions accepted, one of them leafed to, and one rejected."""
    rows = [
        {
            "session": 0, "UserId": 0, "TimeGenerated": f"2022-08-08T16:05:{n:02}.5Z",
            "StateName": state, "Task": "Classes",
            "CurrentSuggestion": json.dumps(f"x = {PLACES[: n + 1].count('Shown') + (n > 5)}"),
            "edit_pct_4": 0.25,
        }
        for n, state in enumerate(PLACES)
    ]  # fmt: skip
    return {"cups_events.csv.gz": _table(rows)}


def fetv() -> dict[str, str]:
    """Two people rated two videos of one prompt."""
    rows = [
        {
            "rater": rater, "model": model, "prompt_idx": 0, "video_id": "video1",
            "static_quality": 4, "temporal_quality": 3, "alignment": 2,
            "fine-grained_alignment": '{"color": 3}',
        }
        for rater in ("human0", "human1")
        for model in ("cogvideo", "ground-truth")
    ]  # fmt: skip
    return {
        "fetv_human_ratings.csv": _table(rows),
        "fetv_data.json": _lines([{"video_id": "video1", "prompt": "a red disc rolls"}]),
    }


def geneval_human() -> dict[str, str]:
    """Five people looked at one image for each of three kinds of prompt."""
    asked = [
        {"tag": "counting", "include": [{"class": "disc", "count": 2}], "prompt": "two discs"},
        {"tag": "colors", "include": [{"class": "disc", "count": 1, "color": "red"}],
         "prompt": "a red disc"},
        {"tag": "position", "include": [{"class": "disc", "count": 1},
         {"class": "cube", "count": 1, "position": ["left of", 0]}],
         "prompt": "a cube left of a disc"},
    ]  # fmt: skip
    rows = [
        {
            "t2i_model": "sdv2", "prompt_id": prompt, "image_id": 1, "ans_count-0": "2.0",
            "ans_count-1": "1.0" if prompt == 2 else "", "ans_color-0": "red|white",
            "ans_color-1": "", "ans_position-x": "left", "ans_position-y": "neither_y",
            "ans_quality": "4.0", "ans_real-0": "3.0", "ans_real-1": "", "ans_ee": 12.5,
        }
        for prompt in range(3)
        for _ in range(5)
    ]  # fmt: skip
    return {
        "geneval_annotations_clean.csv": _table(rows),
        "evaluation_metadata.jsonl": _lines(asked),
    }


def iiw_sxs() -> dict[str, str]:
    """One image under two of the questions."""
    rows = [
        {"source": "DOCCI", "comparison": "IIW vs DOCCI", "image": "test_1", "metric": metric,
         "verdict": verdict}
        for metric, verdict in (("Specificity", "IIW is marginally better"),
                                ("Hallucination", "Neutral"))
    ]  # fmt: skip
    text = {"IIW": "a disc", "IIW-P5B": "a cube", "DOCCI": "a thing", "image": "test_1"}
    return {
        "iiw_sxs.csv": _table(rows),
        "IIW-400.jsonl": _lines([{**text, "image/key": "test_2"}]),
        "DCI_Test.jsonl": _lines([text]),
        "DOCCI_Test.jsonl": _lines([text]),
    }


def imagenhub() -> dict[str, str]:
    """Three people rated two models' images."""
    rows = [
        {"task": "Text-To-Image", "uid": "sample_0.jpg", "model": model, "rater": f"rater{n}",
         "SC": "0.5", "PQ": "1.0"}
        for model in ("SDXL", "SD") for n in (1, 2, 3)
    ]  # fmt: skip
    return {"imagenhub_ratings.csv": _table(rows)}


def imagereward_test() -> dict[str, str]:
    """Two prompts with three images each, one with a tie."""
    rows = [
        {"id": f"{n}", "prompt": "a disc", "generations": [f"{n}/{m}.webp" for m in range(3)],
         "ranking": [1, 2, 2 + n]}
        for n in (0, 1)
    ]  # fmt: skip
    return {"test.json": json.dumps(rows)}


def lamp_writing() -> dict[str, str]:
    """Two writers edited one passage."""
    rows = [
        {
            "id": f"{writer}_1", "instruction": "Write of rain.", "source": "gpt4o",
            "preedit": "Rain fell like rain.", "postedit": f"Rain fell, {writer}.",
            "fine_grained_edits": [{"categorization": "Cliche", "originalText": " like rain",
                                    "editedText": f", {writer}"}],
            "creativity_scores": ["3", "5"], "writer": writer,
        }
        for writer in ("W1", "W2")
    ]  # fmt: skip
    return {"reannotation_edits.jsonl.gz": _lines(rows)}


def llmbar() -> dict[str, str]:
    """Two machines judged two pairs in both orders."""
    items = [
        {"subset": "Natural", "item": n, "label": 1, "input": f"Say {n}.", "output_1": f"{n}",
         "output_2": "no"}
        for n in (0, 1)
    ]  # fmt: skip
    rows = [
        {"subset": "Natural", "item": n, "judge": judge, "strategy": "CoT", "label": 1,
         "winner": "1.0", "winner_swapped": "2.0"}
        for judge in ("GPT-4", "Falcon") for n in (0, 1)
    ]  # fmt: skip
    return {"items.jsonl.gz": _lines(items), "judgements.csv.gz": _table(rows)}


def llmfao() -> dict[str, str]:
    """Two workers and two machines compared two answers."""
    vote = {"id": 0, "prompt": 8, "model_x": 1, "model_y": 2, "winner": "left"}
    made = [
        {"prompt": 8, "model": n, "result": f"answer {n}", "name": f"Model {n}"} for n in (1, 2)
    ]
    return {
        "crowd-comparisons.csv": _table([{**vote, "worker": n} for n in (5, 6)]),
        "gpt3-crowd-comparisons.csv": _table([vote]),
        "gpt4-crowd-comparisons.csv": _table([vote]),
        "prompts.jsonl": _lines([{"id": 8, "text": "Argue."}]),
        "results.jsonl": _lines(made),
    }


def obd_small() -> dict[str, str]:
    """Two impressions a log, one clicked."""
    rows = [
        {"timestamp": f"2019-11-24 00:01:0{n}.5+00:00", "item_id": n, "position": n + 1,
         "click": n, "propensity_score": "0.5"}
        for n in (0, 1)
    ]  # fmt: skip
    items = [{"item_id": n} for n in (0, 1)]
    return {f"{name}.csv.gz": _table(rows) for name in OBD_LOGS} | {
        f"{name}_item_context.csv": _table(items) for name in OBD_LOGS
    }


def pandalm_test() -> dict[str, str]:
    """Three people and two machines compared two pairs."""
    pairs = [
        {"idx": n, "cmp_key": "bloom-7b_llama-7b", "instruction": f"Say {n}.", "input": "now",
         "response1": f"{n}", "response2": "no", "annotator1": 1, "annotator2": 2, "annotator3": 0}
        for n in (0, 1)
    ]  # fmt: skip
    return {
        "testset-v1.json": json.dumps(pairs),
        "gpt-3.5-turbo-testset-v1.json": json.dumps(
            [{"idx": n, "gpt_result": "Tie"} for n in (0, 1)]
        ),
        "pandalm-7b-testset-v1.json": json.dumps([{"idx": n, "pandalm_result": 1} for n in (0, 1)]),
    }


SETS: dict[str, Callable[[], dict[str, str]]] = {
    make.__name__: make
    for make in (
        agiqa3k, copilot_cups, fetv, geneval_human, iiw_sxs, imagenhub, imagereward_test,
        lamp_writing, llmbar, llmfao, obd_small, pandalm_test,
    )
}  # fmt: skip


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write *files* into *folder*, packed where their name says so."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        content = text.encode()
        (folder / name).write_bytes(
            gzip.compress(content, mtime=0) if name.endswith(".gz") else content
        )
    return folder
