"""How assets' tables are stored: through the catalogue, with labels joined; nothing is pickled.

No `from __future__ import annotations`: Dagster resolves annotations at run time.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pyarrow as pa
from pydantic import PrivateAttr

from data_contracts.errors import FlywheelError
from data_contracts.labels import Label
from pipelines.columns import column_schema
from pipelines.stores import Parent, Stores, open_stores
from pipelines.stores.asset_tables import (
    WHOLE,
    asset_partitions,
    read_asset_table,
    write_asset_table,
)
from pipelines.stores.canonical import canonical, id_column

PARENTS: Final = "flywheel/parents"  # output metadata: ids of what the asset read by itself
EDGE: Final = "flywheel/edge"  # input metadata: evidence, statistic or lineage


class TableIOManager(dg.ConfigurableIOManager):
    """Stores Arrow tables by content, one pointer a partition.

    An output's parents are the inputs that its step loaded here, and the catalogue ids that the
    asset lists under the output metadata `flywheel/parents` (append tables, snapshots).
    """

    root: str
    catalogue_url: str | None = None
    clearance: list[str] = []  # noqa: RUF012 -- a Pydantic field: copied for every instance

    # What each step has read, by (run id, step key).
    _read: dict[tuple[str, str], set[Parent]] = PrivateAttr(default_factory=dict)

    def handle_output(self, context: dg.OutputContext, obj: pa.Table) -> None:
        """Store *obj* and say on Dagster's page what it is."""
        asset = _name(context)
        if not isinstance(obj, pa.Table):
            raise FlywheelError(
                f"asset {asset} returned a {type(obj).__name__}, but only Arrow tables are stored; "
                "return a pyarrow.Table"
            )
        stated = context.output_metadata.get(PARENTS)
        listed = [] if stated is None else list(_plain(stated))
        ref = write_asset_table(
            self._stores(),
            asset,
            obj,
            parents=[*self._read.get((context.run_id, context.step_key), ()), *listed],
            by=f"run {context.run_id}",
            at=datetime.now(UTC),
            partition=context.asset_partition_key if context.has_asset_partitions else WHOLE,
        )
        context.add_output_metadata(
            {
                "dagster/row_count": ref.rows,
                "dagster/column_schema": column_schema(asset.rsplit("/", 1)[-1], obj.schema),
                "digest": ref.digest,
            }
        )

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """Return what the upstream asset stands at; of many partitions, those that exist."""
        asset, stores = _name(context), self._stores()
        partitions = [WHOLE]
        if context.has_asset_partitions:
            partitions = list(context.asset_partition_keys)
        if len(partitions) > 1:
            made = set(asset_partitions(stores, asset))
            partitions = [each for each in partitions if each in made] or partitions[:1]
        found = [
            read_asset_table(
                stores, asset, clearance=Label(frozenset(self.clearance)), partition=each
            )
            for each in partitions
        ]
        edge = (context.definition_metadata or {}).get(EDGE, "lineage")
        step = _step(context)
        if step is not None:
            read = self._read.setdefault(step, set())
            read.update(Parent(each.digest, edge) for each in found)
        if len(found) == 1:
            return found[0].table
        whole = pa.concat_tables([each.table for each in found])
        return canonical(whole, sort_by=[id_column(whole.schema)])

    def _stores(self) -> Stores:
        return open_stores(Path(self.root), catalogue_url=self.catalogue_url)


class RefusingIOManager(dg.IOManager):
    """The default: an asset must say how its output is stored, for nothing is ever pickled."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Refuse everything but None, which needs no storing."""
        if obj is not None:
            raise FlywheelError(
                f"asset {_name(context)} returned a {type(obj).__name__} without saying how it is "
                "stored; set io_manager_key='tables' for a table, or store it and return None"
            )

    def load_input(self, context: dg.InputContext) -> Any:
        """Refuse: nothing was stored here."""
        raise FlywheelError(
            f"asset {_name(context)} keeps nothing that can be loaded as an input; "
            "declare it in deps and read the stores"
        )


def _name(context: dg.OutputContext | dg.InputContext) -> str:
    return "/".join(context.asset_key.path if context.has_asset_key else context.get_identifier())


def _step(context: dg.InputContext) -> tuple[str, str] | None:
    """Return the step that loads, or None outside a run (a notebook, a page)."""
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:
        return None
    return step.run_id, step.step.key


def _plain(value: Any) -> Any:
    """Return what Dagster wrapped as a metadata value."""
    return value.value if isinstance(value, dg.MetadataValue) else value
