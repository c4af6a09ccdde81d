"""What assets are given: the zone's stores, its inbox, its annotators.

No `from __future__ import annotations`: Dagster resolves annotations at run time.
"""

from pathlib import Path
from typing import Protocol

import dagster as dg
import pyarrow as pa

from pipelines.inbox import Inbox
from pipelines.settings import WheelSettings, read_resolved
from pipelines.stores import Stores, open_stores


class Wheel(dg.ConfigurableResource):
    """One wheel's folder: stores, inbox and the settings it was started with."""

    root: str

    @property
    def stores(self) -> Stores:
        """Return the zone's stores."""
        return open_stores(Path(self.root))

    @property
    def inbox(self) -> Inbox:
        """Return where deliveries arrive."""
        return Inbox(Path(self.root))

    @property
    def settings(self) -> WheelSettings:
        """Return the settings that the wheel was started with."""
        return read_resolved(Path(self.root))


class AnnotationDesk(Protocol):
    """Where annotation tasks go and answers come from."""

    def push(self, turn: str, tasks: pa.Table) -> None:
        """Hand over the tasks of *turn*; handing them over again changes nothing."""
        ...

    def pull(self, turn: str) -> pa.Table:
        """Return the raw answers to the tasks of *turn*, as rows of the annotation contract."""
        ...
