"""artifacts: what was asked for and what was made, with its media in the zone's blobs."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_contracts.conform import conform
from data_contracts.contract import load_contract
from data_contracts.errors import ContractError
from data_contracts.labels import GENERAL
from data_contracts.schemas import GENERATION, PROMPT, SKILL
from pipelines.assets.turns import TURNS
from pipelines.intake.films import check_film
from pipelines.intake.images import check_image
from pipelines.intake.skills import check_unchanged, check_use, read_skills
from pipelines.intake.texts import check_text
from pipelines.io_managers import PARENTS
from pipelines.resources import Wheel
from pipelines.stores import asset_partitions, read_asset_table
from pipelines.stores.digests import file_digest
from pipelines.stores.enforcer import refuse

_PART: Final = 256  # media in memory at a time
_DOORS: Final[dict[str, Callable[[bytes], object]]] = {
    "image": check_image,
    "video": check_film,
    "text": check_text,
}
_IO = {"key_prefix": "artifacts", "io_manager_key": "tables", "kinds": {"parquet"}}


@dg.asset(group_name="artifacts", partitions_def=TURNS, **_IO)
def raw_generations(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.Output[pa.Table]:
    """Generations as the delivery holds them."""
    file = wheel.inbox.file(context.partition_key, "generations")
    source = file_digest(file)
    wheel.stores.catalogue.register(source, "delivery", label=GENERAL)
    return dg.Output(_read_table(file, GENERATION, "generations"), metadata={PARENTS: [source]})


@dg.asset(group_name="artifacts", partitions_def=TURNS, **_IO)
def prompts(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.Output[pa.Table]:
    """Prompts that keep their contract."""
    file = wheel.inbox.file(context.partition_key, "prompts")
    source = file_digest(file)
    wheel.stores.catalogue.register(source, "delivery", label=GENERAL)
    asked = _read_table(file, PROMPT, "prompts")
    refuse(asked, load_contract("prompt"), now=datetime.now(UTC))
    return dg.Output(asked, metadata={PARENTS: [source]})


@dg.asset(group_name="artifacts", partitions_def=TURNS, **_IO)
def skills(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.Output[pa.Table]:
    """Experts' guidance that generations were made under; an id keeps its text for ever."""
    stores, turn = wheel.stores, context.partition_key
    file = wheel.inbox.optional_file(turn, "skills")
    if file is None:
        # A delivery without skills has none: its mark stands for it in the lineage.
        file, delivered = wheel.inbox.file(turn, "delivery"), SKILL.empty_table()
    else:
        delivered = read_skills(file, now=datetime.now(UTC))
    source = file_digest(file)
    stores.catalogue.register(source, "delivery", label=GENERAL)
    others = [each for each in asset_partitions(stores, "artifacts/skills") if each != turn]
    check_unchanged(
        delivered,
        (
            read_asset_table(stores, "artifacts/skills", clearance=GENERAL, partition=each).table
            for each in others
        ),
    )
    return dg.Output(delivered, metadata={"skills": delivered.num_rows, PARENTS: [source]})


@dg.asset(
    group_name="artifacts",
    partitions_def=TURNS,
    deps=[dg.AssetKey(["artifacts", "skills"])],
    **_IO,
)
def generations(
    context: dg.AssetExecutionContext, wheel: Wheel, raw_generations: pa.Table, prompts: pa.Table
) -> dg.Output[pa.Table]:
    """Generations that keep their contract, their media checked and stored by digest."""
    refuse(raw_generations, load_contract("generation"), now=datetime.now(UTC))
    known = read_asset_table(
        wheel.stores, "artifacts/skills", clearance=GENERAL, partition=context.partition_key
    )
    check_use(raw_generations, known.table)
    unknown = set(raw_generations["prompt_id"].to_pylist()) - set(prompts["prompt_id"].to_pylist())
    if unknown:
        raise ContractError(
            f"generations: {len(unknown)} prompts are unknown (first: {min(unknown)}); "
            "deliver their prompts with them"
        )
    digests = pc.unique(raw_generations["blob"].drop_null()).to_pylist()
    modality = dict(
        zip(*(raw_generations[name].to_pylist() for name in ("blob", "modality")), strict=True)
    )
    blobs = wheel.stores.blobs
    new = sorted(d for d in digests if not blobs.has(d))
    for start in range(0, len(new), _PART):
        part = [wheel.inbox.media(context.partition_key, d) for d in new[start : start + _PART]]
        for digest, content in zip(new[start : start + _PART], part, strict=True):
            _DOORS.get(modality[digest], check_image)(content)
        blobs.put_many(part)
    # Without skills the table rests on none, as the tables of wheels that never had any.
    parents = [known.digest] if known.table.num_rows else []
    return dg.Output(raw_generations, metadata={"media": len(digests), PARENTS: parents})


def _read_table(file, schema: pa.Schema, what: str) -> pa.Table:  # type: ignore[no-untyped-def]  # Dagster evaluates annotations
    try:
        return conform(pq.read_table(file), schema, what=what)
    except (pa.ArrowInvalid, OSError):
        raise ContractError(f"{what}: {file.name} is not whole Parquet; deliver it again") from None
