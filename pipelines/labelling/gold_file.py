"""A file of known answers: generations by id, found in the zone whatever turn made them."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from annotation.gold import checked_gold
from annotation.queue import TASK, task_row
from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import ContractError, FlywheelError
from data_contracts.labels import GENERAL
from pipelines.labelling.desk import questions_of
from pipelines.labelling.gold import Known
from pipelines.stores import Stores, read_asset_table
from pipelines.stores.asset_tables import asset_partitions

_GENERATIONS: Final = "artifacts/generations"
_LEVELS: Final = {aspect.name: aspect.levels for aspect in ASPECT_TABLE}
_NAMED: Final = 5  # unknown generations that a complaint lists


def read_gold(file: Path, stores: Stores) -> list[Known]:
    """Read known answers from Parquet, CSV or JSONL.

    Args:
        file: generation_id, other_generation_id (empty: a rating), aspect, value: a level of its
            scale, or from -2 to 2 for generation_id against the other.
        stores: the zone's, where every generation must be.

    Raises:
        FlywheelError: no such file, or it is none of these.
        ContractError: a column is of another type, an answer is impossible, or a generation is
            not in this zone.
    """
    rows = checked_gold(_table(file), source=file.name).to_pylist()
    _check_values(rows)
    answers: dict[tuple[str, str | None], dict[str, float]] = {}
    for row in rows:
        pair = (row["generation_id"], row["other_generation_id"])
        answers.setdefault(pair, {})[row["aspect"]] = row["value"]
    turns = _turns_of(stores, {name for pair in answers for name in pair if name is not None})
    found: list[Known] = []
    for turn in sorted({where[0] for where in turns.values()}):
        mine = {pair: said for pair, said in answers.items() if turns[pair[0]][0] == turn}
        asked = [_asked(pair, said, turns) for pair, said in mine.items()]
        tasks = pa.Table.from_pylist([row for each in asked for row in each], schema=TASK)
        for question in questions_of(stores, turn, tasks):
            first = question.first.generation_id
            other = None if question.other is None else question.other.generation_id
            found.append(Known(question=question, answers=mine[first, other], source="file"))
    return found


def _asked(
    pair: tuple[str, str | None], said: dict[str, float], turns: dict[str, tuple[str, str]]
) -> list[dict[str, str | None]]:
    first, other = pair
    prompt = turns[first][1]
    if other is None:
        return [task_row("rating", prompt, first, None, aspect) for aspect in said]
    if turns[other] != turns[first]:
        raise ContractError(f"gold: {first} and {other} are not of one prompt; compare within one")
    return [task_row("comparison", prompt, first, other, "overall")]


def _turns_of(stores: Stores, names: set[str]) -> dict[str, tuple[str, str]]:
    """Return turn and prompt of every generation.

    Raises:
        ContractError: one is not in this zone.
    """
    found: dict[str, tuple[str, str]] = {}
    for turn in asset_partitions(stores, _GENERATIONS):
        table = read_asset_table(
            stores, _GENERATIONS, clearance=GENERAL, partition=turn,
            columns=["generation_id", "prompt_id"],
        ).table  # fmt: skip
        columns = (table[name].to_pylist() for name in ("generation_id", "prompt_id"))
        for generation, prompt in zip(*columns, strict=True):
            if generation in names:
                found[generation] = (turn, prompt)
    if unknown := sorted(names - set(found)):
        listed = ", ".join(unknown[:_NAMED]) + (" ..." if len(unknown) > _NAMED else "")
        raise ContractError(
            f"gold: {len(unknown)} generations are not in this zone ({listed}); "
            "leave them out or use their zone's --root"
        )
    return found


def _check_values(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        name, aspect, value = row["generation_id"], row["aspect"], row["value"]
        if aspect not in _LEVELS:
            raise ContractError(f"gold: unknown aspect for {name}; use {', '.join(_LEVELS)}")
        low, high = (1, _LEVELS[aspect]) if row["other_generation_id"] is None else (-2, 2)
        if not low <= value <= high:
            raise ContractError(
                f"gold: {name}, {aspect}: {value:g} is not between {low} and {high}; correct it"
            )


def _table(file: Path) -> pa.Table:
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    readers = {".parquet": pyarrow.parquet.read_table, ".csv": pyarrow.csv.read_csv,
               ".jsonl": pyarrow.json.read_json}  # fmt: skip
    if file.suffix not in readers:
        raise FlywheelError(f"{file.name}: gold comes as .parquet, .csv or .jsonl")
    try:
        found: pa.Table = readers[file.suffix](file)
    except pa.ArrowException:
        raise FlywheelError(f"{file.name}: no readable {file.suffix[1:]}; write it again") from None
    return found
