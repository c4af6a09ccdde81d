"""The closed vocabulary of contract rules: what a row, or a set of rows, must satisfy.

Each rule compiles to DuckDB SQL (`data_contracts.sql`) and to a Great Expectations suite
(`data_contracts.expectations`); both refuse the same rows. Null semantics, shared by both: only
*not_null* and *required_when* refuse a null; every other rule lets a null pass, and a rule over
several columns lets a row pass when any of them is null. NaN counts as null.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from data_contracts.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A condition on a row: *column* holds one of *values* (a null does not)."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNull:
    """*column* is filled."""

    kind: ClassVar[str] = "not_null"
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """No two rows share a value of *column*; all of a repeated value's rows are refused."""

    kind: ClassVar[str] = "unique"
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InSet:
    """*column* holds one of *values*."""

    kind: ClassVar[str] = "in_set"
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InRange:
    """*column* lies between *minimum* and *maximum*; a bound that is None is open."""

    kind: ClassVar[str] = "in_range"
    column: str
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    when: When | None = None  # None: every row

    def __post_init__(self) -> None:
        if self.minimum is None and self.maximum is None:
            raise ContractError(f"in_range({self.column}) has no bound; give it one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """The whole of *column* matches *pattern*.

    Only the part of regular expressions that RE2, Python and ECMA-262 read alike is admitted:
    no letter escapes, no groups with options, and no dot or anchor outside a class.
    """

    kind: ClassVar[str] = "matches"
    column: str
    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ContractError(f"matches({self.column}): {error}") from error
        if _UNPORTABLE.search(_CLASS.sub("x", self.pattern)) or _ESCAPE.search(self.pattern):
            raise ContractError(
                f"matches({self.column}): the pattern uses what engines read differently; "
                "write classes such as [0-9a-f] in place of escapes, dots and anchors"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLength:
    """*column* has at most *length* characters (Unicode code points)."""

    kind: ClassVar[str] = "max_length"
    column: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredWhen:
    """*column* is filled wherever *when* holds."""

    kind: ClassVar[str] = "required_when"
    column: str
    when: When


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAfter:
    """The time in *column* is at most *tolerance_s* seconds after *other*."""

    kind: ClassVar[str] = "not_after"
    column: str
    other: str | None = None  # None: the "now" that is passed at validation
    tolerance_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Differs:
    """*column* and *other* hold different values."""

    kind: ClassVar[str] = "differs"
    column: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompoundUnique:
    """No two rows share the values of *columns*; all rows of a repeated key are refused."""

    kind: ClassVar[str] = "compound_unique"
    columns: tuple[str, ...]

    @property
    def column(self) -> str:
        return ", ".join(self.columns)


Rule = (
    NotNull
    | Unique
    | InSet
    | InRange
    | Matches
    | MaxLength
    | RequiredWhen
    | NotAfter
    | Differs
    | CompoundUnique
)

RULE_KINDS: Final[dict[str, type[Rule]]] = {
    rule.kind: rule
    for rule in (
        NotNull, Unique, InSet, InRange, Matches, MaxLength, RequiredWhen, NotAfter, Differs,
        CompoundUnique,
    )
}  # fmt: skip

_CLASS = re.compile(r"\[(?:\\.|[^\]\\])*\]|\\[^A-Za-z0-9]")
_UNPORTABLE = re.compile(r"\(\?|[.^$]")
_ESCAPE = re.compile(r"\\[A-Za-z0-9]")


def rule_name(rule: Rule) -> str:
    """Return the rule's short name, such as ``in_set(kind)``: stable, so that rows count by it."""
    return f"{rule.kind}({rule.column})"


def spans_rows(rule: Rule) -> bool:
    """Say whether the rule compares rows with one another, so that no row can be judged alone."""
    return isinstance(rule, Unique | CompoundUnique)


def columns_of(rule: Rule) -> tuple[str, ...]:
    """Return the columns that the rule reads."""
    match rule:
        case CompoundUnique(columns=columns):
            return columns
        case NotAfter(column=column, other=other) if other is not None:
            return (column, other)
        case Differs(column=column, other=other):
            return (column, other)
        case RequiredWhen(column=column, when=when):
            return (column, when.column)
        case InRange(column=column, when=when) if when is not None:
            return (column, when.column)
        case _:
            return (rule.column,)
