"""Values as parsed from a file, made into typed Arrow columns; misfits are named, not guessed."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.conform import cast_column
from data_contracts.errors import ContractError

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}(\.0*)?")
_PLAIN_NUMBER: Final = r"^-?[0-9]{1,19}(\.[0-9]+)?$"
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*")

_FIRST_TICK: Final = -62_135_596_800_000_000  # 0001-01-01, in microseconds since 1970
_LAST_TICK: Final = 253_402_300_799_999_999  # the end of 9999


def typed_column(
    values: Sequence[Any], field: pa.Field, *, from_text: bool
) -> tuple[pa.Array, list[int]]:
    """Make *values* a column of *field*'s type.

    Args:
        values: as JSON gives them, or text where *from_text*; None is null.
        field: text, integer, float or timestamp.
        from_text: numbers are written out, and an empty text is null (CSV).

    Returns:
        The column, null where a value is of another type, and the places of those values.
        A time without a zone is UTC; a whole float is an integer; NaN is null.
    """
    quick = _quick_column(values, field, from_text=from_text)
    if quick is not None:
        return _within_calendar(quick)
    read = _reader(field.type, from_text=from_text)
    typed: list[Any] = []
    misfits: list[int] = []
    for place, value in enumerate(values):
        try:
            # A round trip through Arrow finds what does not fit, such as an int64 in an int32.
            typed.append(None if value is None else pa.scalar(read(value), field.type))
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            typed.append(None)
            misfits.append(place)
    return pa.array([None if each is None else each.as_py() for each in typed], field.type), misfits


def retyped_column(column: pa.ChunkedArray, field: pa.Field) -> tuple[pa.Array, list[int]]:
    """Do the same for a column that has a type of its own, such as one of a Parquet file."""
    try:
        cast = cast_column(column, field, what="column").combine_chunks()
    except ContractError:
        return typed_column(column.to_pylist(), field, from_text=False)
    return _within_calendar(cast)


def _within_calendar(column: pa.Array) -> tuple[pa.Array, list[int]]:
    """Take out times before year 1 or after 9999: Arrow holds them, Python and pandas cannot."""
    if not pa.types.is_timestamp(column.type):
        return column, []
    ticks = column.cast(pa.int64())
    outside = pc.or_(pc.less(ticks, _FIRST_TICK), pc.greater(ticks, _LAST_TICK))
    misfits = pc.indices_nonzero(outside.fill_null(False)).to_pylist()
    return pc.if_else(outside, pa.scalar(None, column.type), column), misfits


def _quick_column(  # noqa: PLR0911 - one return a form
    values: Sequence[Any], field: pa.Field, *, from_text: bool
) -> pa.Array | None:
    """Convert all at once where every value has the expected form; None if any has not."""
    kinds = set(map(type, values)) - {type(None)}
    target = field.type
    try:
        if kinds <= {str}:
            text = pa.array([each or None for each in values] if from_text else values, pa.string())
            if pa.types.is_string(target):
                return text
            if pa.types.is_timestamp(target):
                return text.cast(target)
            # Arrow alone would read "0x10" as a number too, so the form is checked first.
            plain = from_text and pc.all(pc.match_substring_regex(text, _PLAIN_NUMBER)).as_py()
            return text.cast(target) if plain is not False else None
        if pa.types.is_integer(target) and kinds <= {int}:
            return pa.array(values, target)
        if pa.types.is_floating(target) and kinds <= {int, float}:
            return pa.array(values, target, from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        return None
    return None


def _reader(target: pa.DataType, *, from_text: bool) -> Callable[[Any], Any]:
    if pa.types.is_timestamp(target):
        read: Callable[[Any], Any] = _moment
    elif pa.types.is_integer(target):
        read = _integer_from_text if from_text else _integer
    elif pa.types.is_floating(target):
        read = _number_from_text if from_text else _number
    else:
        read = _text
    if not from_text:
        return read
    return lambda value: None if value == "" else read(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: Any) -> int | None:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    return int(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return None if math.isnan(value) else float(value)


def _integer_from_text(value: str) -> int | None:
    if value.lower() == "nan":
        return None
    if not _INTEGER.fullmatch(value):
        raise ValueError
    return int(value.partition(".")[0])


def _number_from_text(value: str) -> float | None:
    if value.lower() == "nan":
        return None
    if not _NUMBER.fullmatch(value):
        raise ValueError
    return float(value)


def _moment(value: Any) -> datetime:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise TypeError
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
