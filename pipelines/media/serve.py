"""Serve one zone's door: python -m pipelines.media.serve ROOT PORT UPSTREAM."""

import sys
from pathlib import Path

import uvicorn

from annotation.server import read_or_make_secrets
from pipelines.labelling.ledger import open_ledger
from pipelines.labelling.service import server_folder
from pipelines.labelling.waking import wake
from pipelines.media.door import build_door
from pipelines.media.signing import zone_key
from pipelines.stores import open_stores


def serve(root: Path, *, port: int, upstream: str) -> None:
    """Serve until a signal asks to stop; on loopback alone."""

    def password_of(address: str) -> str | None:
        # Read each time: people join while the door stands open.
        return read_or_make_secrets(server_folder(root)).passwords.get(address)

    door = build_door(
        open_stores(root).blobs,
        open_ledger(root),
        zone_key(root),
        upstream=upstream,
        password_of=password_of,
        answered=lambda: wake(root),
    )
    uvicorn.run(door, host="127.0.0.1", port=port, log_level="warning", server_header=False)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), port=int(sys.argv[2]), upstream=sys.argv[3])
