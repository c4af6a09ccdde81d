"""ImageReward, test part: 466 rankings of 2,720 images by somebody unnamed; no pixels.

Source: Xu et al., ImageReward, NeurIPS 2023, arXiv:2304.05977.
"""

from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import Records
from pipelines.intake.importers.sheets import account, read_json_list

_RECORDS: Final = Records(project="imagereward_test", modality="image")


def read_imagereward_test(path: Path) -> Imported:
    """Read the rankings in the folder *path*.

    A ranking of n images says n (n - 1) / 2 comparisons of *overall*; equal ranks are ties. A
    ranking tells the order, not how far apart two are, so every win counts the same.

    Notes: comparisons, ties, untied, generations, prompts.

    Raises:
        FlywheelError: the file is missing or cut off.
        ContractError: a column is missing.
    """
    sheet = read_json_list(path / "test.json", ("generations", "ranking"), texts=("id", "prompt"))
    rows = sheet.rows
    sheet = sheet.refuse(
        {
            "unnamed": rows["id"] == "",
            "repeated": rows["id"].duplicated(),
            "no_ranking": [
                not _ranked(*each)
                for each in zip(rows["generations"], rows["ranking"], strict=True)
            ],
        }
    )
    rows = sheet.accepted
    long = rows.explode(["generations", "ranking"], ignore_index=True)
    long = long.rename(columns={"prompt": "text"}).assign(
        prompt_id=_RECORDS.ids("p", long["id"]),
        generation_id=_RECORDS.ids("g", long["generations"]),
        model_release="unrecorded",
    )
    answers = _RECORDS.comparisons(_pairs(long), aspect="overall")
    ties = int((answers["value"] == 0).sum())
    return Imported(
        prompts=_RECORDS.prompts(long),
        generations=_RECORDS.generations(long),
        annotations=_RECORDS.annotations(answers),
        **account(sheet),
        notes={
            "comparisons": len(answers),
            "ties": ties,
            "untied": len(answers) - ties,
            "generations": len(long),
            "prompts": len(rows),
        },
    )


def _pairs(long: pd.DataFrame) -> pd.DataFrame:
    """Return every two images of one prompt: first_id, second_id, value for the first."""
    groups = long.groupby("prompt_id", sort=False).indices.values()
    at = np.array([pair for each in groups for pair in combinations(each, 2)]).reshape(-1, 2)
    names = long["generation_id"].to_numpy()
    rank = long["ranking"].to_numpy(np.float64)
    first, second = at.astype(np.int64).T
    return pd.DataFrame(
        {
            "first_id": names[first],
            "second_id": names[second],
            "value": 2.0 * np.sign(rank[second] - rank[first]),  # the lower rank is better
        }
    )


def _ranked(generations: Any, ranking: Any) -> bool:
    return (
        isinstance(generations, list)
        and isinstance(ranking, list)
        and len(generations) == len(ranking) >= 2
        and all(isinstance(each, str) for each in generations)
        and len(set(generations)) == len(generations)
        and all(type(each) is int and each >= 1 for each in ranking)
    )


IMAGEREWARD_TEST: Final = PublicSet(
    name="imagereward_test",
    read=read_imagereward_test,
    says="People ranked four to nine images of one prompt, ties allowed; each prompt was ranked "
    "once. The images are not part of the set, so nothing is trained here.",
    source="Xu et al., ImageReward, NeurIPS 2023, arXiv:2304.05977",
    licence="Apache-2.0",
)
