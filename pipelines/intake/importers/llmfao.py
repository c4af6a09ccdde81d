"""LLMFAO: a crowd, and two machines, compared the answers of 59 language models.

Source: Ustalov, LLMFAO, 2023, evalovernite.substack.com/p/llmfao-human-ranking.
"""

from pathlib import Path
from typing import Final

import pandas as pd

from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import MACHINE, Records, machine_id, text_blobs
from pipelines.intake.importers.sheets import Sheet, account, read_csv, read_json_lines

_RECORDS: Final = Records(project="llmfao", modality="text")
_WINS: Final = {"left": 2.0, "right": -2.0, "tie": 0.0}  # for the answer on the left
_ASKED: Final = ("prompt", "model_x", "model_y", "winner")
_MACHINES: Final = {"GPT-3.5": "gpt3-crowd-comparisons.csv", "GPT-4": "gpt4-crowd-comparisons.csv"}


def read_llmfao(path: Path) -> Imported:
    """Read the comparisons, prompts and answers in the folder *path*.

    The crowd's votes and the machines' verdicts on the same pairs are comparisons of *overall*;
    a tie also means that both failed, so its kind is not known. *model_x* was shown on the left.
    Only what was compared becomes a generation; an empty answer is an answer.

    Notes: votes, machine_verdicts, annotators, pairs, generations, prompts, empty_answers.

    Raises:
        FlywheelError: a file is missing or cannot be read.
        ContractError: a column is missing.
    """
    prompts = read_json_lines(path / "prompts.jsonl", ("id",), texts=("text",)).accepted
    texts = dict(zip(prompts["id"].astype(str), prompts["text"], strict=True))
    made = read_json_lines(
        path / "results.jsonl", ("prompt", "model"), texts=("result", "name")
    ).accepted
    key = made["prompt"].astype(str) + "/" + made["model"].astype(str)
    results = dict(zip(key, zip(made["result"], made["name"], strict=True), strict=True))
    crowd = _judged(read_csv(path / "crowd-comparisons.csv", (*_ASKED, "worker")), texts, results)
    machines = {
        name: _judged(read_csv(path / file, _ASKED), texts, results)
        for name, file in _MACHINES.items()
    }
    votes = crowd.accepted
    votes = votes.assign(annotator_id=_RECORDS.ids("a", votes["worker"]))
    verdicts = pd.concat(
        [each.accepted.assign(annotator_id=machine_id(name)) for name, each in machines.items()]
    )
    compared = pd.concat([votes, verdicts])
    generations = _generations(compared, texts, results)
    digests, blobs = text_blobs(generations["result"])
    return Imported(
        prompts=_RECORDS.prompts(generations),
        generations=_RECORDS.generations(generations.assign(blob=digests)),
        annotations=_RECORDS.annotations(
            _RECORDS.comparisons(_sides(votes), aspect="overall"),
            _RECORDS.comparisons(_sides(verdicts), aspect="overall", by=MACHINE),
        ),
        blobs=blobs,
        **account(crowd, *machines.values()),
        notes={
            "votes": len(votes),
            "machine_verdicts": len(verdicts),
            "annotators": votes["annotator_id"].nunique(),
            "pairs": compared.groupby(["prompt", "model_x", "model_y"]).ngroups,
            "generations": len(generations),
            "prompts": generations["prompt_id"].nunique(),
            "empty_answers": int((generations["result"].str.strip() == "").sum()),
        },
    )


def _judged(sheet: Sheet, texts: dict[str, str], results: dict[str, tuple[str, str]]) -> Sheet:
    rows = sheet.rows
    known = [(rows["prompt"] + "/" + rows[side]).isin(list(results)) for side in _ASKED[1:3]]
    return sheet.refuse(
        {
            "unnamed": rows.get("worker", rows["prompt"]) == "",
            "unknown_prompt": ~rows["prompt"].isin(list(texts)),
            "unknown_answer": ~(known[0] & known[1]),
            "compared_with_itself": rows["model_x"] == rows["model_y"],
            "unknown_winner": ~rows["winner"].isin(list(_WINS)),
        }
    )


def _sides(rows: pd.DataFrame) -> pd.DataFrame:
    left, right = (_RECORDS.ids("g", rows["prompt"], rows[side]) for side in _ASKED[1:3])
    return rows.assign(
        first_id=left, second_id=right, shown_left=left, value=rows["winner"].map(_WINS)
    )


def _generations(
    compared: pd.DataFrame, texts: dict[str, str], results: dict[str, tuple[str, str]]
) -> pd.DataFrame:
    sides = [compared[["prompt", side]].rename(columns={side: "model"}) for side in _ASKED[1:3]]
    rows = pd.concat(sides).drop_duplicates(ignore_index=True)
    found = [results[key] for key in rows["prompt"] + "/" + rows["model"]]
    return rows.assign(
        prompt_id=_RECORDS.ids("p", rows["prompt"]),
        generation_id=_RECORDS.ids("g", rows["prompt"], rows["model"]),
        text=rows["prompt"].map(texts),
        result=[result for result, _ in found],
        model_release=[name for _, name in found],
    )


LLMFAO: Final = PublicSet(
    name="llmfao",
    read=read_llmfao,
    says="A crowd compared answers of 59 language models to eight prompts; GPT-3.5 and GPT-4 "
    "judged the same pairs. Pairs are inferred from the crowd; the machines are measured against "
    "it.",
    source="Ustalov, LLMFAO, 2023, evalovernite.substack.com/p/llmfao-human-ranking",
    licence="CC-BY-4.0",
)
