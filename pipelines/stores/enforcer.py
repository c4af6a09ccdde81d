"""The enforcer: runs a contract's rules over whole tables with DuckDB."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.conform import conform, conform_unvalidated
from data_contracts.contract import Contract
from data_contracts.errors import ContractError
from data_contracts.rules import CompoundUnique, NotAfter, Rule, Unique, columns_of
from data_contracts.sql import (
    identifier,
    key_columns,
    literal,
    reason_sql,
    refused_sql,
    repeated_sql,
)

VIOLATIONS: Final = pa.schema(
    [
        pa.field("rule", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),  # from 0, in the table as given
        pa.field("row_id", pa.string()),  # null where the id is missing or is not a plain id
        pa.field("reason", pa.string(), nullable=False),
    ]
)

_ROW: Final = "__row"
_SHOWN: Final = 20
# An id that does not look like one may be somebody's words in the wrong column.
_PLAIN_ID: Final = "[!-~]{1,128}"


def find_violations(table: pa.Table, contract: Contract, *, now: datetime) -> pa.Table:
    """List every breach of *contract* in *table*, by row, then in the contract's rule order.

    Args:
        table: rows to judge; nullable columns may be absent.
        contract: what a valid row is.
        now: the moment of validation, with a time zone.

    Returns:
        A table of VIOLATIONS, one row per breach; a row that breaks two rules appears twice.

    Raises:
        ContractError: a needed column is missing or has a type that does not convert.
    """
    ready = conform_unvalidated(table, contract.schema, what=contract.title)
    numbered = ready.append_column(_ROW, pa.array(np.arange(ready.num_rows, dtype=np.int64)))
    rules = list(enumerate(contract.rules))
    alone = [(at, rule) for at, rule in rules if not isinstance(rule, Unique | CompoundUnique)]
    together = [(at, rule) for at, rule in rules if isinstance(rule, Unique | CompoundUnique)]
    with duckdb.connect(":memory:") as engine:
        engine.register("given", numbered)
        engine.execute(_flag_sql(alone, contract, now=now))
        found = [
            *((at, rule, f"flagged WHERE {_flag(at)}") for at, rule in alone),
            *((at, rule, _repeated_rows(rule, contract)) for at, rule in together),
        ]
        if not found:
            return VIOLATIONS.empty_table()
        parts = (_breaches_sql(at, rule, contract, rows, now=now) for at, rule, rows in found)
        query = " UNION ALL ".join(parts) + f" ORDER BY {_ROW}, rule_at"
        breaches = engine.execute(query).to_arrow_table()
    return pa.table(
        [
            breaches.column(name).cast(field.type)
            for name, field in zip(
                ("rule", "subject", _ROW, "row_id", "reason"), VIOLATIONS, strict=True
            )
        ],
        schema=VIOLATIONS,
    )


def refuse(table: pa.Table, contract: Contract, *, now: datetime) -> None:
    """Do nothing if *table* keeps *contract*; otherwise name the rows that break it.

    Raises:
        ContractError: the refused rows by id, never their content; twenty of them, then a count.
    """
    violations = find_violations(table, contract, now=now)
    if violations.num_rows:
        raise ContractError(describe_violations(violations, contract, rows=table.num_rows))


def split_rows(table: pa.Table, contract: Contract, *, now: datetime) -> tuple[pa.Table, pa.Table]:
    """Part *table* into rows that keep *contract* and rows that break it; none is lost.

    Returns:
        The accepted rows in the contract's schema, and the quarantined rows with the columns
        they came with plus *reason*, which joins all that is wrong with the row by "; ".

    Raises:
        ContractError: a needed column is missing or has a type that does not convert.
    """
    rows, reasons = reasons_by_row(find_violations(table, contract, now=now))
    accepted = np.ones(table.num_rows, dtype=bool)
    accepted[rows] = False
    quarantined = table.filter(pa.array(~accepted)).append_column(
        "reason", pa.array(reasons, pa.string())
    )
    kept = conform(table.filter(pa.array(accepted)), contract.schema, what=contract.title)
    return kept, quarantined


def reasons_by_row(violations: pa.Table) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the refused rows in order, and for each all its reasons joined by "; "."""
    rows, starts = np.unique(violations.column("row").to_numpy(), return_index=True)
    reasons = violations.column("reason").to_pylist()
    ends = np.append(starts[1:], len(reasons))
    joined = [
        "; ".join(reasons[start:end])
        for start, end in zip(starts, ends[: len(starts)], strict=True)
    ]
    return rows, joined


def describe_violations(violations: pa.Table, contract: Contract, *, rows: int) -> str:
    """Write the message for *violations* among *rows* rows: a headline, then a line a row."""
    refused, reasons = reasons_by_row(violations)
    ids = dict(
        zip(*(violations.column(each).to_pylist() for each in ("row", "row_id")), strict=True)
    )
    lines = [f"{contract.title}: {_spaced(len(refused))} of {_spaced(rows)} rows refused"]
    for row, reason in zip(refused[:_SHOWN].tolist(), reasons, strict=False):
        name = f" ({contract.name} {ids[row]})" if ids[row] is not None else ""
        lines.append(f"  row {row}{name}: {reason}")
    if (more := len(refused) - _SHOWN) > 0:
        lines.append(f"  and {_spaced(more)} more")
    return "\n".join(lines)


def _flag_sql(rules: Sequence[tuple[int, Rule]], contract: Contract, *, now: datetime) -> str:
    """One pass: keep the rows that any rule refuses, with a flag for each rule."""
    told = [each for _, rule in rules if isinstance(rule, NotAfter) for each in columns_of(rule)]
    kept = [identifier(each) for each in dict.fromkeys([_ROW, contract.id_column, *told])]
    flags = [f"{refused_sql(rule, contract.schema, now=now)} AS {_flag(at)}" for at, rule in rules]
    any_flag = " OR ".join(_flag(at) for at, _ in rules) or "false"
    return (
        f"CREATE TEMP TABLE flagged AS SELECT {', '.join([*kept, *flags])} "
        f"FROM given WHERE {any_flag}"
    )


def _breaches_sql(at: int, rule: Rule, contract: Contract, source: str, *, now: datetime) -> str:
    row_id = identifier(contract.id_column)
    return (
        f"SELECT {at} AS rule_at, {literal(rule.kind)} AS rule, {literal(rule.column)} AS subject, "
        f"{_ROW}, CASE WHEN regexp_full_match({row_id}, {literal(_PLAIN_ID)}) THEN {row_id} END "
        f"AS row_id, {reason_sql(rule, now=now)} AS reason FROM {source}"
    )


def _repeated_rows(rule: Unique | CompoundUnique, contract: Contract) -> str:
    keys = ", ".join(identifier(each) for each in key_columns(rule))
    repeated = repeated_sql(rule, contract.schema, table="given")
    row = f"{_ROW}, {identifier(contract.id_column)}"
    return f"(SELECT {row} FROM given SEMI JOIN ({repeated}) USING ({keys}))"


def _flag(at: int) -> str:
    return f"refused_{at}"


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")
