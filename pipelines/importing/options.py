"""What an import was asked for, and how much it trains."""

from dataclasses import dataclass, field
from pathlib import Path

from finetune.config import DpoConfig, SftConfig
from reward_models.config import RewardConfig

# Byte-level text is long: 192 tokens hold the end of the prompt and the start of the answer.
_LENGTH = 192


def _reward() -> RewardConfig:
    return RewardConfig(learning_rate=3e-4, batch_size=16, max_steps=100, max_length=_LENGTH)


def _sft() -> SftConfig:
    return SftConfig(learning_rate=5e-4, batch_size=16, max_steps=60, max_length=_LENGTH)


def _dpo() -> DpoConfig:
    return DpoConfig(learning_rate=2e-4, batch_size=16, max_steps=80, max_length=_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """One import; the steps are few on purpose: minutes on one core."""

    name: str
    path: Path
    root: Path
    reports: Path = Path("reports")
    train: bool = True
    seed: int = 7
    resamples: int = 2000
    reward: RewardConfig = field(default_factory=_reward)
    sft: SftConfig = field(default_factory=_sft)
    dpo: DpoConfig = field(default_factory=_dpo)
