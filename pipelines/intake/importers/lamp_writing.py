"""LAMP: three writers edited 150 passages that language models wrote, and said why.

Source: Chakrabarty et al., Can AI writing be salvaged?, CHI 2025, arXiv:2409.14509.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import Records, text_blobs
from pipelines.intake.importers.sheets import account, read_json_lines

_RECORDS: Final = Records(project="lamp_writing", modality="text")
# The writers' categories as reason codes of aesthetics; two are spelled in two ways.
_REASONS: Final = {
    "Awkward Word Choice and Phrasing": "clumsy_wording",
    "Poor Sentence Structure": "clumsy_wording",
    "Tense Inconsistency": "clumsy_wording",
    "Tense Consistency": "clumsy_wording",
    "Punctuation": "clumsy_wording",
    "Cliche": "dull",
    "Lack of Specificity and Detail": "dull",
    "Unnecessary/ Redundant Exposition": "crowded",
    "Unnecessary/Redundant Exposition": "crowded",
    "Purple Prose (Unnecessary ornamental and overly verbose)": "crowded",
}
_SPAN: Final = {"categorization", "originalText", "editedText"}
_TEXTS: Final = ("id", "instruction", "source", "preedit", "postedit", "writer")


def read_lamp_writing(path: Path) -> Imported:
    """Read the edit sessions in the folder *path*.

    A session is one *edit*: the passage before, and the edited version that came of it. Its
    spans are *regions* of the passage, with the reason code of their category, the writer's
    words as text, and the characters where the passage holds the old words exactly once. The two
    scores are ratings of aesthetics on 1..10: by their order the first is of the passage before,
    the second after.

    Notes: edits, spans, spans_not_placed, scores, annotators, generations, prompts.

    Raises:
        FlywheelError: the file is missing or cut off.
        ContractError: a column is missing.
    """
    sheet = read_json_lines(
        path / "reannotation_edits.jsonl.gz",
        ("fine_grained_edits", "creativity_scores"),
        texts=_TEXTS,
    )
    rows = sheet.rows
    sheet = sheet.refuse(
        {
            "unnamed": (rows["writer"] == "") | (rows["source"] == ""),
            "repeated": rows["id"].duplicated(),
            "not_edited": rows["preedit"] == rows["postedit"],
            "off_scale": [not _scored(each) for each in rows["creativity_scores"]],
            "unknown_reason": [not _explained(each) for each in rows["fine_grained_edits"]],
        }
    )
    rows = sheet.accepted
    rows = rows.assign(
        prompt_id=_RECORDS.ids("p", rows["instruction"]),
        annotator_id=_RECORDS.ids("a", rows["writer"]),
        text=rows["instruction"],
    )
    before = rows.assign(
        generation_id=_RECORDS.ids("g", rows["prompt_id"], rows["source"], rows["preedit"]),
        model_release=rows["source"],
        words=rows["preedit"],
    )
    after = rows.assign(
        generation_id=_RECORDS.ids("g", rows["prompt_id"], rows["id"]),
        parent_generation_id=before["generation_id"],
        model_release="edited by a person",
        words=rows["postedit"],
    )
    generations = pd.concat([before, after]).drop_duplicates("generation_id")
    digests, blobs = text_blobs(generations["words"])
    edits = _edits(before, after)
    spans = _spans(before)
    scores = [
        _RECORDS.ratings(
            each, aspect="aesthetics", scale="1..10", question="creativity",
            value=rows["creativity_scores"].map(lambda scores, n=n: float(scores[n])),
        )
        for n, each in enumerate((before, after))
    ]  # fmt: skip
    return Imported(
        prompts=_RECORDS.prompts(rows),
        generations=_RECORDS.generations(generations.assign(blob=digests)),
        annotations=_RECORDS.annotations(edits, *scores, spans),
        blobs=blobs,
        **account(sheet),
        notes={
            "edits": len(edits),
            "spans": len(spans),
            "spans_not_placed": int(spans["geometry"].isna().sum()),
            "scores": sum(map(len, scores)),
            "annotators": rows["annotator_id"].nunique(),
            "generations": len(generations),
            "prompts": rows["prompt_id"].nunique(),
        },
    )


def _edits(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    return before[["generation_id", "annotator_id"]].assign(
        other_generation_id=after["generation_id"],
        kind="edit",
        aspect="aesthetics",
        task_id=_RECORDS.ids("t", before["generation_id"]),
        origin=_RECORDS.origin(),
    )


def _spans(before: pd.DataFrame) -> pd.DataFrame:
    long = before.explode("fine_grained_edits", ignore_index=True)
    long = long[long["fine_grained_edits"].notna()]
    spans = long["fine_grained_edits"]
    old = spans.map(lambda each: each["originalText"])
    return long[["generation_id", "annotator_id"]].assign(
        kind="region",
        aspect="aesthetics",
        reason_code=spans.map(lambda each: _REASONS[each["categorization"]]),
        text=spans.map(lambda each: each["editedText"]),
        geometry=pd.Series(
            [_place(text, part) for text, part in zip(long["preedit"], old, strict=True)],
            long.index,
            dtype=object,
        ),
        task_id=_RECORDS.ids("t", long["generation_id"]),
        origin=_RECORDS.origin("span"),
    )


def _place(text: str, part: str) -> str | None:
    """Return the characters of *part* in *text* as JSON; None unless it is there exactly once."""
    start = text.find(part)
    if not part or start < 0 or text.find(part, start + 1) >= 0:
        return None
    return json.dumps({"start": start, "end": start + len(part)})


def _scored(scores: Any) -> bool:
    levels = {str(n) for n in np.arange(1, 11)}
    return isinstance(scores, list) and len(scores) == 2 and levels.issuperset(map(str, scores))


def _explained(spans: Any) -> bool:
    return isinstance(spans, list) and all(
        isinstance(each, dict)
        and each.keys() >= _SPAN
        and all(isinstance(each[name], str) for name in _SPAN)
        and each["categorization"] in _REASONS
        for each in spans
    )


LAMP_WRITING: Final = PublicSet(
    name="lamp_writing",
    read=read_lamp_writing,
    says="Three writers edited passages that language models wrote, marked why, and scored each "
    "before and after. An edited version counts as preferred by its writer to what it came from.",
    source="Chakrabarty et al., Can AI writing be salvaged?, CHI 2025, arXiv:2409.14509",
    licence="BSD-3-Clause",
)
