"""Serve one zone's door: python -m pipelines.media.serve ROOT PORT UPSTREAM."""

import sys
from pathlib import Path

import uvicorn

from pipelines.labelling.ledger import open_ledger
from pipelines.media.door import build_door
from pipelines.media.signing import zone_key
from pipelines.stores import open_stores


def serve(root: Path, *, port: int, upstream: str) -> None:
    """Serve until a signal asks to stop; on loopback alone."""
    door = build_door(open_stores(root).blobs, open_ledger(root), zone_key(root), upstream=upstream)
    uvicorn.run(door, host="127.0.0.1", port=port, log_level="warning", server_header=False)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), port=int(sys.argv[2]), upstream=sys.argv[3])
