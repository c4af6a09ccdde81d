"""What one training run may read: a validated snapshot and the content its pairs name."""

import hashlib
from collections.abc import Collection, Sequence
from copy import copy
from functools import cached_property
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.conditioning import Skill
from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest, GenerationId, PromptId, SnapshotId
from data_contracts.labels import GENERAL, Label
from data_contracts.training import TrainingCritique, TrainingPair
from pipelines.intake.skills import skills_by_id
from pipelines.judging.critiques import training_critiques
from pipelines.stores import Stores, open_snapshot

_COLUMNS: Final = (
    "pair_id", "prompt_id", "chosen_id", "rejected_id", "aspect", "target", "weight",
)  # fmt: skip


def learned_aspects(kind: str) -> tuple[str, ...] | None:
    """Return which aspects a training of this kind learns from, where there are any; None: all.

    What is better in one aspect alone is nothing for a policy to imitate.
    """
    return None if kind == "aspects" else ("overall",)


class SnapshotBundle:
    """A `TrainingBundle` over the stores; it opens nothing but what the snapshot names."""

    def __init__(
        self,
        stores: Stores,
        *,
        snapshot_id: SnapshotId,
        prompts: Digest,
        generations: Digest,
        skills: Digest | None = None,
        clearance: Label = GENERAL,
        aspects: Collection[str] | None = None,
        critiques: Digest | None = None,
    ) -> None:
        """Open a snapshot; of its pairs only those of *aspects*, where it has any of them.

        *skills* is the table of what its generations were made under; None: without any skill.

        Raises:
            FlywheelError: *prompts* or *generations* lack what the snapshot names.
        """
        self._stores = stores
        self._snapshot = open_snapshot(stores, snapshot_id, clearance)
        there = set(pc.unique(self._snapshot.pairs["aspect"]).to_pylist())
        self.aspects = sorted(there & set(aspects or ()) or there)
        self._critiques = critiques
        for digest in (prompts, generations, *(d for d in (skills, critiques) if d)):
            stores.catalogue.check_readable(digest, clearance)
        texts = stores.derived.read(prompts, columns=["prompt_id", "text"])
        self._texts = dict(zip(*(c.to_pylist() for c in texts.columns), strict=True))
        media = stores.derived.read(
            generations, columns=["generation_id", "modality", "blob", "skill_id"]
        )
        ids, modalities, blobs, under = (c.to_pylist() for c in media.columns)
        self._media = dict(zip(ids, zip(modalities, blobs, strict=True), strict=True))
        self._under = {g: skill for g, skill in zip(ids, under, strict=True) if skill is not None}
        self._skills = skills_by_id(stores.derived.read(skills)) if skills else {}
        pairs = self._snapshot.pairs
        _check_there(pairs, ("prompt_id",), texts["prompt_id"], what="prompts")
        _check_there(pairs, ("chosen_id", "rejected_id"), media["generation_id"],
                     what="generations")  # fmt: skip

    @property
    def snapshot_id(self) -> SnapshotId:
        """Return which snapshot this is."""
        return self._snapshot.manifest.snapshot_id

    @cached_property
    def digest(self) -> Digest:
        """Return the SHA-256 over the pairs and the prompts and content they name."""
        digest = hashlib.sha256(self._snapshot.manifest.digest.encode())
        pairs = self._snapshot.pairs
        for prompt_id in sorted(set(pairs["prompt_id"].to_pylist())):
            digest.update(f"{prompt_id}:{self._texts[prompt_id]}\0".encode())
        named = {*pairs["chosen_id"].to_pylist(), *pairs["rejected_id"].to_pylist()}
        for generation_id in sorted(named):
            digest.update(f"{generation_id}:{self._media[generation_id][1]}\0".encode())
            skill = self.skill(generation_id)
            if skill is not None:
                digest.update(f"{skill.skill_id}:{skill.text}\0".encode())
        return Digest(digest.hexdigest())

    def of_every_aspect(self) -> "SnapshotBundle":
        """Return the same snapshot with none of its pairs left out."""
        whole = copy(self)
        whole.aspects = sorted(set(pc.unique(self._snapshot.pairs["aspect"]).to_pylist()))
        return whole

    def pairs(self, split: str) -> Sequence[TrainingPair]:
        """Return the pairs of *split* in order of their ids."""
        table = self._snapshot.pairs
        rows = table.filter(
            (pc.field("split") == split)
            & pc.field("aspect").isin(pa.array(self.aspects, pa.string()))
        )
        columns = rows.sort_by("pair_id").select(list(_COLUMNS)).to_pylist()
        return [TrainingPair(**row) for row in columns]

    def critiques(self, split: str) -> Sequence[TrainingCritique]:
        """Return where people pointed in generations that the pairs of *split* name."""
        if self._critiques is None:
            return []
        prompts = {
            generation: pair.prompt_id
            for pair in self.pairs(split)
            for generation in (pair.chosen_id, pair.rejected_id)
        }
        return training_critiques(self._stores.derived.read(self._critiques), prompts)

    def prompt_text(self, prompt_id: PromptId) -> str:
        """Return what was asked."""
        return str(self._texts[prompt_id])

    def skill(self, generation_id: GenerationId) -> Skill | None:
        """Return the skill that it was made under, None where there was none.

        Raises:
            FlywheelError: its skill's text is not at hand.
        """
        skill_id = self._under.get(generation_id)
        if skill_id is None:
            return None
        if skill_id not in self._skills:
            raise FlywheelError(
                f"generation {generation_id} was made under skill {skill_id}, whose text is not at "
                "hand; materialise artifacts/skills of its turn"
            )
        return self._skills[skill_id]

    def modality(self, generation_id: GenerationId) -> str:
        """Return "text", "image" or "video"."""
        return str(self._media[generation_id][0])

    def content(self, generation_id: GenerationId) -> bytes:
        """Return the media as stored.

        Raises:
            FlywheelError: only ratings of this generation are known.
        """
        blob = self._media[generation_id][1]
        if blob is None:
            raise FlywheelError(
                f"generation {generation_id} has no stored content (only its ratings are known); "
                "train on a set that has content"
            )
        return self._stores.blobs.get(Digest(blob))


def _check_there(
    pairs: pa.Table, columns: Sequence[str], known: pa.ChunkedArray, *, what: str
) -> None:
    """Return if every id in *columns* of *pairs* is among *known*."""
    named = pc.unique(
        pa.chunked_array([c for name in columns for c in pairs[name].chunks], pa.string())
    )
    missing = named.filter(pc.invert(pc.is_in(named, known.combine_chunks()))).sort()
    if len(missing):
        raise FlywheelError(
            f"{len(missing)} {what} of the snapshot are not in its turn's table, first "
            f"{missing[0]}; materialise preference_snapshot again"
        )
