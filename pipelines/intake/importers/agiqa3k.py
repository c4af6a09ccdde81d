"""AGIQA-3K: what about 21 people each found of 2,982 images, told as mean and deviation.

Source: Li et al., AGIQA-3K, IEEE TCSVT 2023, arXiv:2306.04717.
"""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.intake.importers.imported import STATED_ERROR, Imported, PublicSet
from pipelines.intake.importers.records import Records
from pipelines.intake.importers.sheets import account, numbers, read_csv

RATERS: Final = 21  # "about": the set gives no count by image
_RECORDS: Final = Records(project="agiqa3k", modality="image")
_QUESTIONS: Final = {"quality": "aesthetics", "align": "prompt_alignment"}
_STYLE: Final = ("prompt", "adj1", "adj2", "style")  # together the prompt as given to the model
_TOP: Final = 5.0


def read_agiqa3k(path: Path) -> Imported:
    """Read the means and deviations in the folder *path*.

    Each mean becomes one rating on 0..5 by one of a pool, with a stated standard error: the
    raters' standard deviation over the root of their number. Single answers are not in the set,
    so that agreement cannot be measured.

    Notes: answers, generations, prompts, models.

    Raises:
        FlywheelError: the file is missing or cannot be read.
        ContractError: a column is missing.
    """
    measured = [f"{what}_{name}" for name in _QUESTIONS for what in ("mos", "std")]
    sheet = read_csv(path / "data.csv", ("name", *_STYLE, *measured))
    rows = sheet.rows
    named = rows["name"].str.extract(r"^([^_]+)_([^_]+)_([0-9]+)\.jpg$")
    values = {each: numbers(rows[each]) for each in measured}
    off = [
        ~values[each].between(0.0, _TOP) if each.startswith("mos") else ~(values[each] > 0)
        for each in measured
    ]
    sheet = sheet.refuse(
        {
            "unnamed": named[0].isna() | (rows["prompt"] == ""),
            "repeated": rows["name"].duplicated(),
            "off_scale": np.any(off, axis=0),
        }
    )
    rows = sheet.accepted
    rows = rows.assign(
        text=[", ".join(filter(None, each)) for each in rows[list(_STYLE)].to_numpy()],
        generation_id=_RECORDS.ids("g", rows["name"]),
        # The sampler's setting is part of what made the image: "sd1.5" with few steps is another.
        model_release=(named[0] + ":" + named[1]).loc[rows.index],
    )
    rows = rows.assign(prompt_id=_RECORDS.ids("p", rows["text"]))
    annotations = _RECORDS.annotations(
        *(
            _RECORDS.ratings(
                rows, aspect=aspect, value=values[f"mos_{name}"][rows.index], scale="0..5",
                question=name,
            )
            for name, aspect in _QUESTIONS.items()
        )
    )  # fmt: skip
    deviation = pd.concat([values[f"std_{name}"][rows.index] for name in _QUESTIONS])
    errors = {
        "annotation_id": annotations["annotation_id"],
        "standard_error": deviation.to_numpy() / np.sqrt(RATERS),
        "raters": np.full(annotations.num_rows, RATERS),
    }
    return Imported(
        prompts=_RECORDS.prompts(rows),
        generations=_RECORDS.generations(rows),
        annotations=annotations,
        stated_errors=pa.table(errors, schema=STATED_ERROR),
        **account(sheet),
        notes={
            "answers": annotations.num_rows,
            "generations": len(rows),
            "prompts": rows["prompt_id"].nunique(),
            "models": named[0][rows.index].nunique(),
        },
    )


AGIQA3K: Final = PublicSet(
    name="agiqa3k",
    read=read_agiqa3k,
    says="About 21 people rated the quality of each image and how well it fits its prompt. Only "
    "the mean and the deviation of their answers are known, so each mean is one rating with a "
    "stated standard error, and agreement cannot be measured.",
    source="Li et al., AGIQA-3K, IEEE TCSVT 2023, arXiv:2306.04717",
    licence="MIT",
)
