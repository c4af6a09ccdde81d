"""Workers: processes that hold one shard of exposures each for as long as a fit lasts."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final, Self

from data_contracts.errors import FlywheelError
from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.kernel import Beliefs, Counts, FloatArray
from pipelines.preferences.partitions import (
    Shard,
    checked_processes,
    merge_counts,
    partial_counts,
)

# Gives a click table whose E-step others take, for as long as the block lasts.
Spread = Callable[[ClickTable | None], AbstractContextManager[ClickTable | None]]

_PATIENCE: Final = 5.0  # seconds that a worker gets to leave by itself


@contextmanager
def partitioned(table: ClickTable | None, *, processes: int) -> Iterator[ClickTable | None]:
    """Give *table* with its E-step spread over so many processes, this one among them.

    Other processes start once, get their shard once, and end with the block. There are no more
    of them than the table has shards; 1 starts none.

    Raises:
        ContractError: *processes* cannot be.
        FlywheelError: a process cannot start, or ends before its time.
    """
    shards = () if table is None else table.shards(checked_processes(processes))
    if table is None or len(shards) < 2:
        yield table
        return
    with Workers(shards) as workers:
        yield replace(table, counted_by=workers.count)


class Workers:
    """One process for each shard but the first, which is counted here."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Start the processes and give each its shard."""
        self._shards = shards
        self._workers: list[tuple[BaseProcess, Connection]] = []
        # Never fork: threads of Arrow and DuckDB hold locks that a child would wait for.
        context = get_context("spawn")
        try:
            for _ in shards[1:]:
                here, there = context.Pipe()
                process = context.Process(target=_serve, args=(there,), daemon=True)
                process.start()
                there.close()
                self._workers.append((process, here))
            for number, shard in enumerate(shards[1:], 1):
                self._send(number, shard.shown)
        except OSError as error:
            self.close()
            raise FlywheelError(
                f"a process for a share of the exposures cannot start "
                f"({error.strerror or type(error).__name__}); give fewer --processes"
            ) from error
        except BaseException:
            self.close()
            raise

    @property
    def processes(self) -> tuple[BaseProcess, ...]:
        """The other processes, in the order of their shards."""
        return tuple(process for process, _ in self._workers)

    def count(self, beliefs: Beliefs, log_prior: FloatArray) -> Counts:
        """Take the E-step over all shards at once; *log_prior* is (i, c) over all items.

        Raises:
            FlywheelError: a process ended or could not count its shard.
        """
        for number, shard in enumerate(self._shards[1:], 1):
            self._send(number, (beliefs, log_prior[shard.items]))
        first = self._shards[0]
        own = partial_counts(first.shown, beliefs, log_prior[first.items])

        def each() -> Iterator[Counts]:
            yield own
            for number in range(1, len(self._shards)):
                yield self._receive(number)

        return merge_counts(self._shards, each())

    def close(self) -> None:
        """Let every process end; one that does not leave is killed."""
        for _, connection in self._workers:
            connection.close()
        for process, _ in self._workers:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()

    def __enter__(self) -> Self:
        """Return the workers."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End them."""
        self.close()

    def _send(self, number: int, what: object) -> None:
        try:
            self._workers[number - 1][1].send(what)
        except ConnectionError as error:
            raise self._ended(number) from error

    def _receive(self, number: int) -> Counts:
        try:
            answer = self._workers[number - 1][1].recv()
        except (EOFError, ConnectionError) as error:
            raise self._ended(number) from error
        if isinstance(answer, str):
            raise FlywheelError(
                f"process {number + 1} of {len(self._shards)} could not count its share of the "
                f"exposures ({answer}); give fewer --processes"
            )
        counts: Counts = answer
        return counts

    def _ended(self, number: int) -> FlywheelError:
        process = self._workers[number - 1][0]
        process.join(_PATIENCE)
        code = process.exitcode
        how = f"exit code {code}"
        if code is not None and code < 0:
            how = f"signal {signal.Signals(-code).name}"
        return FlywheelError(
            f"process {number + 1} of {len(self._shards)} ended ({how}) before it had counted its "
            "share of the exposures; free memory or give fewer --processes"
        )


def _serve(connection: Connection) -> None:
    """Count one shard whenever asked, until the other end closes."""
    # Ctrl-C reaches every process of a terminal; the one that asks closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, ConnectionError):
        shown = connection.recv()
        while True:
            beliefs, log_prior = connection.recv()
            try:
                answer: Counts | str = partial_counts(shown, beliefs, log_prior)
            except Exception as error:  # whatever it was, whoever asked must hear of it
                answer = type(error).__name__
            connection.send(answer)
