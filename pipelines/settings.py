"""What a person may set, read once from TOML, frozen, and passed on as an argument."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.errors import FlywheelError
from data_contracts.vocabulary import ASPECTS
from finetune.config import FEWEST, DpoConfig, ReleaseGate, SftConfig
from reward_models.config import AspectConfig, RewardConfig

RESOLVED: Final = "wheel.json"

PairMaking = Literal["fused", "naive", "explicit_only", "shuffled", "oracle"]
Method = Literal["dpo", "sft_only"]
# Who answers: simulated annotators in memory, people in Label Studio, or the simulated ones there.
DeskKind = Literal["simulated", "label_studio", "seated"]
Evidence = Literal["real", "simulated"]
Modality = Literal["image", "video"]  # what the studio asks for
ScorerKind = Literal["reward", "aspects"]  # of one number, or of one an aspect


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StudioConfig(_Settings):
    """How large the simulated studio is (see `pipelines.world.studio`)."""

    modality: Modality = "image"
    prompts: int = Field(default=320, ge=8)  # asked in one turn of the wheel
    grids: int = Field(default=2, ge=1, le=4)  # of four pictures a prompt
    users: int = Field(default=1500, ge=50)
    sessions: int = Field(default=9000, ge=50)
    mocker_share: float = Field(default=0.12, ge=0, le=0.5)
    mockery: float = Field(default=0.5, ge=0, le=0.9)  # share of downloads that are mockery
    bot_share: float = Field(default=0.01, ge=0, le=0.5)
    annotators: int = Field(default=12, ge=1)
    answers_per_task: int = Field(default=3, ge=1)
    # Share of ratings after which a simulated annotator points at what is wrong: heat maps need it.
    pointing: float = Field(default=0.0, ge=0, le=1)
    heldout_prompts: int = Field(default=300, ge=4)
    # Files of conf/skills, without .toml. Without any, settings are named as if there never were.
    skills: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)


class QueueConfig(_Settings):
    """What annotators are asked."""

    budget: int = Field(default=900, ge=0)  # tasks a turn of the wheel
    exploration: float = Field(default=0.5, ge=0, le=1)  # share of prompts drawn at random
    edits: int = Field(default=0, ge=0)  # texts a turn whose better version people are asked for
    # Answers that one candidate's blind comparison may cost; 0: nobody asks people by itself.
    blind: int = Field(default=300, ge=0)


class PairsConfig(_Settings):
    """Which pairs training gets."""

    making: PairMaking = "fused"
    min_confidence: float = Field(default=0.65, ge=0.5, le=1)
    per_prompt: int = Field(default=12, ge=1)  # and aspect
    # Policies learn from "overall" alone; a reward model of aspects learns from all of them, and
    # the gate judges what it learned. Those that nobody answered about are left out.
    aspects: tuple[str, ...] = ASPECTS
    ties: bool = False  # keep pairs that are surely equal in an aspect other than overall


class GateConfig(ReleaseGate):
    """When a policy is released, and on how many samples that is decided."""

    prompts: int = Field(default=64, ge=2)  # prompts of the held-out and validation splits
    samples: int = Field(default=6, ge=2)  # pictures a prompt and policy


class ScoringConfig(_Settings):
    """How the demo measures true quality afterwards; nothing of it reaches training."""

    samples: int = Field(default=2, ge=1)  # pictures a held-out prompt
    validity_samples: int = Field(default=2000, ge=8)


class WheelSettings(_Settings):
    """Everything that one wheel is run with."""

    name: str = "ours"
    seed: int = Field(default=7, ge=0, lt=2**31)
    method: Method = "dpo"
    desk: DeskKind = "simulated"
    evidence: Evidence = "real"  # simulated: users and annotators are programs, as in the demo
    own_processes: bool = True  # training in processes of its own; False suits tiny tests
    keep_runs: bool = True  # on Dagster's pages; its history costs a tiny turn seconds of disk
    studio: StudioConfig = StudioConfig()
    queue: QueueConfig = QueueConfig()
    pairs: PairsConfig = PairsConfig()
    sft: SftConfig = SftConfig()
    dpo: DpoConfig = DpoConfig()
    reward: RewardConfig = RewardConfig()
    aspects: AspectConfig = AspectConfig()
    scorer: ScorerKind = "aspects"  # which reward model the gate asks
    gate: GateConfig = GateConfig()
    scoring: ScoringConfig = ScoringConfig()

    @model_validator(mode="after")
    def _enough_prompts(self) -> Self:
        """Refuse to judge people's evidence on fewer prompts than an interval needs."""
        few = {
            name: getattr(self.gate, name)
            for name in ("min_prompts", "min_human_prompts")
            if getattr(self.gate, name) < FEWEST
        }
        if few and self.evidence == "real":
            said = " and ".join(f"gate.{name} is {told}" for name, told in few.items())
            raise ValueError(
                f"{said}, but real evidence is judged on {FEWEST} prompts or more; raise it, or "
                'set evidence = "simulated" where users and annotators are programs'
            )
        return self

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the resolved settings, wherever they were written down."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


def read_settings(path: Path, *, evidence: Evidence | None = None) -> WheelSettings:
    """Read a TOML file that a person wrote.

    Args:
        path: the file.
        evidence: what holds whatever the file says; None: what it says.

    Raises:
        FlywheelError: not readable, not TOML, or a field that is unknown or out of range.
    """
    told = read_toml(path)
    return _validated(told if evidence is None else told | {"evidence": evidence}, path.name)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that a person wrote, whatever its fields.

    Raises:
        FlywheelError: not readable, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FlywheelError(
            f"{path.name}: cannot be read ({error.strerror}); check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FlywheelError(f"{path.name}: not valid TOML: {error}") from None


def faults_of(error: ValidationError) -> str:
    """Say which fields are wrong, and how, in one line."""
    return "; ".join(
        ": ".join([*_where(f), f["msg"].removeprefix("Value error, ")]) for f in error.errors()
    )


def _where(fault: Any) -> list[str]:
    """Return the field's name; nothing where several fields are wrong together."""
    return [".".join(map(str, fault["loc"]))] if fault["loc"] else []


def conf_folder() -> Path:
    """Return conf/ of the checkout, or its copy in an installed wheel."""
    here = Path(__file__).resolve().parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


def write_resolved(settings: WheelSettings, root: Path) -> None:
    """Write the resolved settings beside what they make."""
    root.mkdir(parents=True, exist_ok=True)
    content = json.dumps(settings.model_dump(mode="json"), indent=2, sort_keys=True)
    (root / RESOLVED).write_text(content + "\n", "utf-8")


def read_resolved(root: Path) -> WheelSettings:
    """Read the settings that the wheel under *root* was started with.

    Raises:
        FlywheelError: there is no wheel under *root*, or its settings are damaged.
    """
    file = root / RESOLVED
    if not file.is_file():
        raise FlywheelError(f"no wheel in {root.name}: {RESOLVED} is missing; run `flywheel demo`")
    try:
        return _validated(json.loads(file.read_text("utf-8")), file.name)
    except ValueError as error:
        raise FlywheelError(f"{file.name} is not valid JSON: {error}; run the demo again") from None


def _validated(written: object, name: str) -> WheelSettings:
    try:
        return WheelSettings.model_validate(written)
    except ValidationError as error:
        raise FlywheelError(f"{name}: {faults_of(error)}") from None
