"""GenEval: five unnamed people counted, coloured and placed what each of 1,200 images shows.

Source: Ghosh et al., GenEval, NeurIPS 2023 Datasets and Benchmarks, arXiv:2310.11513.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import Records
from pipelines.intake.importers.sheets import (
    Sheet,
    account,
    numbers,
    read_csv,
    read_json_lines,
    whole_numbers,
)

_RECORDS: Final = Records(project="geneval_human", modality="image")
_SIDES: Final = {"left of": "x", "right of": "x", "above": "y", "below": "y"}
_PLACES: Final = {"x": ("", "left", "right", "neither_x"), "y": ("", "above", "below", "neither_y")}
_COLUMNS: Final = (
    "t2i_model", "prompt_id", "image_id", "ans_count-0", "ans_count-1", "ans_color-0",
    "ans_color-1", "ans_position-x", "ans_position-y", "ans_quality", "ans_real-0", "ans_real-1",
    "ans_ee",
)  # fmt: skip


def read_geneval_human(path: Path) -> Imported:
    """Read the answers and what the prompts require in the folder *path*.

    Each answer gives up to four ratings, by one of a pool: how well the image fits its caption
    (1..4) and whether it shows what was required (0 or 1, see `shows_what_was_asked`), both
    prompt alignment; how real each of at most two objects looks (1..3), physical plausibility.
    A question left open gives no rating. Lead time is the time for the whole answer.

    Notes: answers, generations, prompts, shown_right, without_fit.

    Raises:
        FlywheelError: a file is missing or cannot be read.
        ContractError: a column is missing.
    """
    wanted = read_json_lines(
        path / "evaluation_metadata.jsonl", ("tag", "include"), texts=("prompt",)
    ).accepted
    sheet = _judged(read_csv(path / "geneval_annotations_clean.csv", _COLUMNS), wanted)
    rows = sheet.accepted
    at = whole_numbers(rows["prompt_id"])
    right = shows_what_was_asked(rows, wanted)
    names = (rows["prompt_id"], rows["t2i_model"], rows["image_id"])
    rows = rows.assign(
        prompt_id=_RECORDS.ids("p", rows["prompt_id"]),
        generation_id=_RECORDS.ids("g", *names),
        text=at.map(wanted["prompt"]),
        model_release=rows["t2i_model"],
        lead_time_s=numbers(rows["ans_ee"]),
    )
    fit = numbers(rows["ans_quality"])
    parts = [
        _RECORDS.ratings(
            rows[fit.notna()], aspect="prompt_alignment", value=fit.dropna(), scale="1..4",
            question="fit",
        ),
        _RECORDS.ratings(
            rows, aspect="prompt_alignment", value=right, scale="0..1", question="correct"
        ),
    ]  # fmt: skip
    for which in (0, 1):
        real = numbers(rows[f"ans_real-{which}"])
        parts.append(
            _RECORDS.ratings(
                rows[real.notna()], aspect="physical_plausibility", value=real.dropna(),
                scale="1..3", question=f"real-{which}",
            )
        )  # fmt: skip
    return Imported(
        prompts=_RECORDS.prompts(rows),
        generations=_RECORDS.generations(rows),
        annotations=_RECORDS.annotations(*parts),
        **account(sheet),
        notes={
            "answers": sum(map(len, parts)),
            "generations": rows["generation_id"].nunique(),
            "prompts": rows["prompt_id"].nunique(),
            "shown_right": int(right.sum()),
            "without_fit": int(fit.isna().sum()),
        },
    )


def shows_what_was_asked(rows: pd.DataFrame, wanted: pd.DataFrame) -> pd.Series:
    """Say for each answer whether it found all that the prompt requires.

    Of each object at least the needed number is counted, for counting prompts exactly it; a
    required colour is among those ticked; object 1 stands to object 0 as required.

    Args:
        rows: answers as text, prompt_id among them; what a prompt requires must be answered.
        wanted: tag, include by prompt; include lists class, count and perhaps color, position.

    Source:
        Ghosh et al. (2023), section 4; the rule is written out here.
    """
    at = whole_numbers(rows["prompt_id"])
    asked = at.map(wanted["include"])
    exact = at.map(wanted["tag"]) == "counting"
    right = pd.Series(True, index=rows.index)
    for which in (0, 1):
        need = pd.DataFrame(
            [each[which] if len(each) > which else {} for each in asked],
            index=rows.index,
            columns=["count", "color", "position"],
        )
        counted, count = numbers(rows[f"ans_count-{which}"]), need["count"]
        right &= count.isna() | np.where(exact, counted == count, counted >= count)
        ticked = np.array(
            [
                color in cell.split("|")
                for color, cell in zip(need["color"], rows[f"ans_color-{which}"], strict=True)
            ],
            dtype=bool,
        )
        right &= need["color"].isna() | ticked
        for place, axis in _SIDES.items():
            here = need["position"].map(lambda each, p=place: each == [p, 0])
            right &= ~here | (rows[f"ans_position-{axis}"] == place.removesuffix(" of"))
    return right


def _judged(sheet: Sheet, wanted: pd.DataFrame) -> Sheet:
    rows = sheet.rows
    at = whole_numbers(rows["prompt_id"])
    counts = rows[["ans_count-0", "ans_count-1"]].map(_levelled(0, 5))
    second = at.map(wanted["include"].map(len)).fillna(0) > 1
    reals = rows[["ans_real-0", "ans_real-1"]].map(_levelled(1, 3))
    places = [~rows[f"ans_position-{axis}"].isin(known) for axis, known in _PLACES.items()]
    return sheet.refuse(
        {
            "unnamed": (rows[["t2i_model", "image_id"]] == "").any(axis=1),
            "unknown_prompt": ~at.isin(wanted.index),
            "not_counted": (rows["ans_count-0"] == "") | (second & (rows["ans_count-1"] == "")),
            "off_scale": ~counts.all(axis=1)
            | ~reals.all(axis=1)
            | ~rows["ans_quality"].map(_levelled(1, 4)),
            "unknown_place": np.any(places, axis=0),
            "unknown_time": ~(numbers(rows["ans_ee"]) >= 0),
        }
    )


def _levelled(low: int, high: int) -> Any:
    """Return whether a cell is empty or a whole level from *low* to *high*."""
    levels = {
        "",
        *(str(n) for n in range(low, high + 1)),
        *(f"{n}.0" for n in range(low, high + 1)),
    }
    return levels.__contains__


GENEVAL_HUMAN: Final = PublicSet(
    name="geneval_human",
    read=read_geneval_human,
    says="Five people said of each image what it shows: how many of each object, in which colours "
    "and where, how real they look and how well the image fits its caption. Nobody knows who "
    "answered what, so that all count as one pool; the images are not part of the set.",
    source="Ghosh et al., GenEval, NeurIPS 2023 Datasets and Benchmarks, arXiv:2310.11513",
    licence="MIT",
)
