"""The reference of the contracts, written from the contracts themselves.

python -m pipelines.commands.contract_reference > docs/reference/contracts.md
"""

import inspect
from typing import Final

import pyarrow as pa
import typer

from data_contracts.contract import Contract, load_contract
from data_contracts.rules import (
    RULE_KINDS,
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
from data_contracts.schemas import SCHEMAS

_HEAD: Final = """# Contracts

Written by `python -m pipelines.commands.contract_reference`; a test keeps it in step with the code.

What a valid row is. Each contract ships as ODCS YAML in `data_contracts/contracts/`, and must agree
with the Arrow schema in `data_contracts/schemas.py`. A column that may be null may be absent from a
file that comes in. A rule lets a null pass unless it says that the column is filled; NaN counts as
null. A rule's name is what quarantine and refusals count by.
"""


def contract_reference() -> str:
    """Return the reference as Markdown: every contract with its version, columns and rules."""
    kinds = [f"| `{kind}` | {_sentence(rule)} |" for kind, rule in RULE_KINDS.items()]
    return "\n".join(
        [
            _HEAD,
            *[_section(load_contract(name)) for name in SCHEMAS],
            "## Rules",
            "",
            "The closed vocabulary; each compiles to DuckDB SQL and to a Great Expectations suite.",
            "",
            "| rule | refuses a row unless |",
            "|---|---|",
            *kinds,
            "",
        ]
    )


def said(rule: Rule) -> str:
    """Return what *rule* asks of a row, in words.

    Example:
        >>> said(InRange(column="value", minimum=0, maximum=1, when=When(column="kind",
        ...     values=("edit",))))
        'from 0 to 1, where `kind` is `edit`'
    """
    match rule:
        case NotNull():
            words = "filled"
        case Unique() | CompoundUnique():
            words = "no two rows share it"
        case InSet(values=values):
            words = f"one of {_listed(values)}"
        case InRange(when=when):
            words = _range(rule) + ("" if when is None else f", where {_condition(when)}")
        case Matches(pattern=pattern):
            words = f"matches `{pattern}` as a whole"
        case MaxLength(length=length):
            words = f"at most {length} characters"
        case RequiredWhen(when=when):
            words = f"filled where {_condition(when)}"
        case NotAfter(other=other, tolerance_s=tolerance):
            late = f"{tolerance} s after " if tolerance else ""
            words = f"at most {late}{'now' if other is None else f'`{other}`'}"
        case Differs(other=other):
            words = f"differs from `{other}`"
    return words


def _section(contract: Contract) -> str:
    columns = [_column(contract, field) for field in contract.schema]
    rules = [
        f"| `{_escaped(rule_name(rule))}` | {_escaped(said(rule))} |"
        for rule in contract.rules
        if not isinstance(rule, NotNull)
    ]
    return "\n".join(
        [
            f"## {contract.name}",
            "",
            f"Version {contract.version}. {contract.purpose} "
            f"A row is named by `{contract.id_column}`.",
            "",
            "| column | type | needed | meaning |",
            "|---|---|---|---|",
            *columns,
            "",
            "| rule | the column is |",
            "|---|---|",
            *rules,
            "",
        ]
    )


def _column(contract: Contract, field: pa.Field) -> str:
    meaning = _escaped(contract.descriptions.get(field.name, ""))
    needed = "may be null" if field.nullable else "yes"
    return f"| `{field.name}` | {field.type} | {needed} | {meaning} |"


def _range(rule: InRange) -> str:
    parts = []
    if rule.minimum is not None:
        parts.append(f"{'above' if rule.exclusive_minimum else 'from'} {rule.minimum:g}")
    if rule.maximum is not None:
        parts.append(f"{'below' if rule.exclusive_maximum else 'to'} {rule.maximum:.10g}")
    return " ".join(parts)


def _condition(when: When) -> str:
    return f"`{when.column}` is {' or '.join(f'`{value}`' for value in when.values)}"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _sentence(rule: type[Rule]) -> str:
    first = inspect.cleandoc(rule.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return _escaped(first)


def _escaped(text: str) -> str:
    """Keep a bar from ending its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    typer.echo(contract_reference(), nl=False)
