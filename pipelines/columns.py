"""What Dagster's pages say of a table's columns: types, nulls, and the contract's own words."""

from collections.abc import Mapping
from typing import Final

import dagster as dg
import pyarrow as pa

from data_contracts.contract import load_contract

# Tables of records that a contract describes, by the asset's name.
_RECORDS: Final[Mapping[str, str]] = {
    "events": "event",
    "prompts": "prompt",
    "raw_generations": "generation",
    "generations": "generation",
    "edited_generations": "generation",
    "all_generations": "generation",
    "annotations": "annotation",
    "preference_pairs": "preference_pair",
}


def column_schema(asset: str, schema: pa.Schema) -> dg.TableSchema:
    """Return the columns of the table that *asset* (its name without a prefix) holds."""
    record = _RECORDS.get(asset)
    said = load_contract(record).descriptions if record else {}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=str(field.type),
                description=said.get(field.name),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in schema
        ]
    )
