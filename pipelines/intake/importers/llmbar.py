"""LLMBar: six machines, asked in up to fifteen ways and both orders, judged 566 pairs.

Source: Zeng et al., LLMBar, ICLR 2024, arXiv:2310.07641.
"""

from pathlib import Path
from typing import Final

import pandas as pd

from data_contracts.ids import Digest
from pipelines.intake.importers.imported import Imported, PublicSet
from pipelines.intake.importers.records import GOLD, MACHINE, Records, machine_id, text_blobs
from pipelines.intake.importers.sheets import Sheet, account, read_csv, read_json_lines

_RECORDS: Final = Records(project="llmbar", modality="text")
_WINS: Final = {"1": 2.0, "1.0": 2.0, "2": -2.0, "2.0": -2.0}  # for the first answer
_ORDERS: Final = {"winner": "first_id", "winner_swapped": "second_id"}  # which was shown first


def read_llmbar(path: Path) -> Imported:
    """Read the pairs, their gold labels and the machines' verdicts in the folder *path*.

    A machine with its prompting strategy is one annotator; it answered once with each of the
    two shown first, which *shown_left* tells, and both verdicts are kept. One that it did not
    give is no answer. People's gold label is an answer marked is_gold, held back from the fit to
    measure it. The prompt is the instruction alone.

    Notes: pairs, verdicts, verdicts_not_given, judges, generations, prompts, empty_answers.

    Raises:
        FlywheelError: a file is missing or cut off.
        ContractError: a column is missing.
    """
    items, pairs, generations, blobs = _items(path)
    judged = read_csv(
        path / "judgements.csv.gz",
        ("subset", "item", "judge", "strategy", "winner", "winner_swapped"),
    )
    rows = judged.rows
    key = rows["subset"] + "/" + rows["item"]
    known = ["", *_WINS]
    judged = judged.refuse(
        {
            "unnamed": (rows[["judge", "strategy"]] == "").any(axis=1),
            "unknown_pair": ~key.isin(pairs.index),
            "repeated": rows.duplicated(["subset", "item", "judge", "strategy"]),
            "unknown_winner": ~rows[list(_ORDERS)].isin(known).all(axis=1),
        }
    )
    rows = judged.accepted
    named = pairs.loc[key[rows.index]].set_axis(rows.index)
    named["annotator_id"] = [
        machine_id(*each) for each in zip(rows["judge"], rows["strategy"], strict=True)
    ]
    verdicts = pd.concat(
        [
            named.assign(value=rows[column].map(_WINS), shown_left=named[side])
            for column, side in _ORDERS.items()
        ]
    )
    given = verdicts[verdicts["value"].notna()]
    gold = pairs.assign(value=pairs["label"].map(_WINS), is_gold=True)
    return Imported(
        prompts=_RECORDS.prompts(generations),
        generations=_RECORDS.generations(generations),
        annotations=_RECORDS.annotations(
            _RECORDS.comparisons(given, aspect="overall", by=MACHINE),
            _RECORDS.comparisons(gold, aspect="overall", by=GOLD),
        ),
        blobs=blobs,
        **account(items, judged),
        notes={
            "pairs": len(pairs),
            "verdicts": len(given),
            "verdicts_not_given": len(verdicts) - len(given),
            "judges": given["annotator_id"].nunique(),
            "generations": len(generations),
            "prompts": generations["prompt_id"].nunique(),
            "empty_answers": int(generations["empty"].sum()),
        },
    )


def _items(path: Path) -> tuple[Sheet, pd.DataFrame, pd.DataFrame, dict[Digest, bytes]]:
    """Read the pairs: their sheet, first_id, second_id and label by key, and generations."""
    sheet = read_json_lines(
        path / "items.jsonl.gz",
        ("item", "label"),
        texts=("subset", "input", "output_1", "output_2"),
    )
    rows = sheet.rows
    key = rows["subset"] + "/" + rows["item"].astype(str)
    sheet = sheet.refuse(
        {
            "repeated": key.duplicated(),
            "same_answer": rows["output_1"] == rows["output_2"],
            "unknown_winner": ~rows["label"].astype(str).isin(["1", "2"]),
        }
    )
    rows = sheet.accepted
    prompt = pd.Series(_RECORDS.ids("p", rows["input"]), rows.index, dtype=object)
    blobs: dict[Digest, bytes] = {}
    sides = []
    for which in (1, 2):
        output = rows[f"output_{which}"]
        digests, content = text_blobs(output)
        blobs |= content
        side = pd.DataFrame({"prompt_id": prompt, "text": rows["input"], "blob": digests})
        side["generation_id"] = _RECORDS.ids("g", prompt, side["blob"])
        sides.append(side.assign(model_release="unrecorded", empty=output.str.strip() == ""))
    pairs = pd.DataFrame(
        {
            "first_id": sides[0]["generation_id"],
            "second_id": sides[1]["generation_id"],
            "label": rows["label"].astype(str),
        }
    ).set_axis(key[rows.index])
    return sheet, pairs, pd.concat(sides).drop_duplicates("generation_id"), blobs


LLMBAR: Final = PublicSet(
    name="llmbar",
    read=read_llmbar,
    says="Machines judged which of two answers follows its instruction better; people's gold "
    "labels are known. The machines are annotators of unequal worth here: pairs are inferred from "
    "them alone, and the gold labels are held back to measure what was inferred.",
    source="Zeng et al., LLMBar, ICLR 2024, arXiv:2310.07641",
    licence="MIT",
)
