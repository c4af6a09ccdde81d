"""PandaLM, test part: three people, and two machines, compared 999 pairs of answers.

Source: Wang et al., PandaLM, ICLR 2024, arXiv:2306.05087.
"""

from pathlib import Path
from typing import Final

import pandas as pd

from data_contracts.ids import Digest
from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import MACHINE, Records, machine_id, text_blobs
from pipelines.intake.importers.sheets import Sheet, account, read_json_list

_RECORDS: Final = Records(project="pandalm_test", modality="text")
_PEOPLE: Final = ("annotator1", "annotator2", "annotator3")
_MACHINES: Final = {
    "gpt-3.5-turbo": ("gpt-3.5-turbo-testset-v1.json", "gpt_result"),
    "pandalm-7b": ("pandalm-7b-testset-v1.json", "pandalm_result"),
}
_WINS: Final = {"0": 0.0, "Tie": 0.0, "1": 2.0, "2": -2.0}  # for the first answer
_LEVELS: Final = ("0", "1", "2")
_TEXTS: Final = ("instruction", "input", "response1", "response2")


def read_pandalm_test(path: Path) -> Imported:
    """Read the pairs, the people's answers and the machines' verdicts in the folder *path*.

    The prompt is the instruction and, below it, the input. Equal answers of one model to one
    prompt are one generation. An answer that is no text (the files hold six that are the JSON
    value true) is quarantined with its pair, and so are machines' verdicts on such a pair, and
    verdicts that are none ("garbage").

    Notes: pairs, answers, machine_verdicts, annotators, generations, prompts, empty_answers.

    Raises:
        FlywheelError: a file is missing or cut off.
        ContractError: a column is missing.
    """
    sheet = read_json_list(path / "testset-v1.json", ("idx", *_PEOPLE), texts=(*_TEXTS, "cmp_key"))
    rows = sheet.rows
    sheet = sheet.refuse(
        {
            "unnamed": ~rows["cmp_key"].str.fullmatch(r"[^_]+_[^_]+"),
            "repeated": rows["idx"].astype(str).duplicated(),
            "same_answer": rows["response1"] == rows["response2"],
            "unknown_winner": ~rows[list(_PEOPLE)].astype(str).isin(_LEVELS).all(axis=1),
        }
    )
    pairs = sheet.accepted
    text = pairs["instruction"] + ("\n\n" + pairs["input"]).where(pairs["input"] != "", "")
    models = pairs["cmp_key"].str.split("_", n=1, expand=True)
    prompt = pd.Series(_RECORDS.ids("p", text), pairs.index, dtype=object)
    sides = []
    blobs: dict[Digest, bytes] = {}
    for which in (1, 2):
        digests, content = text_blobs(pairs[f"response{which}"])
        blobs |= content
        side = pd.DataFrame(
            {
                "prompt_id": prompt,
                "text": text,
                "blob": pd.Series(digests, pairs.index, dtype=object),
                "model_release": models[which - 1],
                "empty": pairs[f"response{which}"].str.strip() == "",
            }
        )
        names = (prompt, side["model_release"], side["blob"])
        sides.append(side.assign(generation_id=_RECORDS.ids("g", *names)))
    generations = pd.concat(sides).drop_duplicates("generation_id")
    named = pd.DataFrame(
        {
            "idx": pairs["idx"].astype(str),
            "first_id": sides[0]["generation_id"],
            "second_id": sides[1]["generation_id"],
        }
    )
    people = [
        named.assign(
            value=pairs[each].astype(str).map(_WINS),
            annotator_id=_RECORDS.ids("a", pd.Series([each] * len(named))),
        )
        for each in _PEOPLE
    ]
    machines = {name: _verdicts(path, name, named) for name in _MACHINES}
    verdicts = pd.concat(
        [
            named.merge(
                each.accepted.assign(idx=each.accepted["idx"].astype(str)), on="idx"
            ).assign(
                value=lambda frame: frame["verdict"].astype(str).map(_WINS),
                annotator_id=machine_id(name),
            )
            for name, each in machines.items()
        ]
    )
    answers = pd.concat(people)
    return Imported(
        prompts=_RECORDS.prompts(generations),
        generations=_RECORDS.generations(generations),
        annotations=_RECORDS.annotations(
            _RECORDS.comparisons(answers, aspect="overall"),
            _RECORDS.comparisons(verdicts, aspect="overall", by=MACHINE),
        ),
        blobs=blobs,
        **account(sheet, *machines.values()),
        notes={
            "pairs": len(pairs),
            "answers": len(answers),
            "machine_verdicts": len(verdicts),
            "annotators": answers["annotator_id"].nunique(),
            "generations": len(generations),
            "prompts": generations["prompt_id"].nunique(),
            "empty_answers": int(generations["empty"].sum()),
        },
    )


def _verdicts(path: Path, name: str, named: pd.DataFrame) -> Sheet:
    file, column = _MACHINES[name]
    sheet = read_json_list(path / file, ("idx", column))
    rows = sheet.rows.rename(columns={column: "verdict"})
    sheet = Sheet(rows=rows, reason=sheet.reason, source=sheet.source)
    return sheet.refuse(
        {
            "unknown_pair": ~rows["idx"].astype(str).isin(named["idx"]),
            "repeated": rows["idx"].astype(str).duplicated(),
            "no_verdict": ~rows["verdict"].astype(str).isin(list(_WINS)),
        }
    )


PANDALM_TEST: Final = PublicSet(
    name="pandalm_test",
    read=read_pandalm_test,
    says="Three people compared pairs of answers of five small language models; gpt-3.5-turbo and "
    "PandaLM-7B judged the same pairs. Pairs are inferred from the people; the machines are "
    "measured against them.",
    source="Wang et al., PandaLM, ICLR 2024, arXiv:2306.05087",
    licence="Apache-2.0",
)
