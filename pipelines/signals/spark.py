"""Spark: one session on loopback, quiet, and gone with the block that asked for it.

Needs the extra `spark` and Java 17 or newer. Imported only where Spark is asked for.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import pyarrow as pa

from data_contracts.errors import FlywheelError
from pipelines.signals.engines import Pass, Rows, compiled, shapes

LOCAL: Final = "local[2]"
JAVA: Final = "sudo apt-get install default-jre-headless"

_SETTINGS: Final = {
    "spark.app.name": "preference-flywheel",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.session.timeZone": "UTC",
    "spark.rpc.message.maxSize": "1024",  # MiB: a shard travels in one message
    "spark.driver.maxResultSize": "0",  # counts of all users come back once from every shard
}
_LOCAL: Final = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Two hundred tasks for each join would cost more on one machine than the join.
    "spark.sql.shuffle.partitions": "4",
}
_LOGGING: Final = """
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n
"""


class Held(NamedTuple):
    """Rows that stay on executors."""

    frame: Any  # pyspark.sql.DataFrame
    schema: pa.Schema


class Spark(NamedTuple):
    """A running session; an engine of linear passes."""

    session: Any  # pyspark.sql.SparkSession
    master: str

    def run(self, linear: Pass, **tables: Rows) -> pa.Table:
        """Return the rows of *linear* over *tables*."""
        made = self._made(linear, tables)
        rows: pa.Table = made.frame.toArrow().cast(made.schema)
        return rows

    @contextmanager
    def hold(self, linear: Pass, **tables: Rows) -> Iterator[Rows]:
        """As `run`, but the rows stay on executors, computed once, for the passes in the block."""
        made = self._made(linear, tables)
        frame = made.frame.cache()
        yield made._replace(frame=frame)
        frame.unpersist()

    def _made(self, linear: Pass, tables: dict[str, Rows]) -> Held:
        asked = compiled(linear, "pyspark", shapes(tables))
        for name, rows in tables.items():
            frame = rows.frame if isinstance(rows, Held) else self.session.createDataFrame(rows)
            frame.createOrReplaceTempView(name)
        return Held(self.session.sql(asked.sql), asked.schema)

    @property
    def context(self) -> Any:
        """The SparkContext."""
        return self.session.sparkContext

    @property
    def tasks(self) -> int:
        """How many tasks run at once."""
        return int(self.context.defaultParallelism)


@contextmanager
def spark_session(master: str = LOCAL) -> Iterator[Spark]:
    """Give a Spark session at *master*; one that runs in this process already is used as it is.

    A local master listens on loopback only. What it writes lies in a folder of the system's
    temporary place, and leaves with the block. Memory is what Spark's own settings say
    (spark-defaults.conf in SPARK_CONF_DIR); ours are few, and stand above them.

    Raises:
        FlywheelError: Spark or Java is missing, or Spark does not start.
    """
    if find_spec("pyspark") is None:
        raise FlywheelError(
            "Spark is not installed here; run pip install 'preference-flywheel[spark]'"
        )
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    running = SparkContext._active_spark_context
    if running is not None:
        # A session of its own: settings of SQL and names of tables stay apart.
        session = SparkSession(running).newSession()
        session.conf.set("spark.sql.session.timeZone", "UTC")
        with spark_errors():
            yield Spark(session, running.master)
        return
    _check_java()
    with ExitStack() as ending:
        folder = Path(
            ending.enter_context(
                TemporaryDirectory(prefix="flywheel-spark-", ignore_cleanup_errors=True)
            )
        )
        session = _start(master, folder, ending)
        with spark_errors():
            yield Spark(session, master)


@contextmanager
def spark_errors() -> Iterator[None]:
    """Turn what Spark itself raises into one sentence; its own words may hold rows.

    Raises:
        FlywheelError: Spark failed.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, ConnectionError) as error:
        raise FlywheelError(
            f"Spark ended or gave up ({_reason(error)}); give it more memory "
            "(spark.driver.memory, spark.executor.memory) or leave out --engine spark"
        ) from error


def _reason(error: Exception) -> str:
    """Name what happened without the words of the failure."""
    condition = getattr(error, "getCondition", lambda: None)()
    inside = getattr(error, "java_exception", None)
    if condition is None and inside is not None:
        return str(inside.getClass().getSimpleName())
    return condition or type(error).__name__


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java" if not home else str(Path(home) / "bin" / "java")) is None:
        where = f"JAVA_HOME is {home} and holds no bin/java" if home else "none was found"
        raise FlywheelError(f"Spark needs Java 17 or newer and {where}; run '{JAVA}'")


def _start(master: str, folder: Path, ending: ExitStack) -> Any:
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    logging = folder / "log4j2.properties"
    logging.write_text(_LOGGING, "utf-8")
    told = _SETTINGS | {
        "spark.master": master,
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging}",
    }
    if master.startswith("local"):
        told |= _LOCAL | {
            "spark.local.dir": str(folder),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
    conf = SparkConf(loadDefaults=False).setAll(list(told.items()))
    # What Java says while it starts and ends is for nobody; standard error is one sentence.
    log = ending.enter_context((folder / "spark.log").open("wb"))
    python = os.environ.get("PYSPARK_PYTHON")
    try:
        # Workers run the interpreter that has our packages, not whichever is called python3.
        os.environ["PYSPARK_PYTHON"] = python or sys.executable
        gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
        ending.callback(_end, gateway)
        context = SparkContext(conf=conf, gateway=gateway)
    except (PySparkException, OSError, ValueError) as error:
        raise _not_started(master, folder) from error
    except Exception as error:
        if not type(error).__module__.startswith("py4j"):
            raise
        raise _not_started(master, folder) from error
    finally:
        if python is None:
            os.environ.pop("PYSPARK_PYTHON", None)
    ending.callback(_stop, context)
    return SparkSession(context)


def _stop(context: Any) -> None:
    """End Spark; where Java died, it has ended."""
    from py4j.protocol import Py4JError

    with suppress(Py4JError, OSError):
        context.stop()


def _end(gateway: Any) -> None:
    """Let Java go; the next session starts one of its own."""
    from pyspark import SparkContext

    gateway.shutdown()
    with suppress(BrokenPipeError):
        gateway.proc.stdin.close()
    gateway.proc.wait()
    SparkContext._gateway = SparkContext._jvm = None


def _not_started(master: str, folder: Path) -> FlywheelError:
    lines = (folder / "spark.log").read_text("utf-8", "replace").splitlines()
    said = [line.rpartition("Exception: ")[2] for line in lines if "Exception: " in line]
    told = f" ({said[0]})" if said else ""
    return FlywheelError(f"Spark does not start at --spark-master {master}{told}; give local[2]")
