"""Rules as a Great Expectations suite: the door's validator and the oracle for the SQL.

The only module that imports Great Expectations, and only when a function is called (it takes
seconds). Nothing is sent, nothing is written, and no Data Docs are built.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from types import ModuleType
from typing import Any, Final

import pyarrow as pa

from data_contracts import schemas
from data_contracts.conform import conform_unvalidated
from data_contracts.contract import Contract
from data_contracts.errors import ContractError
from data_contracts.rules import (
    CompoundUnique,
    Differs,
    InRange,
    InSet,
    Matches,
    MaxLength,
    NotAfter,
    NotNull,
    RequiredWhen,
    Rule,
    Unique,
    When,
    rule_name,
)

_ROW: Final = "__row"
_MARGIN: Final = "__plus_"  # a time column's name, with this and the tolerance in front

FAILED_SCHEMA: Final = pa.schema(
    [
        pa.field("rule", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)


def expected_failures(table: pa.Table, contract: Contract, *, now: datetime) -> pa.Table:
    """Validate *table* with Great Expectations and list the rows that each rule refuses.

    Returns:
        Columns rule, column, row (from 0), in that order of rules and rows; empty if valid.

    Raises:
        ContractError: the table cannot take the contract's schema, or a check could not run.
    """
    gx = _great_expectations()
    ready = conform_unvalidated(table, contract.schema, what=contract.title)
    frame = _frame(ready, contract.rules)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("memory")
    asset = source.add_dataframe_asset(contract.name)
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    result = batch.validate(build_suite(contract, now=now), result_format=_COMPLETE)
    found = sorted(
        each for outcome in result.results for each in _failed_rows(outcome, contract.rules)
    )
    return pa.table(
        [
            [contract.rules[at].kind for at, _ in found],
            [contract.rules[at].column for at, _ in found],
            [row for _, row in found],
        ],
        schema=FAILED_SCHEMA,
    )


def build_suite(contract: Contract, *, now: datetime) -> Any:
    """Compile the contract to a suite, one expectation a rule, each named in its meta.

    Raises:
        ContractError: *now* has no time zone.
    """
    if now.tzinfo is None:
        raise ContractError("now has no time zone; pass a moment such as datetime.now(UTC)")
    gx = _great_expectations()
    return gx.ExpectationSuite(
        name=contract.name,
        expectations=[
            _expectation(gx.expectations, rule, now, {"at": at, "rule": rule_name(rule)})
            for at, rule in enumerate(contract.rules)
        ],
    )


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Let imports find no *module*, as if it were not installed; one imported before stays."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # what Python takes for "not there"
    try:
        yield
    finally:
        del sys.modules[module]


@cache
def _great_expectations() -> ModuleType:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read once, at import
    # It would import Spark where that is installed. We hand it frames alone, and in a process
    # without a main file (a worker of a test, an embedding) Spark Connect ends the process.
    with _hidden("pyspark.sql.connect" if "pyspark" in sys.modules else "pyspark"):
        import great_expectations as gx

    # Its bars and its advice would otherwise land in the middle of a command's output.
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


_COMPLETE: Final = {"result_format": "COMPLETE", "unexpected_index_column_names": [_ROW]}


def _expectation(gxe: Any, rule: Rule, now: datetime, meta: dict[str, Any]) -> Any:  # noqa: PLR0911 - one return a rule
    match rule:
        case NotNull(column=column):
            return gxe.ExpectColumnValuesToNotBeNull(column=column, meta=meta)
        case Unique(column=column):
            return gxe.ExpectColumnValuesToBeUnique(column=column, meta=meta)
        case InSet(column=column, values=values):
            return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), meta=meta)
        case InRange(column=column, when=when):
            return gxe.ExpectColumnValuesToBeBetween(
                column=column,
                min_value=rule.minimum,
                max_value=rule.maximum,
                strict_min=rule.exclusive_minimum,
                strict_max=rule.exclusive_maximum,
                **_row_condition(when),
                meta=meta,
            )
        case Matches(column=column, pattern=pattern):
            # \Z, not $: the latter would let a trailing newline pass.
            whole = rf"\A(?:{pattern})\Z"
            return gxe.ExpectColumnValuesToMatchRegex(column=column, regex=whole, meta=meta)
        case MaxLength(column=column, length=length):
            return gxe.ExpectColumnValueLengthsToBeBetween(
                column=column, max_value=length, meta=meta
            )
        case RequiredWhen(column=column, when=when):
            return gxe.ExpectColumnValuesToNotBeNull(
                column=column, **_row_condition(when), meta=meta
            )
        case NotAfter(column=column, other=None, tolerance_s=tolerance):
            latest = now.astimezone(UTC).replace(tzinfo=None) + timedelta(seconds=tolerance)
            return gxe.ExpectColumnValuesToBeBetween(column=column, max_value=latest, meta=meta)
        case NotAfter(column=column, other=str(other), tolerance_s=tolerance):
            return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=_with_margin(other, tolerance),
                column_B=column,
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                meta=meta,
            )
        case Differs(column=column, other=other):
            return gxe.ExpectSelectColumnValuesToBeUniqueWithinRecord(
                column_list=[column, other], ignore_row_if="any_value_is_missing", meta=meta
            )
        case CompoundUnique(columns=columns):
            return gxe.ExpectCompoundColumnsToBeUnique(
                column_list=list(columns), ignore_row_if="any_value_is_missing", meta=meta
            )
    raise ContractError(f"{rule_name(rule)} has no expectation")


def _row_condition(when: When | None) -> dict[str, Any]:
    if when is None:
        return {}
    from great_expectations.expectations.row_conditions import Column

    return {"row_condition": Column(when.column).is_in(list(when.values))}


def _frame(table: pa.Table, rules: tuple[Rule, ...]) -> Any:
    """Lay the table out for pandas, with a row number and each deadline that has a margin."""
    # GX drops the zone of a bound, so both sides are compared without one, in UTC.
    bare = [
        pa.field(each.name, pa.timestamp(each.type.unit) if each.type == schemas.UTC else each.type)
        for each in table.schema
    ]
    frame = table.cast(pa.schema(bare)).to_pandas()
    frame[_ROW] = range(len(frame))
    for rule in rules:
        if isinstance(rule, NotAfter) and rule.other is not None:
            margin = timedelta(seconds=rule.tolerance_s)
            frame[_with_margin(rule.other, rule.tolerance_s)] = frame[rule.other] + margin
    return frame


def _with_margin(column: str, tolerance_s: int) -> str:
    return f"{_MARGIN}{tolerance_s}_{column}"


def _failed_rows(outcome: Any, rules: tuple[Rule, ...]) -> Iterator[tuple[int, int]]:
    at = int(outcome.expectation_config.meta["at"])
    if "unexpected_count" not in outcome.result:
        raise ContractError(f"Great Expectations could not run {rule_name(rules[at])}")
    for each in outcome.result.get("unexpected_index_list") or []:
        yield at, int(each[_ROW])
