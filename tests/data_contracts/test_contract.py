"""The shipped contracts are valid ODCS, agree with the Arrow schemas, and parse to rules."""

import json
from importlib.resources import files

import jsonschema
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from data_contracts import vocabulary
from data_contracts.contract import Contract, contract_text, load_contract, parse_contract
from data_contracts.errors import ContractError
from data_contracts.rules import CompoundUnique, InSet, NotNull, RequiredWhen, Rule, When
from data_contracts.schemas import EVENT, PROMPT, SCHEMAS

every_contract = pytest.mark.parametrize("name", SCHEMAS)


@every_contract
def test_is_valid_by_the_standard(name: str) -> None:
    standard = json.loads((files("open_data_contract_standard") / "schema.json").read_text())
    jsonschema.validate(yaml.safe_load(contract_text(name)), standard)
    assert OpenDataContractStandard.from_string(contract_text(name)).name == name


@every_contract
def test_columns_are_those_of_the_arrow_schema(name: str) -> None:
    (table,) = yaml.safe_load(contract_text(name))["schema"]
    written = [
        (each["name"], each["physicalType"], not each.get("required", False))
        for each in table["properties"]
    ]
    assert written == [(field.name, str(field.type), field.nullable) for field in SCHEMAS[name]]


@every_contract
def test_needed_columns_are_not_null(name: str) -> None:
    contract = load_contract(name)
    filled = {rule.column for rule in contract.rules if isinstance(rule, NotNull)}
    assert filled == {field.name for field in contract.schema if not field.nullable}


@every_contract
def test_every_rule_is_named_once_by_its_reading(name: str) -> None:
    rules = load_contract(name).rules
    assert len(set(rules)) == len(rules)


@pytest.mark.parametrize(
    ("contract", "column", "words"),
    [
        ("event", "kind", vocabulary.EVENT_KINDS),
        ("event", "surface", vocabulary.SURFACES),
        ("generation", "modality", vocabulary.MODALITIES),
        ("annotation", "kind", vocabulary.ANNOTATION_KINDS),
        ("annotation", "tie_kind", vocabulary.TIE_KINDS),
        ("annotation", "aspect", vocabulary.ASPECTS),
        ("preference_pair", "aspect", vocabulary.ASPECTS),
        ("preference_pair", "split", vocabulary.SPLITS),
    ],
)
def test_closed_sets_are_the_vocabulary(contract: str, column: str, words: tuple[str, ...]) -> None:
    assert InSet(column=column, values=words) in load_contract(contract).rules


def test_an_event_is_unique_within_its_tenant_and_named_by_its_id() -> None:
    contract = load_contract("event")
    assert CompoundUnique(columns=("tenant_id", "event_id")) in contract.rules
    assert contract.id_column == "event_id"
    assert contract.title == "events"
    position = When(column="kind", values=("impression",))
    assert RequiredWhen(column="position", when=position) in contract.rules


def test_the_row_by_row_part_leaves_out_only_uniqueness() -> None:
    contract = load_contract("event")
    left_out: set[Rule] = set(contract.rules) - set(contract.row_by_row().rules)
    assert left_out == {CompoundUnique(columns=("tenant_id", "event_id"))}


def _broken(old: str, new: str) -> Contract:
    text = contract_text("event")
    assert old in text
    return parse_contract(text.replace(old, new, 1), schema=EVENT)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rule: compound_unique", "rule: sparkles", "unknown rule 'sparkles'"),
        ("columns: [tenant_id, event_id]", "columns: [tenant_id, nonce]", "unknown nonce"),
        ("columns: [tenant_id, event_id]", "pillars: [tenant_id]", "compound_unique"),
        ("physicalType: int32", "physicalType: int64", "differ from the Arrow schema"),
        ("pattern: '^[!-~]+$'", "pattern: '[!-~]+'", "write it with"),
        ("pattern: '^[!-~]+$'", r"pattern: '^\d+$'", "engines read differently"),
        ("engine: flywheel", "engine: soda", "not a flywheel rule"),
    ],
)
def test_a_contract_outside_the_vocabulary_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        _broken(old, new)


def test_a_contract_of_other_columns_is_refused() -> None:
    with pytest.raises(ContractError, match="differ from the Arrow schema"):
        parse_contract(contract_text("event"), schema=PROMPT)


def test_an_unknown_contract_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match="no contract named 'vibe'"):
        load_contract("vibe")
