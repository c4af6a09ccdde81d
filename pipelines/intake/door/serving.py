"""The door as a process: uvicorn with logs that hold ids alone."""

import logging
from collections.abc import Callable
from pathlib import Path

import uvicorn

from data_contracts.errors import FlywheelError
from pipelines.intake.door.app import LOG, build_app
from pipelines.intake.door.limits import DEFAULT_DOOR_LIMITS, DoorLimits


def open_door(
    folder: Path,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    limits: DoorLimits = DEFAULT_DOOR_LIMITS,
) -> None:
    """Serve until a signal asks to stop; what was acknowledged is in the journals by then.

    Args:
        folder: with the access book.
        host: the address to listen at.
        port: of it; 0 takes a free one.
        ready: called with the door's address once it is open.
        limits: caps on what it lets in.

    Raises:
        FlywheelError: a journal cannot be opened, or another door writes it.
    """
    app = build_app(folder, limits=limits)
    _log_ids_alone()
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False,
        ws="none", lifespan="on", timeout_graceful_shutdown=10, backlog=512,
    )  # fmt: skip
    try:
        _Server(config, ready=ready).run()
    except SystemExit:  # uvicorn's word for a start that failed
        failure: FlywheelError | None = getattr(app.state, "failure", None)
        raise failure or FlywheelError(
            f"the door cannot listen at {host}, port {port}; choose another with --port"
        ) from None


def _log_ids_alone() -> None:
    """Let our own lines through; uvicorn's hold paths, queries and tracebacks as they come."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    lines = logging.StreamHandler()
    lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.handlers = [lines]
    LOG.propagate = False
    LOG.setLevel(logging.INFO)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, *arguments: object, **options: object) -> None:
        await super().startup(*arguments, **options)  # type: ignore[arg-type]  # passed on as it is
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://{host}:{port}")
