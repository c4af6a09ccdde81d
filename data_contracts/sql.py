"""Rules as DuckDB SQL text: what to refuse, and the reason to give; runs nothing itself.

Every expression is true or false, never null (`data_contracts.rules` states what a null means).
Times are compared as microseconds since 1970, so that no session time zone can matter.
"""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

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


def identifier(name: str) -> str:
    """Quote a column or table name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text value."""
    return "'" + text.replace("'", "''") + "'"


def refused_sql(rule: Rule, schema: pa.Schema, *, now: datetime) -> str:  # noqa: PLR0911 - one return a rule
    """Compile a row-by-row rule to a condition that holds for the rows it refuses.

    Args:
        rule: any rule that does not compare rows with one another.
        schema: the table's columns; needed because NaN counts as null in a float column.
        now: the moment of validation, with a time zone.

    Raises:
        ContractError: the rule compares rows; use `repeated_sql`.
    """
    given = f"NOT {missing_sql(rule.column, schema)}"
    column = identifier(rule.column)
    match rule:
        case NotNull():
            return missing_sql(rule.column, schema)
        case InSet(values=values):
            return f"({given} AND {column} NOT IN ({_texts(values)}))"
        case InRange(when=when):
            condition = f" AND {_when(when)}" if when else ""
            return f"({given}{condition} AND ({_outside(rule)}))"
        case Matches(pattern=pattern):
            return f"({given} AND NOT regexp_full_match({column}, {literal(pattern)}))"
        case MaxLength(length=length):
            return f"({given} AND length({column}) > {length})"
        case RequiredWhen(when=when):
            return f"({_when(when)} AND {missing_sql(rule.column, schema)})"
        case NotAfter(other=other, tolerance_s=tolerance):
            also = f" AND NOT {missing_sql(other, schema)}" if other else ""
            return f"({given}{also} AND {_lateness(rule, now)} > {tolerance * 1_000_000})"
        case Differs(other=other):
            return (
                f"({given} AND NOT {missing_sql(other, schema)} AND {column} = {identifier(other)})"
            )
        case Unique() | CompoundUnique():
            raise ContractError(f"{rule_name(rule)} compares rows; use repeated_sql")


def repeated_sql(rule: Unique | CompoundUnique, schema: pa.Schema, *, table: str) -> str:
    """Compile a uniqueness rule to a query for the keys that occur more than once."""
    columns = key_columns(rule)
    keys = ", ".join(identifier(each) for each in columns)
    filled = " AND ".join(f"NOT {missing_sql(each, schema)}" for each in columns)
    return (
        f"SELECT {keys} FROM {identifier(table)} WHERE {filled} GROUP BY {keys} HAVING count(*) > 1"
    )


def reason_sql(rule: Rule, *, now: datetime) -> str:
    """Compile a rule to a text expression: why a refused row is refused, never its content."""
    match rule:
        case NotAfter(column=column, other=other):
            late = _lateness(rule, now)
            return (
                f"{literal(column + ' is ')} || {_duration(late)} || "
                f"{literal(' after ' + (other or 'now'))}"
            )
        case _:
            return literal(_reason(rule))


def missing_sql(column: str, schema: pa.Schema) -> str:
    """Compile the test for a null (or NaN) in *column*."""
    name = identifier(column)
    if pa.types.is_floating(schema.field(column).type):
        return f"({name} IS NULL OR isnan({name}))"
    return f"({name} IS NULL)"


def key_columns(rule: Unique | CompoundUnique) -> tuple[str, ...]:
    """Return the columns whose values may not repeat together."""
    return rule.columns if isinstance(rule, CompoundUnique) else (rule.column,)


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 UTC.

    Raises:
        ContractError: *moment* has no time zone.
    """
    if moment.tzinfo is None:
        raise ContractError("now has no time zone; pass a moment such as datetime.now(UTC)")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _texts(values: tuple[str, ...]) -> str:
    return ", ".join(literal(each) for each in values)


def _when(when: When) -> str:
    return f"coalesce({identifier(when.column)} IN ({_texts(when.values)}), false)"


def _outside(rule: InRange) -> str:
    column = identifier(rule.column)
    bounds = []
    if rule.minimum is not None:
        bounds.append(f"{column} {'<=' if rule.exclusive_minimum else '<'} {rule.minimum!r}")
    if rule.maximum is not None:
        bounds.append(f"{column} {'>=' if rule.exclusive_maximum else '>'} {rule.maximum!r}")
    return " OR ".join(bounds)


def _lateness(rule: NotAfter, now: datetime) -> str:
    limit = f"epoch_us({identifier(rule.other)})" if rule.other else str(microseconds(now))
    return f"(epoch_us({identifier(rule.column)}) - {limit})"


def _duration(microseconds: str) -> str:
    """Whole seconds, minutes, hours or days, in the largest unit that is reached twice."""
    steps = ((172_800, 86_400, " d"), (7_200, 3_600, " h"), (120, 60, " min"))
    cases = " ".join(
        f"WHEN {microseconds} >= {reach}000000 THEN ({microseconds} // {unit}000000) || '{name}'"
        for reach, unit, name in steps
    )
    return f"CASE {cases} ELSE ({microseconds} // 1000000) || ' s' END"


def _reason(rule: Rule) -> str:  # noqa: PLR0911 - one return a rule
    match rule:
        case NotNull(column=column):
            return f"{column} missing"
        case RequiredWhen(column=column, when=when):
            return f"{column} missing; required for {_condition(when)}"
        case InSet(column=column):
            return f"{column} is not a known {column}"
        case InRange(column=column, when=when):
            return f"{column} is outside {_interval(rule)}" + (
                f" for {_condition(when)}" if when else ""
            )
        case Matches(column=column):
            return f"{column} is malformed"
        case MaxLength(column=column, length=length):
            return f"{column} is longer than {length} characters"
        case Differs(column=column, other=other):
            return f"{column} equals {other}"
        case Unique(column=column) | CompoundUnique(column=column):
            return f"{column} repeated"
        case NotAfter(column=column, other=other):
            return f"{column} is after {other or 'now'}"


def _condition(when: When) -> str:
    return f"{when.column} " + " or ".join(f'"{each}"' for each in when.values)


def _interval(rule: InRange) -> str:
    left = "(" if rule.exclusive_minimum or rule.minimum is None else "["
    right = ")" if rule.exclusive_maximum or rule.maximum is None else "]"
    low = "-inf" if rule.minimum is None else f"{rule.minimum:g}"
    high = "inf" if rule.maximum is None else f"{rule.maximum:g}"
    return f"{left}{low}, {high}{right}"
