"""How a candidate stands: blind answers, reports and hides, labels that moved."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.aspects import ASPECT_TABLE
from data_contracts.ids import CheckpointId
from data_contracts.labels import GENERAL
from finetune.standing import HumanComparison, Standing, human_comparison
from pipelines.comparing.questions import questions_about, read_answers
from pipelines.stores import Stores, asset_partitions, read_asset_table

_VETOING: Final = {"report": "reported", "hide": "hidden"}
_UNSAFE: Final = next(a.reason_codes for a in ASPECT_TABLE if a.name == "safety")
_UNSAFE_RATING: Final = 2.0  # of five, and below


def standing_of(
    stores: Stores, candidate: CheckpointId, *, champion: str | None, real: bool, seed: int = 0
) -> Standing:
    """Gather what is known of *candidate* beyond its scores.

    Args:
        stores: of the zone.
        candidate: who wants to be released.
        champion: the policy released last; answers about another champion do not count. None:
            nothing was released yet.
        real: whether the zone's evidence is people's.
        seed: of the resamples.
    """
    questions = None if champion is None else questions_about(stores, candidate, champion)
    made = _generations_of(stores, candidate)
    if questions is not None:
        made |= set(questions["generation_id"].to_pylist())
    return Standing(
        real=real,
        human=None if questions is None else people_say(stores, questions, seed),
        vetoes=vetoes(stores, made),
        label_faults=label_faults(stores, candidate),
    )


def people_say(stores: Stores, questions: pa.Table, seed: int = 0) -> HumanComparison | None:
    """Return what people answered to *questions*; None: nothing that counts.

    Args:
        stores: of the zone.
        questions: rows of `pipelines.comparing.questions.QUESTIONS`.
        seed: of the resamples.
    """
    if "annotations" not in stores.append.names():
        return None
    told = read_answers(questions, stores.append.read("annotations"))
    if not len(told.wins):
        return None
    return human_comparison(
        told.wins, told.predicted, told.prompts, rng=np.random.default_rng(seed)
    )


def vetoes(stores: Stores, generations: set[str]) -> tuple[str, ...]:
    """Return one sentence for each of *generations* that somebody reported, hid or called unsafe.

    No number of likes outweighs one: a veto is not evidence in a sum. Another tenant's users have
    none: an event on another tenant's generation counts nowhere.
    """
    if not generations:
        return ()
    wanted = pa.array(sorted(generations), pa.string())
    found: list[str] = []
    if "events" in stores.append.names():
        viewers: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        whose = _tenants_of(stores, wanted)
        for row in stores.append.read(
            "events",
            columns=["generation_id", "kind", "tenant_id", "user_id"],
            where=pc.field("generation_id").isin(wanted) & pc.field("kind").isin(list(_VETOING)),
        ).to_pylist():
            user = row["tenant_id"], row["user_id"]
            # Nobody of another tenant was shown it: a rival who knows an id has no say.
            if whose.get(row["generation_id"], user[0]) == user[0]:
                viewers[row["generation_id"], row["kind"]].add(user)
        found += [
            f"{name} was {_VETOING[kind]} by {len(users)} of its viewers"
            for (name, kind), users in viewers.items()
        ]
    if "annotations" in stores.append.names():
        said = stores.append.read(
            "annotations", columns=["generation_id", "kind", "aspect", "value", "reason_code"]
        )
        unsafe = pc.or_(
            pc.fill_null(pc.is_in(said["reason_code"], pa.array(_UNSAFE)), False),
            pc.and_(
                pc.and_(
                    pc.equal(said["kind"], "rating"),
                    pc.fill_null(pc.equal(said["aspect"], "safety"), False),
                ),
                pc.fill_null(pc.less_equal(said["value"], _UNSAFE_RATING), False),
            ),
        )
        rows = said.filter(pc.and_(pc.is_in(said["generation_id"], wanted), unsafe))
        counts = Counter(rows["generation_id"].to_pylist())
        found += [f"{name} was called unsafe in {n} annotations" for name, n in counts.items()]
    return tuple(sorted(found))


def label_faults(stores: Stores, candidate: CheckpointId) -> tuple[str, ...]:
    """Return what *candidate* rests on whose sensitivity label moved since it was trained."""
    manifest = stores.checkpoints.manifest(candidate)
    found = []
    for name, known in stores.catalogue.ancestry([candidate, *manifest.parents]).items():
        if known is None:
            found.append(f"{name[:12]} has no sensitivity label")
        elif known.label_epoch > manifest.label_epoch:
            found.append(
                f"{known.kind} {name[:12]} was reclassified (label epoch {known.label_epoch}, "
                f"the policy knows {manifest.label_epoch})"
            )
        elif not known.label.owners <= set(manifest.label):
            found.append(f"{known.kind} {name[:12]} has an owner that the policy does not name")
    return tuple(sorted(set(found)))


def _tenants_of(stores: Stores, generations: pa.Array) -> dict[str, str]:
    """Return whose *generations* are, of those that were delivered."""
    found: dict[str, str] = {}
    for table in _delivered(stores, "tenant_id"):
        kept = table.filter(pc.is_in(table["generation_id"], generations))
        found |= dict(zip(*(column.to_pylist() for column in kept.columns), strict=True))
    return found


def _generations_of(stores: Stores, candidate: str) -> set[str]:
    """Return what users were shown of *candidate*, such as in a trial before its release."""
    found: set[str] = set()
    for table in _delivered(stores, "model_release"):
        kept = table.filter(pc.equal(table["model_release"], candidate))
        found |= set(kept["generation_id"].to_pylist())
    return found


def _delivered(stores: Stores, column: str) -> Iterator[pa.Table]:
    """Yield generation_id and *column* of every turn's generations."""
    for turn in asset_partitions(stores, "artifacts/generations"):
        yield read_asset_table(
            stores, "artifacts/generations", clearance=GENERAL, partition=turn,
            columns=["generation_id", column],
        ).table  # fmt: skip
