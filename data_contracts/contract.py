"""Contracts: what a valid table is, read from ODCS v3 YAML and held to the Arrow schemas."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from data_contracts.errors import ContractError
from data_contracts.rules import (
    RULE_KINDS,
    InRange,
    InSet,
    Matches,
    MaxLength,
    NotNull,
    Rule,
    Unique,
    When,
    columns_of,
    spans_rows,
)
from data_contracts.schemas import SCHEMAS

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaProperty


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a valid table of one record is."""

    name: str  # the record, singular: "event"
    version: str
    schema: pa.Schema
    rules: tuple[Rule, ...]
    id_column: str  # names a row in messages
    # What a column holds, in words, for pages; a column that speaks for itself has none.
    descriptions: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""  # what a row is, in a sentence, for pages

    @property
    def title(self) -> str:
        """The name of a table of such records, as messages use it: "events"."""
        return f"{self.name}s"

    def row_by_row(self) -> "Contract":
        """Return the contract without the rules that compare rows with one another."""
        return replace(self, rules=tuple(rule for rule in self.rules if not spans_rows(rule)))


@cache
def load_contract(name: str) -> Contract:
    """Read the contract of the record *name*.

    Raises:
        ContractError: no such contract, or its YAML disagrees with the Arrow schema.
    """
    if name not in SCHEMAS:
        raise ContractError(f"no contract named {name!r}; there are {', '.join(SCHEMAS)}")
    return parse_contract(contract_text(name), schema=SCHEMAS[name])


def contract_text(name: str) -> str:
    """Return the YAML of the contract *name* as shipped."""
    return (files("data_contracts") / "contracts" / f"{name}.odcs.yaml").read_text("utf-8")


def parse_contract(text: str, *, schema: pa.Schema) -> Contract:
    """Parse ODCS YAML that describes one table with the columns of *schema*.

    Raises:
        ContractError: the columns differ from *schema*, or a rule is not in the vocabulary.
    """
    from open_data_contract_standard.model import OpenDataContractStandard

    document = OpenDataContractStandard.from_string(text)
    name = document.name or ""
    if not document.schema_ or len(document.schema_) != 1:
        raise ContractError(f"contract {name}: it must describe one table")
    table = document.schema_[0]
    properties = table.properties or []
    _require_same_columns(name, properties, schema)
    keys = sorted((p.primaryKeyPosition or 1, str(p.name)) for p in properties if p.primaryKey)
    if not keys:
        raise ContractError(f"contract {name}: no column is marked primaryKey")
    rules = [rule for each in properties for rule in _column_rules(each)]
    for check in table.quality or []:
        if check.engine != "flywheel" or not isinstance(check.implementation, dict):
            raise ContractError(f"contract {name}: check {check.name} is not a flywheel rule")
        rules.append(_rule(name, check.implementation))
    for rule in rules:
        if unknown := [each for each in columns_of(rule) if each not in schema.names]:
            raise ContractError(f"contract {name}: {rule.kind} names unknown {unknown[0]}")
    return Contract(
        name=name,
        version=document.version or "",
        schema=schema,
        rules=tuple(rules),
        id_column=keys[-1][1],
        descriptions={str(p.name): p.description for p in properties if p.description},
        purpose=(document.description and document.description.purpose) or "",
    )


def _require_same_columns(name: str, properties: "list[SchemaProperty]", schema: pa.Schema) -> None:
    written = [(str(p.name), str(p.physicalType), not p.required) for p in properties]
    meant = [(field.name, str(field.type), field.nullable) for field in schema]
    if written != meant:
        wrong = next(
            (w or m for w, m in zip(written, meant, strict=False) if w != m),
            ("the number of columns",),
        )
        raise ContractError(
            f"contract {name}: its columns differ from the Arrow schema, first at {wrong[0]}; "
            "make name, physicalType, required and order agree"
        )


def _column_rules(column: "SchemaProperty") -> Iterator[Rule]:
    name = str(column.name)
    if column.required:
        yield NotNull(column=name)
    if column.enum:
        yield InSet(column=name, values=tuple(str(each.value) for each in column.enum))
    options = column.logicalTypeOptions or {}
    if "maxLength" in options:
        yield MaxLength(column=name, length=int(options["maxLength"]))
    if "pattern" in options:
        pattern = str(options["pattern"])
        if not (pattern.startswith("^") and pattern.endswith("$")):
            raise ContractError(f"pattern of {name}: write it with ^ and $, it is matched whole")
        yield Matches(column=name, pattern=pattern[1:-1])
    if _BOUNDS & options.keys():
        yield InRange(
            column=name,
            minimum=options.get("minimum", options.get("exclusiveMinimum")),
            maximum=options.get("maximum", options.get("exclusiveMaximum")),
            exclusive_minimum="exclusiveMinimum" in options,
            exclusive_maximum="exclusiveMaximum" in options,
        )
    if column.unique:
        yield Unique(column=name)


_BOUNDS: Final = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}


def _rule(contract: str, text: Mapping[str, Any]) -> Rule:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in text.items()
    }
    kind = RULE_KINDS.get(str(fields.pop("rule", None)))
    if kind is None:
        raise ContractError(
            f"contract {contract}: unknown rule {text.get('rule')!r}; "
            f"the vocabulary is {', '.join(RULE_KINDS)}"
        )
    if isinstance(fields.get("when"), Mapping):
        when = fields["when"]
        fields["when"] = When(column=when["column"], values=tuple(when["values"]))
    try:
        return kind(**fields)
    except TypeError as error:
        raise ContractError(f"contract {contract}: rule {kind.kind}: {error}") from error
