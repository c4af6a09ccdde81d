"""ImageInWords, side by side: which of two descriptions of an image people found better, and how.

Source: Garg et al., ImageInWords, EMNLP 2024, arXiv:2405.02793.
"""

from pathlib import Path
from typing import Final

import pandas as pd

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import Records, text_blobs
from pipelines.intake.importers.sheets import account, read_csv, read_json_lines

_RECORDS: Final = Records(project="iiw_sxs", modality="text")
_QUESTIONS: Final = {
    "Comprehensiveness": "prompt_alignment",
    "Specificity": "prompt_alignment",
    "Hallucination": "prompt_alignment",
    "First few line(s) as tldr": "aesthetics",
    "Human Like": "aesthetics",
}
_STRENGTH: Final = {"marginally better": 1.0, "substantially better": 2.0}
# Where a source's texts lie: its file, the key of the image, and the key of each writer's text.
_TEXTS: Final = {
    "IIW-400": ("IIW-400.jsonl", "image/key", {"IIW-Human": "IIW", "IIW-P5B": "IIW-P5B"}),
    "DCI": ("DCI_Test.jsonl", "image", {"IIW": "IIW"}),
    "DOCCI": ("DOCCI_Test.jsonl", "image", {"IIW": "IIW", "DOCCI": "DOCCI"}),
}
_PROMPT: Final = "Describe the image {} of {}."


def read_iiw_sxs(path: Path) -> Imported:
    """Read the verdicts and what texts there are in the folder *path*.

    Five questions fall on two aspects: what is said of the image on prompt alignment, how it is
    said on aesthetics; the origin keeps the question. Each verdict is one published answer by
    somebody unnamed. The images, and the texts of two rivals, are not in the set: the prompt
    names the image, and such a generation has no content.

    Notes: comparisons, ties, pairs, generations, prompts, without_text.

    Raises:
        FlywheelError: a file is missing or cannot be read.
        ContractError: a column is missing.
    """
    texts = _texts(path)
    sheet = read_csv(path / "iiw_sxs.csv", ("source", "comparison", "image", "metric", "verdict"))
    rows = sheet.rows
    sides = rows["comparison"].str.extract(r"^(.+) vs (.+)$").fillna("")
    said = rows["verdict"].str.extract(r"^(.+) is ((?:marginally|substantially) better)$")
    neutral = rows["verdict"] == "Neutral"
    named = (said[0] == sides[0]) | (said[0] == sides[1])
    sheet = sheet.refuse(
        {
            "unknown_source": ~rows["source"].isin(list(_TEXTS)),
            "unnamed": (rows["image"] == "") | (sides == "").any(axis=1) | (sides[0] == sides[1]),
            "unknown_question": ~rows["metric"].isin(list(_QUESTIONS)),
            "unknown_verdict": ~(neutral | (named & said[1].isin(list(_STRENGTH)))),
            "repeated": rows.duplicated(["source", "comparison", "image", "metric"]),
        }
    )
    rows = sheet.accepted
    sides, said = sides.loc[rows.index], said.loc[rows.index]
    won = said[1].map(_STRENGTH).where(said[0] == sides[0], -said[1].map(_STRENGTH))
    answers = pd.DataFrame(
        {
            "metric": rows["metric"],
            "first_id": _RECORDS.ids("g", rows["source"], rows["image"], sides[0]),
            "second_id": _RECORDS.ids("g", rows["source"], rows["image"], sides[1]),
            "value": won.fillna(0.0),
        }
    )
    generations = _generations(rows, sides, texts)
    known = generations["words"].notna()
    digests, blobs = text_blobs(generations.loc[known, "words"])
    generations.loc[known, "blob"] = digests
    parts = [
        _RECORDS.comparisons(
            answers[answers["metric"] == metric], aspect=aspect, question=_short(metric)
        )
        for metric, aspect in _QUESTIONS.items()
    ]
    return Imported(
        prompts=_RECORDS.prompts(generations),
        generations=_RECORDS.generations(generations),
        annotations=_RECORDS.annotations(*parts),
        blobs=blobs,
        **account(sheet),
        notes={
            "comparisons": len(answers),
            "ties": int((answers["value"] == 0).sum()),
            "pairs": answers.groupby(["first_id", "second_id"]).ngroups,
            "generations": len(generations),
            "prompts": generations["prompt_id"].nunique(),
            "without_text": int((~known).sum()),
        },
    )


def _generations(
    rows: pd.DataFrame, sides: pd.DataFrame, texts: dict[tuple[str, str, str], str]
) -> pd.DataFrame:
    both = pd.concat([rows[["source", "image"]].assign(writer=sides[n]) for n in (0, 1)])
    both = both.drop_duplicates(ignore_index=True)
    keys = list(zip(both["source"], both["image"], both["writer"], strict=True))
    return both.assign(
        prompt_id=_RECORDS.ids("p", both["source"], both["image"]),
        text=[_PROMPT.format(image, source) for source, image, _ in keys],
        generation_id=_RECORDS.ids("g", both["source"], both["image"], both["writer"]),
        model_release=both["writer"],
        words=pd.Series([texts.get(key) for key in keys], both.index, dtype=object),
        blob=pd.Series(None, both.index, dtype=object),
    )


def _texts(path: Path) -> dict[tuple[str, str, str], str]:
    """Return the text of each writer by source, image and writer."""
    found: dict[tuple[str, str, str], str] = {}
    for source, (file, image, writers) in _TEXTS.items():
        columns = sorted(set(writers.values()))
        rows = read_json_lines(path / file, (), texts=(image,), optional=columns).accepted
        for writer, column in writers.items():
            given = rows[rows[column].map(lambda each: isinstance(each, str))]
            keys = ((source, each, writer) for each in given[image])
            found.update(zip(keys, given[column], strict=True))
    return found


def _short(metric: str) -> str:
    return "tldr" if metric.endswith("tldr") else metric.lower().replace(" ", "_")


IIW_SXS: Final = PublicSet(
    name="iiw_sxs",
    read=read_iiw_sxs,
    says="People compared two descriptions of an image under five questions; one verdict a "
    "question is published, by somebody unnamed. The images, and half of the rivals' texts, are "
    "not part of the set.",
    source="Garg et al., ImageInWords, EMNLP 2024, arXiv:2405.02793",
    licence="CC-BY-4.0",
)
