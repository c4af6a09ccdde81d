"""Great Expectations and DuckDB refuse the same rows: GX is the oracle for our SQL."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data_contracts.contract import Contract, load_contract
from data_contracts.errors import ContractError
from data_contracts.expectations import expected_failures
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
    Unique,
    When,
)
from pipelines.stores.enforcer import find_violations

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
UTC_TIME = pa.timestamp("us", tz="UTC")
ODD_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field('odd "name', pa.string()),
        pa.field("count", pa.int32()),
        pa.field("share", pa.float64()),
        pa.field("early", UTC_TIME),
        pa.field("late", UTC_TIME),
    ]
)
WORDS = ("o'clock", 'qu"ote', "ab", "")
CHOSEN = When(column="id", values=("ab", "o'clock"))
ODD_CONTRACT = Contract(
    name="oddity",
    version="1.0.0",
    schema=ODD_SCHEMA,
    id_column="id",
    rules=(
        NotNull(column="id"),
        Unique(column="id"),
        InSet(column='odd "name', values=WORDS),
        Matches(column="id", pattern="[a-c]+|o'[a-z]{2,5}"),
        MaxLength(column="id", length=2),
        InRange(column="count", minimum=0),
        InRange(column="count", maximum=2, exclusive_maximum=True, when=CHOSEN),
        InRange(column="share", minimum=0, maximum=1, exclusive_minimum=True),
        RequiredWhen(column="share", when=CHOSEN),
        NotAfter(column="early", other="late", tolerance_s=60),
        NotAfter(column="late", tolerance_s=60),
        Differs(column="id", other='odd "name'),
        CompoundUnique(columns=('odd "name', "count")),
    ),
)

words = st.sampled_from([*WORDS, "abc", "ab\n", "\nab", "Ab", "é", "e\u0301", "🦤🏽", "o'clock "])
# Steps around the tolerance, on both sides of it and exactly on it.
moments = st.sampled_from([-61_000_000, -1, 0, 1, 60_000_000, 60_000_001, 86_400_000_000]).map(
    lambda us: NOW + timedelta(microseconds=us)
)
rows = st.fixed_dictionaries(
    {
        "id": st.none() | words,
        'odd "name': st.none() | words,
        "count": st.none() | st.integers(-1, 3),
        "share": st.none()
        | st.sampled_from([0.0, -0.0, 0.5, 1.0, 1.0000001, float("nan"), float("inf"), -1e300]),
        "early": st.none() | moments,
        "late": st.none() | moments,
    }
)


def _refused(found: pa.Table) -> list[tuple[str, str, int]]:
    return sorted(
        zip(*(found.column(n).to_pylist() for n in ("rule", "column", "row")), strict=True)
    )


# No shrinking: at a third of a second a call, a failure would take many minutes to tell.
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(rows, min_size=1, max_size=30))
def test_both_engines_refuse_the_same_rows(sample: list[dict[str, object]]) -> None:
    nullable = pa.schema([field.with_nullable(True) for field in ODD_SCHEMA])
    table = pa.Table.from_pylist(sample, schema=nullable)
    by_gx = expected_failures(table, ODD_CONTRACT, now=NOW)
    by_sql = find_violations(table, ODD_CONTRACT, now=NOW)
    assert _refused(by_sql) == _refused(by_gx)


def test_every_rule_of_the_odd_contract_can_refuse() -> None:
    """The property above would be empty for a rule that no row could break."""
    bad = {"id": None, 'odd "name': "abc", "count": -1, "share": 2.0, "early": NOW, "late": NOW}
    late = NOW + timedelta(days=1)
    table = pa.Table.from_pylist(
        [
            bad,
            bad,
            {"id": "ab", 'odd "name': "ab", "count": 2, "share": None, "early": late, "late": NOW},
            {"id": "ab", 'odd "name': None, "count": 2, "share": 1.0, "early": None, "late": late},
            {"id": "Zebra", 'odd "name': None, "count": 2, "share": 1.0, "early": None},
        ],
        schema=pa.schema([field.with_nullable(True) for field in ODD_SCHEMA]),
    )
    found = find_violations(table, ODD_CONTRACT, now=NOW)
    assert set(found.column("rule").to_pylist()) == {rule.kind for rule in ODD_CONTRACT.rules}
    assert _refused(found) == _refused(expected_failures(table, ODD_CONTRACT, now=NOW))


@pytest.mark.parametrize("name", ["event", "annotation", "preference_pair", "snapshot"])
def test_every_shipped_contract_compiles_to_a_suite_that_runs(name: str) -> None:
    contract = load_contract(name)
    fields = [field.with_nullable(True) for field in contract.schema]
    nothing = pa.Table.from_pylist([{}, {}], schema=pa.schema(fields))
    by_gx = expected_failures(nothing, contract, now=NOW)
    assert _refused(find_violations(nothing, contract, now=NOW)) == _refused(by_gx)
    needed = sum(not field.nullable for field in contract.schema)
    assert by_gx.num_rows == 2 * needed


def test_a_moment_without_a_zone_is_refused() -> None:
    empty = ODD_SCHEMA.empty_table()
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ContractError, match="no time zone"):
        expected_failures(empty, ODD_CONTRACT, now=naive)
    with pytest.raises(ContractError, match="no time zone"):
        find_violations(empty, ODD_CONTRACT, now=naive)


def test_importing_contracts_does_not_import_great_expectations() -> None:
    code = (
        "import sys, data_contracts.expectations, data_contracts.contract as c; "
        "c.load_contract('event'); assert 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("first", ["", "import pyspark; "], ids=["alone", "after Spark"])
def test_spark_beside_it_never_ends_the_process(first: str) -> None:
    """In a process without a main file Spark Connect, which Great Expectations asks for, exits."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    code = (
        f"{first}import data_contracts.expectations as e, sys; e._great_expectations(); "
        "import pyspark.sql; assert 'pyspark.sql.connect' not in sys.modules; print('went on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"exec({code!r})"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "went on\n", done.stderr
