"""What a policy is measured on: prompts that training never saw, as people asked them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.conditioning import Skill, conditioned_text
from data_contracts.ids import Digest, SnapshotId
from data_contracts.labels import GENERAL
from pipelines.intake.skills import skills_by_id
from pipelines.preferences.splits import split_prompts
from pipelines.stores import Stores, asset_partitions, read_asset_table, snapshot_manifest

_ASKED: Final = ["prompt_id", "text", "previous_turns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One prompt, and under which skill it was asked; None: without."""

    prompt_id: str
    text: str  # as typed
    skill: Skill | None = None

    @property
    def read(self) -> str:
        """Return what policies and reward models read."""
        return conditioned_text(self.text, self.skill)

    @property
    def skill_id(self) -> str | None:
        """Return the skill's id."""
        return None if self.skill is None else self.skill.skill_id


def unseen_prompts(
    stores: Stores,
    prompts: str,
    *,
    generations: str | None = None,
    skills: str | None = None,
    trained: pa.Table | None = None,
) -> list[Asked]:
    """Return the prompts that training never sees, in order of their ids.

    Nor may what the policies learned from in earlier turns be near: a prompt that follows one of
    *trained*, or nearly agrees with one, is left out whatever its own split.

    A prompt that was asked under several skills stands once, under the one that most of its
    generations were made under.

    Args:
        stores: of the zone.
        prompts: digest of the prompts' table.
        generations: of the generations' table, which says under which skill each was asked.
        skills: of the skills' table; None: there are none.
        trained: rows of the prompt contract (`trained_prompts`); None: nothing was learned from.
    """
    table = stores.derived.read(Digest(prompts))
    splits = split_prompts(table)
    unseen = set(splits.filter(pc.not_equal(splits["split"], "train"))["prompt_id"].to_pylist())
    if trained is not None and trained.num_rows:
        unseen -= _near(table, trained)
    rows = zip(table["prompt_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    under: dict[str, str | None] = {}
    known: dict[str, Skill] = {}
    if generations is not None and skills is not None:
        known = skills_by_id(stores.derived.read(Digest(skills)))
        made = stores.derived.read(Digest(generations), columns=["prompt_id", "skill_id"])
        under = usual_skills(made)
    return [
        Asked(prompt_id=prompt_id, text=text, skill=known.get(under.get(prompt_id) or ""))
        for prompt_id, text in sorted(rows)
        if prompt_id in unseen
    ]


def trained_prompts(stores: Stores, policies: Sequence[str]) -> pa.Table:
    """Return the prompts that *policies*, or any policy that they came from, were trained on.

    Args:
        stores: of the zone.
        policies: checkpoint ids.

    Returns:
        prompt_id, text, previous_turns.
    """
    pairs = [
        stores.derived.read(
            snapshot_manifest(stores, SnapshotId(name), GENERAL).digest,
            columns=["prompt_id", "split"],
        )
        for name, known in stores.catalogue.ancestry(policies).items()
        if known is not None and known.kind == "snapshot"
    ]
    learned = {
        prompt_id
        for table in pairs
        for prompt_id in table.filter(pc.equal(table["split"], "train"))["prompt_id"].to_pylist()
    }
    wanted = pa.array(sorted(learned), pa.string())
    found = [
        rows.filter(pc.is_in(rows["prompt_id"], wanted))
        for turn in asset_partitions(stores, "artifacts/prompts")
        for rows in [
            read_asset_table(
                stores, "artifacts/prompts", clearance=GENERAL, partition=turn, columns=_ASKED
            ).table
        ]
    ]
    return pa.concat_tables(found) if found else pa.table({name: [] for name in _ASKED})


def _near(prompts: pa.Table, trained: pa.Table) -> set[str]:
    """Return the ids of *prompts* that share a cluster with *trained*."""
    here = prompts.select(_ASKED)
    elsewhere = trained.select(_ASKED).filter(
        pc.invert(pc.is_in(trained["prompt_id"], here["prompt_id"].combine_chunks()))
    )
    clusters = split_prompts(pa.concat_tables([here, elsewhere.cast(here.schema)]))
    known = pc.is_in(clusters["prompt_id"], trained["prompt_id"].combine_chunks())
    touched = pc.unique(clusters.filter(known)["cluster"].combine_chunks())
    return set(clusters.filter(pc.is_in(clusters["cluster"], touched))["prompt_id"].to_pylist())


def usual_skills(generations: pa.Table) -> dict[str, str | None]:
    """Return by prompt the skill that most of its generations were made under.

    Of equally many the smallest id, and none before any.
    """
    pairs = zip(*(generations[n].to_pylist() for n in ("prompt_id", "skill_id")), strict=True)
    counted = Counter(pairs)
    found: dict[str, str | None] = {}
    for prompt_id, skill_id in sorted(counted, key=lambda k: (-counted[k], k[0], k[1] or "")):
        found.setdefault(prompt_id, skill_id)
    return found


def skill_names(asked: Sequence[Asked]) -> list[str | None]:
    """Return the skill's id of each, None without."""
    return [each.skill_id for each in asked]
