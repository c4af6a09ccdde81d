"""Working: which engine runs the linear passes, and who takes the E-step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from data_contracts.errors import ContractError
from pipelines.preferences.workers import Spread
from pipelines.signals.engines import DUCKDB, Engine

EngineName = Literal["duckdb", "spark"]


def checked_engine(name: EngineName, *, processes: int) -> None:
    """Refuse what cannot be asked for together.

    Raises:
        ContractError: no such engine, or several processes beside Spark's.
    """
    if name not in get_args(EngineName):
        raise ContractError(f"engine {name} is unknown; use {' or '.join(get_args(EngineName))}")
    if name == "spark" and processes > 1:
        raise ContractError(
            f"processes is {processes}, but with engine spark executors count exposures; "
            "give one of the two"
        )


@contextmanager
def working(
    name: EngineName, spark_master: str, *, in_parts: bool
) -> Iterator[tuple[Engine, Spread | None]]:
    """Give who runs linear passes and who takes the E-step (None: processes of this machine).

    Spark starts here and ends with the block. Where events are joined *in_parts*, DuckDB joins
    them: parts are sized for this process, and sent away one by one they would only wait.

    Raises:
        FlywheelError: Spark or Java is missing, or Spark does not start.
    """
    if name != "spark":
        yield DUCKDB, None
        return
    from pipelines.preferences.executors import on_executors
    from pipelines.signals.spark import spark_session

    with spark_session(spark_master) as spark:
        yield DUCKDB if in_parts else spark, on_executors(spark)
