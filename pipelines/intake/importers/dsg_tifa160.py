"""DSG on TIFA-160: five people rated how well 800 images fit their prompts; no pixels.

Source: Cho et al., Davidsonian Scene Graph, ICLR 2024, arXiv:2310.18235.
"""

import csv
from collections import Counter
from pathlib import Path
from typing import Any, Final

from data_contracts.errors import ContractError, FlywheelError
from data_contracts.schemas import ANNOTATION, GENERATION, PROMPT
from pipelines.intake.importers.imported import (
    IMPORT_QUARANTINE,
    TENANT,
    Imported,
    opaque_id,
    rows_table,
)
from pipelines.stores.digests import file_digest

PROJECT: Final = "dsg_tifa160"
_ANSWERS: Final = "tifa160-likert-anns.csv"
_PROMPTS: Final = "tifa160-dev-anns.csv"
_LEVELS: Final = {str(level): float(level) for level in range(1, 6)}


def read_dsg_tifa160(path: Path) -> Imported:
    """Read the answers and prompts in the folder *path*.

    Every answer becomes one rating of prompt alignment on 1..5; none is merged or left out
    before agreement is measured. Notes: answers, annotators, generations, prompts.

    Raises:
        FlywheelError: a file is missing or cannot be read.
        ContractError: a column is missing.
    """
    texts = {row["item_id"]: row["text"] for row in _rows(path / _PROMPTS, ("item_id", "text"))}
    answers = _rows(path / _ANSWERS, ("t2i_model", "source_id", "worker_id", "answer"))
    source = file_digest(path / _ANSWERS)
    prompts: dict[str, dict[str, Any]] = {}
    generations: dict[str, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    quarantined: list[dict[str, Any]] = []
    asked: Counter[tuple[str, str]] = Counter()
    for number, row in enumerate(answers):
        if (reason := _fault(row, texts)) is not None:
            quarantined.append({"row": number, "reason": reason, "source": source})
            continue
        prompt_id = opaque_id("p", PROJECT, row["source_id"])
        generation_id = opaque_id("g", PROJECT, row["t2i_model"], row["source_id"])
        annotator_id = opaque_id("a", PROJECT, row["worker_id"])
        prompts[prompt_id] = {"prompt_id": prompt_id, "text": texts[row["source_id"]]}
        generations[generation_id] = {
            "generation_id": generation_id,
            "tenant_id": TENANT,
            "project_id": PROJECT,
            "prompt_id": prompt_id,
            "model_release": row["t2i_model"],
            "modality": "image",
        }
        # A second answer by the same person stays: it is evidence of how steady they are.
        asked[generation_id, annotator_id] += 1
        nth = asked[generation_id, annotator_id]
        annotations.append(
            {
                "annotation_id": opaque_id("an", PROJECT, generation_id, annotator_id, nth),
                "task_id": opaque_id("t", PROJECT, generation_id),
                "annotator_id": annotator_id,
                "kind": "rating",
                "generation_id": generation_id,
                "aspect": "prompt_alignment",
                "value": _LEVELS[row["answer"]],
                "scale": "1..5",
                "origin": f"import:{PROJECT}",
            }
        )
    return Imported(
        prompts=rows_table(list(prompts.values()), PROMPT),
        generations=rows_table(list(generations.values()), GENERATION),
        annotations=rows_table(annotations, ANNOTATION),
        blobs={},
        quarantined=rows_table(quarantined, IMPORT_QUARANTINE),
        notes={
            "answers": len(annotations),
            "annotators": len({each["annotator_id"] for each in annotations}),
            "generations": len(generations),
            "prompts": len(prompts),
        },
    )


def _rows(file: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "not a CSV file in UTF-8"
        raise FlywheelError(f"{file}: cannot be read: {why}") from error
    if missing := [each for each in columns if each not in (reader.fieldnames or ())]:
        raise ContractError(f"{file}: column {', '.join(missing)} missing")
    return rows


def _fault(row: dict[str, Any], texts: dict[str, str]) -> str | None:
    if None in row or None in row.values():
        return "unparsable"
    if not row["t2i_model"] or not row["worker_id"]:
        return "unnamed"
    if row["source_id"] not in texts:
        return "unknown_prompt"
    return None if row["answer"] in _LEVELS else "off_scale"
