"""What an engineer launches: a job, resolved against what stands in the wheel."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from finetune.config import DpoConfig, SftConfig
from pipelines.settings import ScorerKind, WheelSettings, faults_of, read_toml
from pipelines.stores import Stores
from pipelines.training import TrainingJob
from reward_models.config import AspectConfig, RewardConfig, TrainingConfig

Kind = Literal["reward", "aspects", "sft", "dpo"]
ASSETS: Final[Mapping[Kind, str]] = {
    "reward": "reward_models/reward_model",
    "aspects": "reward_models/aspect_model",
    "sft": "finetune/sft_policy",
    "dpo": "finetune/dpo_policy",
}
# Dagster's jobs: what the gate asks for, and the reward model that it does not ask.
POST_TRAINING: Final = "post_training"
OTHER_REWARD_MODEL: Final = "other_reward_model"
SNAPSHOT: Final = "preferences/preference_snapshot"
CRITIQUES: Final = "annotation/critiques"
_CONFIGURATIONS: Final[Mapping[Kind, type[TrainingConfig]]] = {
    "reward": RewardConfig,
    "aspects": AspectConfig,
    "sft": SftConfig,
    "dpo": DpoConfig,
}
# A DPO pair costs two trained sequences, and the reference's forward pass a third of each.
_SEQUENCES_A_PAIR: Final = 2 + 2 / 3


class JobFile(BaseModel):
    """One post-training run as a person writes it down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    wheel: Path = Path(".flywheel/demo/ours-7")
    turn: str = ""  # whose snapshot; empty is the newest
    settings: dict[str, int | float | str] = Field(default_factory=dict)  # over the wheel's own


def read_job(path: Path) -> JobFile:
    """Read a TOML job file.

    Raises:
        FlywheelError: not readable, not TOML, or a field that is unknown or out of range.
    """
    written = read_toml(path)
    try:
        job = JobFile.model_validate(written)
        _CONFIGURATIONS[job.kind].model_validate(job.settings)
    except ValidationError as error:
        raise FlywheelError(f"{path.name}: {faults_of(error)}") from None
    return job


def dagster_job(kind: Kind, scorer: ScorerKind) -> str:
    """Return Dagster's job that trains a model of *kind* where the gate asks *scorer*."""
    asked = kind in ("sft", "dpo") or kind == scorer
    return POST_TRAINING if asked else OTHER_REWARD_MODEL


def newest_turn(stores: Stores) -> str:
    """Return the last turn whose snapshot stands.

    Raises:
        FlywheelError: none does.
    """
    prefix = f"{SNAPSHOT}/"
    turns = [p.removeprefix(prefix) for p in stores.catalogue.pointers() if p.startswith(prefix)]
    if not turns:
        raise FlywheelError(
            f"no snapshot stands in {stores.root.name}; turn the wheel first (`flywheel demo`)"
        )
    return max(turns)


def stands(stores: Stores, asset: str, turn: str) -> str:
    """Return what *asset* (a checkpoint, a snapshot or a table) stands at in *turn*.

    Raises:
        FlywheelError: it was never materialised.
    """
    found = stores.catalogue.pointer(f"{asset}/{turn}")
    if found is None:
        raise FlywheelError(
            f"{asset}, partition {turn}, was never materialised; materialise it first"
        )
    return found


def generations_of(stores: Stores, turn: str) -> str:
    """Return the table of every generation that pairs of *turn* may name, edited ones included.

    A turn that was made before texts were edited has none beside the policies' own.

    Raises:
        FlywheelError: it was never materialised.
    """
    whole = stores.catalogue.pointer(f"annotation/all_generations/{turn}")
    return whole or stands(stores, "artifacts/generations", turn)


def skills_of(stores: Stores, turn: str) -> str | None:
    """Return the table of the skills that *turn*'s generations were made under; None: none."""
    found = stores.catalogue.pointer(f"artifacts/skills/{turn}")
    if found is None or not stores.derived.read(Digest(found)).num_rows:
        return None
    return found


def critiques_of(stores: Stores, turn: str) -> str | None:
    """Return the table of where people pointed in *turn*; None: nobody did, or nobody was asked."""
    found = stores.catalogue.pointer(f"{CRITIQUES}/{turn}")
    if found is None or not stores.derived.read(Digest(found), columns=["critique_id"]).num_rows:
        return None
    return found


def asked_under(stores: Stores, turn: str) -> tuple[str | None, str | None]:
    """Return the tables of generations and skills that say how *turn*'s prompts were asked.

    None and None where all were asked without a skill.
    """
    skills = skills_of(stores, turn)
    return (None if skills is None else stands(stores, "artifacts/generations", turn)), skills


def resolve_job(
    stores: Stores,
    settings: WheelSettings,
    *,
    kind: Kind,
    turn: str,
    told: Mapping[str, Any],
) -> TrainingJob:
    """Return exactly what will run: the same whether a file, the launchpad or a turn asks for it.

    Where the wheel's method is "sft_only" (an arm for comparison), the compute of DPO is spent
    on more imitation instead: with the wheel's settings of SFT, and what is told for DPO.

    Args:
        stores: the wheel's.
        settings: the wheel's.
        kind: what is trained.
        turn: whose snapshot.
        told: settings that differ from the wheel's; None stands for "the wheel's".

    Raises:
        FlywheelError: something that the run needs does not stand yet, or a setting is wrong.
    """
    changes = {name: value for name, value in told.items() if value is not None}
    configuration = _configured(kind, getattr(settings, kind).model_dump() | changes)
    trained: Kind = kind
    policy = stands(stores, "backbone/backbone", turn)
    reference = None
    if kind == "dpo":
        reference, policy = policy, stands(stores, ASSETS["sft"], turn)
        if settings.method == "sft_only":
            trained, reference = "sft", None
            rows = configuration.max_steps * configuration.batch_size * _SEQUENCES_A_PAIR
            configuration = _imitation(settings, changes, rows=rows)
    return TrainingJob(
        kind=trained,
        root=stores.root,
        snapshot_id=stands(stores, SNAPSHOT, turn),
        prompts=stands(stores, "artifacts/prompts", turn),
        generations=generations_of(stores, turn),
        skills=skills_of(stores, turn),
        critiques=critiques_of(stores, turn) if kind == "aspects" else None,
        policy=policy,
        reference=reference,
        configuration=configuration.model_dump(),
        pointer=f"{ASSETS[kind]}/{turn}",
    )


def _configured(kind: Kind, written: Mapping[str, Any]) -> TrainingConfig:
    try:
        return _CONFIGURATIONS[kind].model_validate(written)
    except ValidationError as error:
        raise FlywheelError(f"{kind}: {faults_of(error)}") from None


def _imitation(
    settings: WheelSettings, changes: Mapping[str, Any], *, rows: float
) -> TrainingConfig:
    """Return the imitation that sees *rows* sequences, as DPO with *changes* would.

    Raises:
        FlywheelError: a change is of DPO alone, or does not fit the settings of imitation.
    """
    meaningless = sorted(set(changes) - set(SftConfig.model_fields))
    if meaningless:
        raise FlywheelError(
            f"dpo: {', '.join(meaningless)} cannot be set where the wheel's method is sft_only, "
            "which imitates instead; leave them out"
        )
    # What DPO's steps cost is in *rows* already.
    told = {name: value for name, value in changes.items() if name != "max_steps"}
    written = settings.sft.model_dump() | told
    steps = round(rows / written["batch_size"])
    return _configured("sft", written | {"max_steps": steps})
