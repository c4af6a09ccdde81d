"""DSG on TIFA-160: five people rated how well 800 images fit their prompts; no pixels.

Source: Cho et al., Davidsonian Scene Graph, ICLR 2024, arXiv:2310.18235.
"""

from pathlib import Path
from typing import Final

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import Records
from pipelines.intake.importers.sheets import account, read_csv

_RECORDS: Final = Records(project="dsg_tifa160", modality="image")
_LEVELS: Final = [str(level) for level in range(1, 6)]


def read_dsg_tifa160(path: Path) -> Imported:
    """Read the answers and prompts in the folder *path*.

    Every answer becomes one rating of prompt alignment on 1..5; none is merged or left out
    before agreement is measured. Notes: answers, annotators, generations, prompts.

    Raises:
        FlywheelError: a file is missing or cannot be read.
        ContractError: a column is missing.
    """
    known = read_csv(path / "tifa160-dev-anns.csv", ("item_id", "text")).accepted
    texts = dict(zip(known["item_id"], known["text"], strict=True))
    sheet = read_csv(
        path / "tifa160-likert-anns.csv", ("t2i_model", "source_id", "worker_id", "answer")
    )
    rows = sheet.rows
    sheet = sheet.refuse(
        {
            "unnamed": (rows["t2i_model"] == "") | (rows["worker_id"] == ""),
            "unknown_prompt": ~rows["source_id"].isin(list(texts)),
            "off_scale": ~rows["answer"].isin(_LEVELS),
        }
    )
    rows = sheet.accepted
    rows = rows.assign(
        prompt_id=_RECORDS.ids("p", rows["source_id"]),
        generation_id=_RECORDS.ids("g", rows["t2i_model"], rows["source_id"]),
        annotator_id=_RECORDS.ids("a", rows["worker_id"]),
        text=rows["source_id"].map(texts),
        model_release=rows["t2i_model"],
    )
    annotations = _RECORDS.annotations(
        _RECORDS.ratings(rows, aspect="prompt_alignment", value=rows["answer"], scale="1..5")
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
        },
    )


DSG_TIFA160: Final = PublicSet(
    name="dsg_tifa160",
    read=read_dsg_tifa160,
    says="People rated how well images of five text-to-image models fit their prompts. "
    "The images are not part of the set, so nothing is trained here.",
    source="Cho et al., Davidsonian Scene Graph, ICLR 2024, arXiv:2310.18235",
    licence="Apache-2.0",
)
