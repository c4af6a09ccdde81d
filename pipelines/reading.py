"""Pictures become tokens once, for all that train on one snapshot."""

import hashlib
import io
from typing import Final

import numpy as np

from backbone.emu3 import Emu3Backbone
from data_contracts.ids import GenerationId, PromptId
from pipelines.bundle import SnapshotBundle
from pipelines.code_version import code_version
from pipelines.stores import Stores
from pipelines.stores.digests import json_digest
from reward_models.sequences import Sequences, read_sequences

_SPLITS: Final = ("train", "validation")


def read_once(
    stores: Stores, bundle: SnapshotBundle, policy: Emu3Backbone, *, max_length: int
) -> Sequences:
    """Read what *bundle*'s snapshot compares as *policy*'s tokens, or take what was read before.

    Pairs of every aspect are read, for policies and reward models of one turn learn from different
    ones of the same generations. Post-training moves the language model alone, so policies of one
    line share their picture tokens; a policy with another tokenizer reads for itself. Clearance was
    checked when the bundle was opened.

    Raises:
        FlywheelError: as `read_sequences`.
    """
    made_from = json_digest(
        {
            "bundle": bundle.digest,
            "code": code_version(),
            "pictures": _picture_tokenizer_digest(policy),
            "words": sorted(policy.tokenizer.get_vocab().items()),
            "grid": [policy.grid.height, policy.grid.width],
            "max_length": max_length,
        }
    )
    kept = stores.scratch.get(made_from)
    if kept is not None:
        return _from_bytes(kept)
    sequences = read_sequences(
        bundle.of_every_aspect(), policy, splits=_SPLITS, max_length=max_length
    )
    stores.scratch.put(made_from, _to_bytes(sequences))
    return sequences


def _picture_tokenizer_digest(policy: Emu3Backbone) -> str:
    digest = hashlib.sha256()
    for name, weights in sorted(policy.model.model.vqmodel.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def _to_bytes(sequences: Sequences) -> bytes:
    stream = io.BytesIO()
    np.savez(
        stream,
        tokens=sequences.tokens,
        starts=sequences.starts,
        prompt_lengths=sequences.prompt_lengths,
        names=np.array([list(key) for key in sequences.row_of], np.str_).reshape(-1, 2),
        pad=np.array(sequences.pad),
    )
    return stream.getvalue()


def _from_bytes(content: bytes) -> Sequences:
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        names = kept["names"].tolist()
        return Sequences(
            tokens=kept["tokens"],
            starts=kept["starts"],
            prompt_lengths=kept["prompt_lengths"],
            row_of={(PromptId(p), GenerationId(g)): row for row, (p, g) in enumerate(names)},
            pad=int(kept["pad"]),
        )
