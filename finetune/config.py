"""How a policy is trained; no torch, so that settings and pages can read it for free."""

from pydantic import Field

from reward_models.config import TrainingConfig


class SftConfig(TrainingConfig):
    """How a policy learns to imitate preferred generations."""


class DpoConfig(TrainingConfig):
    """How a policy learns from pairs against the previous release."""

    beta: float = Field(default=0.1, gt=0)  # pull towards the reference
    sft_weight: float = Field(default=1.0, ge=0)  # of the chosen one's likelihood, per token
    score_batch_size: int = Field(default=64, ge=1)  # sequences a reference batch
