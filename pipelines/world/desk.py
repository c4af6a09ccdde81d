"""The simulated annotators at their desk: they answer what was pushed, from the pixels."""

from collections.abc import Collection
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from backbone.media import stack_media
from data_contracts.ids import Digest
from data_contracts.labels import GENERAL
from data_contracts.schemas import ANNOTATION
from pipelines.settings import read_resolved
from pipelines.stores import open_stores, read_asset_table
from pipelines.world.medium import Media
from pipelines.world.studio import studio_of


class SimulatedDesk(dg.ConfigurableResource):
    """Implements `pipelines.resources.AnnotationDesk` with the studio's annotators.

    Tasks lie in a file between push and pull, as they would in a labelling server.
    """

    root: str

    def push(self, turn: str, tasks: pa.Table) -> None:
        """Put the tasks on the desk."""
        file = self._file(turn)
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(tasks, file)

    def pull(self, turn: str) -> pa.Table:
        """Answer the tasks on the desk."""
        tasks = pq.read_table(self._file(turn))
        if not tasks.num_rows:
            return ANNOTATION.empty_table()
        named = {*tasks["generation_id"].to_pylist(), *tasks["other_generation_id"].to_pylist()}
        shown, pictures, texts = shown_in(Path(self.root), turn, named)
        studio = studio_of(read_resolved(Path(self.root)))
        return studio.annotate(turn_number(turn), tasks, shown, pictures, texts)

    def _file(self, turn: str) -> Path:
        return Path(self.root) / "desk" / f"{turn}.parquet"


def shown_in(
    root: Path, turn: str, named: Collection[str | None]
) -> tuple[pa.Table, Media, list[str]]:
    """Return those of *turn*'s generations that are *named*, their pictures and their prompts."""
    stores = open_stores(root)
    generations, prompts = (
        read_asset_table(stores, f"artifacts/{name}", clearance=GENERAL, partition=turn).table
        for name in ("generations", "prompts")
    )
    texts = dict(zip(prompts["prompt_id"].to_pylist(), prompts["text"].to_pylist(), strict=True))
    ids = generations["generation_id"].to_pylist()
    shown = generations.take([i for i, g in enumerate(ids) if g in named])
    pictures = stack_media([stores.blobs.get(Digest(b)) for b in shown["blob"].to_pylist()])
    return shown, pictures, [texts[p] for p in shown["prompt_id"].to_pylist()]


def turn_number(turn: str) -> int:
    """Return the number of a turn of the wheel named "turn-3"."""
    return int(turn.rsplit("-", 1)[1])
