"""Executors: Spark's processes, which hold shards of exposures for as long as a fit lasts."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from data_contracts.errors import FlywheelError
from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.kernel import Beliefs, Counts, FloatArray, IntArray, Shown
from pipelines.preferences.partitions import Shard, merge_counts, partial_counts
from pipelines.preferences.workers import Spread
from pipelines.signals.spark import Spark, spark_errors

ROWS: Final = 4_000_000  # exposures of a shard, about: 128 MB, which one message must carry

Held = tuple[IntArray, Iterable[Shown]]


def on_executors(spark: Spark) -> Spread:
    """Return what spreads the E-step of a click table over Spark's executors.

    Raises (the block):
        FlywheelError: an executor ended or could not count its shard.
    """

    @contextmanager
    def spread(table: ClickTable | None) -> Iterator[ClickTable | None]:
        if table is None:
            yield None
            return
        shards = table.shards(max(spark.tasks, -(-table.size // ROWS)))
        with Executors(spark, shards) as executors:
            yield replace(table, counted_by=executors.count)

    return spread


class Executors:
    """Shards on executors; each step tells them what is believed, and they answer with counts."""

    def __init__(self, spark: Spark, shards: Sequence[Shard]) -> None:
        """Send every shard to an executor.

        Exposures on disk are not sent: executors read their files, so they must see the folder.
        """
        self._spark, self._shards = spark, shards
        with spark_errors():
            held = [(shard.items, shard.shown) for shard in shards]
            self._held: Any = spark.context.parallelize(held, len(shards))
            # Without it the exposures would travel with the task of every step.
            self._held.localCheckpoint()
            self._held.count()

    def count(self, beliefs: Beliefs, log_prior: FloatArray) -> Counts:
        """Take the E-step over all shards at once; *log_prior* is (i, c) over all items.

        Raises:
            FlywheelError: Spark gave up, or an executor could not count its shard.
        """
        with spark_errors():
            told = self._spark.context.broadcast((beliefs, log_prior))
            try:
                # In the order of the shards, whichever ends first.
                answers = self._held.map(lambda held: _counted(held, *told.value)).collect()
            finally:
                told.destroy()
        for number, answer in enumerate(answers, 1):
            if isinstance(answer, str):
                raise FlywheelError(
                    f"shard {number} of {len(self._shards)} could not be counted by its executor "
                    f"({answer}); see that executors have this version of the package"
                )
        return merge_counts(self._shards, answers)

    def close(self) -> None:
        """Let executors forget the shards."""
        with spark_errors():
            self._held.unpersist()

    def __enter__(self) -> Self:
        """Return the executors."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Let them forget."""
        if error is None:  # otherwise Spark itself may be gone
            self.close()


def _counted(held: Held, beliefs: Beliefs, log_prior: FloatArray) -> Counts | str:
    items, shown = held
    try:
        return partial_counts(shown, beliefs, log_prior[items])
    except Exception as error:  # whatever it was, whoever asked must hear of it
        return type(error).__name__
