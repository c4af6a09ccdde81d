"""Policies read from the store: verified each time, loaded once a process where they are small."""

from collections import OrderedDict
from threading import Lock
from typing import Final

from backbone.emu3 import FILM_GRID, Emu3Backbone
from data_contracts.ids import CheckpointId
from pipelines.stores import Stores

_KEPT_BYTES: Final = 2**28  # of weights, all kept policies together: a large one is never held

# A checkpoint's id is a digest over its files, so the same id is the same policy in every store.
_kept: OrderedDict[CheckpointId, Emu3Backbone] = OrderedDict()
_lock: Final = Lock()


def stored_policy(stores: Stores, checkpoint: str, modality: str = "image") -> Emu3Backbone:
    """Return the policy of a checkpoint, to be read only: train and change copies of it.

    A process that serves, trains and measures asks for the same few policies again and again.
    Of small ones the last that were asked for stay loaded, up to 256 MiB in all. The same policy
    draws pictures or films, as *modality* says.

    Raises:
        FlywheelError: there is no such checkpoint, a file of it changed, or it is no policy.
    """
    name = CheckpointId(checkpoint)
    stores.checkpoints.verify(name)
    policy = _loaded(stores, name)
    return policy.of_frames(FILM_GRID.frames) if modality == "video" else policy


def _loaded(stores: Stores, name: CheckpointId) -> Emu3Backbone:
    with _lock:
        kept = _kept.get(name)
        if kept is not None:
            _kept.move_to_end(name)
            return kept
    policy = Emu3Backbone.load(stores.checkpoints.path(name))
    with _lock:
        _kept[name] = policy
        held = sum(_weight_bytes(each) for each in _kept.values())
        while held > _KEPT_BYTES:
            held -= _weight_bytes(_kept.popitem(last=False)[1])
    return policy


def _weight_bytes(policy: Emu3Backbone) -> int:
    return sum(p.numel() * p.element_size() for p in policy.model.parameters())
