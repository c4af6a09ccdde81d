"""FETV: two people rated 3,017 videos of four models and of cameras; no pixels.

Source: Liu et al., FETV, NeurIPS 2023 Datasets and Benchmarks, arXiv:2311.01813.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import Records
from pipelines.intake.importers.sheets import account, read_csv, read_json_lines, whole_numbers

_RECORDS: Final = Records(project="fetv", modality="video")
_QUESTIONS: Final = {
    "static_quality": "aesthetics",
    "temporal_quality": "temporal_consistency",
    "alignment": "prompt_alignment",
}
_LEVELS: Final = [str(level) for level in range(1, 6)]
_ATTRIBUTES: Final = (
    "color", "quantity", "camera view", "speed", "motion direction", "event order",
)  # fmt: skip
_FINE: Final = "fine-grained_alignment"


def read_fetv(path: Path) -> Imported:
    """Read the ratings and prompts in the folder *path*; the automatic metrics are left alone.

    Three answers a row are ratings on 1..5. What a rater said of a controlled attribute (1..3)
    speaks of a part of the prompt: it is kept as *prompt_span*, and is no second rating of
    prompt alignment. "ground-truth" are real videos, each once for every prompt it was shown with.

    Notes: answers, annotators, generations, prompts, attribute_answers, real_videos.

    Raises:
        FlywheelError: a file is missing or cannot be read.
        ContractError: a column is missing.
    """
    texts = read_json_lines(path / "fetv_data.json", (), texts=("prompt",))
    known = texts.accepted["prompt"]
    columns = ("rater", "model", "prompt_idx", "video_id", *_QUESTIONS, _FINE)
    sheet = read_csv(path / "fetv_human_ratings.csv", columns)
    rows = sheet.rows
    fine = [_attributes(each) for each in rows[_FINE]]
    sheet = sheet.refuse(
        {
            "unnamed": (rows["rater"] == "") | (rows["model"] == ""),
            "unknown_prompt": ~whole_numbers(rows["prompt_idx"]).isin(known.index),
            "off_scale": ~rows[list(_QUESTIONS)].isin(_LEVELS).all(axis=1),
            "unknown_attribute": [each is None for each in fine],
        }
    )
    rows = sheet.accepted
    rows = rows.assign(
        prompt_id=_RECORDS.ids("p", rows["prompt_idx"]),
        generation_id=_RECORDS.ids("g", rows["model"], rows["prompt_idx"]),
        annotator_id=_RECORDS.ids("a", rows["rater"]),
        text=whole_numbers(rows["prompt_idx"]).map(known),
        model_release=rows["model"],
    )
    parts = [
        _RECORDS.ratings(rows, aspect=aspect, value=rows[name], scale="1..5", question=name)
        for name, aspect in _QUESTIONS.items()
    ]
    spans = _spans(rows, [fine[at] or {} for at in rows.index])
    return Imported(
        prompts=_RECORDS.prompts(rows),
        generations=_RECORDS.generations(rows),
        annotations=_RECORDS.annotations(*parts, *spans),
        **account(sheet),
        notes={
            "answers": sum(map(len, parts)),
            "annotators": rows["annotator_id"].nunique(),
            "generations": rows["generation_id"].nunique(),
            "prompts": rows["prompt_id"].nunique(),
            "attribute_answers": sum(map(len, spans)),
            "real_videos": rows.loc[rows["model"] == "ground-truth", "video_id"].nunique(),
        },
    )


def _spans(rows: pd.DataFrame, fine: list[dict[str, int]]) -> list[pd.DataFrame]:
    found = []
    for name in _ATTRIBUTES:
        given = np.array([name in each for each in fine], dtype=bool)
        value = pd.Series([float(each[name]) for each in fine if name in each], rows.index[given])
        answers = _RECORDS.ratings(
            rows[given], aspect="prompt_alignment", value=value, scale="1..3",
            question=name.replace(" ", "_"),
        )  # fmt: skip
        found.append(answers.assign(kind="prompt_span"))
    return found


def _attributes(cell: str) -> dict[str, int] | None:
    """Return the levels by attribute; None where the cell cannot be understood."""
    if not cell:
        return {}
    try:
        found: Any = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    good = isinstance(found, dict) and all(
        name in _ATTRIBUTES and type(level) is int and 1 <= level <= 3
        for name, level in found.items()
    )
    return found if good else None


FETV: Final = PublicSet(
    name="fetv",
    read=read_fetv,
    says="Two people rated videos of four text-to-video models, and real videos beside them: how "
    "each frame looks, how it moves, and how well it fits its prompt. The videos are not part of "
    "the set, so nothing is trained here.",
    source="Liu et al., FETV, NeurIPS 2023 Datasets and Benchmarks, arXiv:2311.01813",
    licence="CC-BY-4.0",
)
