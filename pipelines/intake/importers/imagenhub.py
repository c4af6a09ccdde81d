"""ImagenHub: three people rated 5,524 generated and edited images; no pixels.

Source: Ku et al., ImagenHub, ICLR 2024, arXiv:2310.01596.
"""

from pathlib import Path
from typing import Final

import numpy as np

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import Records
from pipelines.intake.importers.sheets import account, numbers, read_csv

_RECORDS: Final = Records(project="imagenhub", modality="image")
_QUESTIONS: Final = {"SC": "prompt_alignment", "PQ": "aesthetics"}  # semantic, perceptual
_LEVELS: Final = (0.0, 0.5, 1.0)


def read_imagenhub(path: Path) -> Imported:
    """Read the ratings in the folder *path*.

    Names of requests and of models recur between the seven tasks and mean something else in
    each, so ids hold the task; raters go by the names that the set gives them. The texts of the
    requests are not in the set: their names stand for them.

    Notes: answers, annotators, generations, prompts, models (by task).

    Raises:
        FlywheelError: the file is missing or cannot be read.
        ContractError: a column is missing.
    """
    sheet = read_csv(path / "imagenhub_ratings.csv", ("task", "uid", "model", "rater", *_QUESTIONS))
    rows = sheet.rows
    values = {name: numbers(rows[name]) for name in _QUESTIONS}
    names = ["task", "uid", "model", "rater"]
    sheet = sheet.refuse(
        {
            "unnamed": (rows[names] == "").any(axis=1),
            "off_scale": np.any([~each.isin(_LEVELS) for each in values.values()], axis=0),
        }
    )
    rows = sheet.accepted
    rows = rows.assign(
        prompt_id=_RECORDS.ids("p", rows["task"], rows["uid"]),
        generation_id=_RECORDS.ids("g", rows["task"], rows["uid"], rows["model"]),
        annotator_id=_RECORDS.ids("a", rows["rater"]),
        # Without the task, so that one request posed in two tasks falls into one split.
        text=rows["uid"],
        model_release=rows["model"],
    )
    annotations = _RECORDS.annotations(
        *(
            _RECORDS.ratings(
                rows, aspect=aspect, value=values[name][rows.index], scale="0..1", question=name
            )
            for name, aspect in _QUESTIONS.items()
        )
    )
    return Imported(
        prompts=_RECORDS.prompts(rows),
        generations=_RECORDS.generations(rows),
        annotations=annotations,
        **account(sheet),
        notes={
            "answers": annotations.num_rows,
            "annotators": rows["annotator_id"].nunique(),
            "generations": rows["generation_id"].nunique(),
            "prompts": rows["prompt_id"].nunique(),
            "models": rows.groupby(["task", "model"]).ngroups,
        },
    )


IMAGENHUB: Final = PublicSet(
    name="imagenhub",
    read=read_imagenhub,
    says="Three people rated images of seven generation and editing tasks: whether they do what "
    "was asked, and how they look. Neither images nor requests are part of the set, so nothing is "
    "trained here.",
    source="Ku et al., ImagenHub, ICLR 2024, arXiv:2310.01596",
    licence="MIT",
)
