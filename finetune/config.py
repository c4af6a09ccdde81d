"""How a policy is trained; no torch, so that settings and pages can read it for free."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from reward_models.config import TrainingConfig

FEWEST: Final = 10  # prompts below which an interval over prompts says nothing


class PolicyConfig(TrainingConfig):
    """How a policy is trained, whatever it learns from."""

    # Of minus the log chance, per sequence, that a token of another kind spoils it (grammar_mass).
    grammar_weight: float = Field(default=0.0, ge=0)


class SftConfig(PolicyConfig):
    """How a policy learns to imitate preferred generations."""


class DpoConfig(PolicyConfig):
    """How a policy learns from pairs against the previous release."""

    beta: float = Field(default=0.1, gt=0)  # pull towards the reference
    sft_weight: float = Field(default=1.0, ge=0)  # of the chosen one's likelihood, per token
    # Tokens that the reference gave at least this chance were no choice: a preference says nothing
    # of them (only imitation does). 1: all of them count, as in plain DPO.
    choice_below: float = Field(default=1.0, gt=0, le=1)
    score_batch_size: int = Field(default=64, ge=1)  # sequences a reference batch


class ReleaseGate(BaseModel):
    """What a candidate must keep to, against the policy released last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Prompts that must have been measured. Fewer than FEWEST are for simulated evidence alone.
    min_prompts: int = Field(default=FEWEST, ge=2)
    min_win_rate: float = Field(default=0.5, ge=0, le=1)  # the interval's lower end lies above it
    aspects: tuple[str, ...] = ("overall",)  # that must have been measured, or nothing is released
    # How far below a half the lower end of any other measured aspect's win rate may reach.
    max_aspect_loss: float = Field(default=0.05, ge=0, le=0.5)
    max_validity_drop: float = Field(default=0.01, ge=0, le=1)  # share of samples
    max_diversity_drop: float = Field(default=0.10, ge=0, le=1)  # share of the champion's
    max_kl: float | None = Field(default=None, gt=0)  # nats a token; None: no cap
    # On real evidence, people compare blindly before anything is released; FEWEST or more.
    min_human_prompts: int = Field(default=30, ge=2)
    min_human_win: float = Field(default=0.5, ge=0, le=1)  # the lower end lies above it
    # How much more often than people do the reward model may surely prefer the candidate.
    max_overstatement: float = Field(default=0.1, ge=0, le=1)
