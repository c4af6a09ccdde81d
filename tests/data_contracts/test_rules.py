"""The vocabulary is closed, and its regular expressions read the same everywhere."""

import re
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import ContractError
from data_contracts.rules import (
    RULE_KINDS,
    InRange,
    Matches,
    NotAfter,
    NotNull,
    Rule,
    columns_of,
    rule_name,
)
from data_contracts.sql import identifier, literal, refused_sql


def test_the_vocabulary_is_these_ten() -> None:
    assert sorted(RULE_KINDS) == [
        "compound_unique", "differs", "in_range", "in_set", "matches",
        "max_length", "not_after", "not_null", "required_when", "unique",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "pattern", ["[!-~]+", "[0-9a-f]{64}", "a|b", "(ab)?c", r"\.[.^$]+", r"[\]\\]", r"a\$"]
)
def test_portable_patterns_are_admitted(pattern: str) -> None:
    assert Matches(column="x", pattern=pattern).pattern == pattern


@pytest.mark.parametrize(
    "pattern", [r"\d+", r"[\w]", "a.b", "^a", "a$", "(?i)a", "(?=a)", r"\Aa", r"(a)\1", "["]
)
def test_patterns_that_engines_read_differently_are_refused(pattern: str) -> None:
    with pytest.raises(ContractError, match=r"matches\(x\)"):
        Matches(column="x", pattern=pattern)


def test_a_range_needs_a_bound() -> None:
    with pytest.raises(ContractError, match="has no bound"):
        InRange(column="x")


def test_a_rule_is_named_by_kind_and_column() -> None:
    rule = NotAfter(column="occurred_at", other="received_at", tolerance_s=60)
    assert rule_name(rule) == "not_after(occurred_at)"
    assert columns_of(rule) == ("occurred_at", "received_at")


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1))
def test_no_text_escapes_its_quotes(text: str) -> None:
    found = duckdb.sql(f"SELECT {literal(text)} AS {identifier(text)}")
    assert found.columns == [text]
    assert found.fetchone() == (text,)


def test_a_quoted_pattern_means_what_python_means() -> None:
    pattern = r"[!-~']+|\.[\]x]{2}"
    rule = Matches(column="x", pattern=pattern)
    for text in ("ab", "o'k", "a b", ".]x", "", "é", "ab\n"):
        by_sql = duckdb.sql(
            f"SELECT regexp_full_match({literal(text)}, {literal(rule.pattern)})"
        ).fetchone()
        assert by_sql == (re.fullmatch(pattern, text) is not None,), text


@pytest.mark.parametrize(
    ("rule", "refused"),
    [(NotNull(column="x"), True), (InRange(column="x", maximum=1), False)],
)
def test_nan_counts_as_null_in_the_sql_itself(rule: Rule, refused: bool) -> None:
    """DuckDB holds NaN above every number, and a table may be judged without `conform`."""
    schema = pa.schema([pa.field("x", pa.float64())])
    condition = refused_sql(rule, schema, now=datetime(2026, 5, 1, tzinfo=UTC))
    found = duckdb.sql(f"SELECT {condition} FROM (SELECT 'nan'::DOUBLE AS x)").fetchone()
    assert found == (refused,)
