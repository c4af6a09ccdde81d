"""The form of an event that comes in over HTTP: the event contract, compiled for msgspec.

Types, patterns, sets and ranges of single columns are read out of the contract, so that the door
and `flywheel ingest` cannot drift apart. Rules over several columns are admission's: they are
judged when the journal lands.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec
import pyarrow as pa

from data_contracts.contract import load_contract
from data_contracts.rules import InRange, InSet, Matches, MaxLength, Rule

_STATED_BY_DOOR: Final = ("tenant_id", "received_at")  # whose key it is, and the door's clock
_ENVELOPED: Final = ("event_id", "occurred_at")  # an envelope may say these
_INT_BYTES: Final = {pa.int32(): 4, pa.int64(): 8}
_Mode = Literal["exact", "quick", "published"]
_PLAIN: Final = "[!-~]+"
PLAIN_TEXT: Final = bytes(range(ord("!"), ord("~") + 1))  # what _PLAIN lets through


@cache
def event_form(*, published: bool = False) -> Any:
    """Return the msgspec type of an event; tenant_id and received_at may be left out.

    Args:
        published: as clients are told, narrower than what is taken: without the columns that the
            door states itself, and without 3.0 in place of 3.
    """
    return _compiled("Event", stated=_STATED_BY_DOOR, mode="published" if published else "exact")


@cache
def quick_form() -> Any:
    """Return a wider type of the same columns: texts without their patterns, integers alone.

    What it takes and writes as nothing but PLAIN_TEXT, `event_form` takes too. None where the
    contract has texts of another pattern, for then that does not follow.
    """
    rules = load_contract("event").rules
    if {rule.pattern for rule in rules if isinstance(rule, Matches)} != {_PLAIN}:
        return None
    return _compiled("QuickEvent", stated=_STATED_BY_DOOR, mode="quick")


@cache
def integer_columns() -> tuple[str, ...]:
    """Return the columns that hold whole numbers."""
    schema = load_contract("event").schema
    return tuple(field.name for field in schema if pa.types.is_integer(field.type))


@cache
def enveloped_form(*, published: bool = False) -> Any:
    """Return the msgspec type of an event whose id and time may be on its envelope."""
    return _compiled(
        "EnvelopedEvent",
        stated=(*_STATED_BY_DOOR, *_ENVELOPED),
        mode="published" if published else "exact",
    )


@cache
def column_type(name: str) -> Any:
    """Return the annotated type that the contract gives to a column that must be filled."""
    contract = load_contract("event")
    return _column_type(contract.schema.field(name), contract.rules, mode="published")


def _compiled(name: str, *, stated: tuple[str, ...], mode: _Mode) -> Any:
    contract = load_contract("event")
    needed: list[Any] = []
    others: list[Any] = []
    for field in contract.schema:
        if mode == "published" and field.name in stated:
            continue
        kind = _column_type(field, contract.rules, mode=mode)
        if field.nullable or field.name in stated:
            others.append((field.name, kind | None, None))
        else:
            needed.append((field.name, kind))
    return msgspec.defstruct(
        name, [*needed, *others], forbid_unknown_fields=True, omit_defaults=True, gc=False
    )


def _column_type(field: pa.Field, rules: Iterable[Rule], *, mode: _Mode) -> Any:
    mine = [rule for rule in rules if rule.column == field.name]
    for rule in mine:
        if isinstance(rule, InSet):
            return Literal[rule.values]
    if pa.types.is_timestamp(field.type):
        return Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
    caps: dict[str, Any] = {}
    for rule in mine:
        if isinstance(rule, Matches):
            if mode == "quick":
                caps["min_length"] = 1
                continue
            # `$` would let a line end follow; `published` writes it portably.
            caps["pattern"] = rf"\A(?:{rule.pattern})\Z"
        elif isinstance(rule, MaxLength):
            caps["max_length"] = rule.length
        elif isinstance(rule, InRange) and rule.when is None:
            caps |= _bounds(rule)
    if pa.types.is_integer(field.type):
        caps.setdefault("le", 2 ** (8 * _INT_BYTES[field.type] - 1) - 1)
        if mode == "exact":
            return Annotated[int, msgspec.Meta(**caps)] | Annotated[float, msgspec.Meta(**caps)]
        kind: Any = int
    else:
        kind = float if pa.types.is_floating(field.type) else str
    return Annotated[kind, msgspec.Meta(**caps)] if caps else kind


def _bounds(rule: InRange) -> dict[str, float]:
    named = {
        "gt" if rule.exclusive_minimum else "ge": rule.minimum,
        "lt" if rule.exclusive_maximum else "le": rule.maximum,
    }
    return {name: bound for name, bound in named.items() if bound is not None}
