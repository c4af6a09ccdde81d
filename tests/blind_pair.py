"""A released champion, a candidate, and blind questions about the two, in the zone of a test."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

from backbone.films import write_film
from backbone.pictures import write_png
from data_contracts.labels import GENERAL
from data_contracts.schemas import PROMPT
from finetune.measured import Comparison
from pipelines.comparing.questions import add_questions
from pipelines.stores import CheckpointFields, write_asset_table

AT = datetime(2026, 1, 2, tzinfo=UTC)


def policy(stores, value):
    """Store a checkpoint of kind dpo with these weights; return its id."""
    fields = CheckpointFields(
        kind="dpo", parents=(), label=(), label_epoch=0, code_version="1",
        configuration_digest="c", modalities=("image",),
    )  # fmt: skip
    with stores.checkpoints.writer(fields) as writer:
        save_file({"weight": np.full(4, value)}, writer.folder / "model.safetensors")
    stores.catalogue.register(writer.checkpoint_id, "checkpoint", label=GENERAL)
    return writer.checkpoint_id


def picture(shade):
    """Draw a real one: who labels later on the same server is shown it too."""
    return write_png(np.full((32, 32, 3), shade, np.uint8))


def film(shade):
    """Draw four frames that grow lighter."""
    return write_film(np.stack([np.full((32, 32, 3), shade + 9 * t, np.uint8) for t in range(4)]))


def blind_pair(stores, prompts, *, drawn_by=picture):
    """Release a champion and ask about a candidate on *prompts*; return candidate and champion.

    What both drew are pictures, or what *drawn_by* draws of a shade.
    """
    champion, candidate = policy(stores, 1.0), policy(stores, 2.0)
    stores.catalogue.promote("policy", champion, reason="first", by="test", at=AT)
    rows = [{"prompt_id": name, "text": f"text of {name}"} for name in prompts]
    stores.catalogue.register("delivery", "delivery", label=GENERAL)
    write_asset_table(stores, "artifacts/prompts", pa.Table.from_pylist(rows, schema=PROMPT),
                      parents=["delivery"], by="test", at=AT, partition="turn-001")  # fmt: skip
    scores = np.zeros((len(prompts), 1))
    drawn = Comparison(
        measured=None, candidate=[[drawn_by(n)] for n in range(len(prompts))],
        champion=[[drawn_by(100 + n)] for n in range(len(prompts))],
        candidate_scores=scores, champion_scores=scores,
    )  # fmt: skip
    add_questions(stores, drawn, prompt_ids=prompts, candidate=candidate, champion=champion,
                  parents=["delivery"], at=AT)  # fmt: skip
    return candidate, champion
