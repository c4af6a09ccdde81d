"""What a training run may be told; no torch, so that settings and pages can read it for free."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TrainingConfig(BaseModel):
    """What every training run shares. A step sees *batch_size* rows whatever runs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    batch_size: int = Field(default=16, ge=1)  # rows a step, over all processes
    accumulation: int = Field(default=1, ge=1)  # parts that a process splits its share into
    max_steps: int = Field(default=100, ge=1)  # fixed: more pairs do not mean more steps
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(default=0.1, ge=0, le=1)  # share of the steps
    max_grad_norm: float = Field(default=1.0, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    max_length: int = Field(default=512, ge=8)  # tokens of prompt and completion together
    seed: int = Field(default=0, ge=0, lt=2**32)
    threads: int = Field(default=1, ge=1)
    expected_world_size: int = Field(default=1, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_every: int = Field(default=1, ge=1)  # steps
    save_every: int = Field(default=25, ge=0)  # steps after which a killed run can go on; 0: none

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "TrainingConfig":
        if self.batch_size % (self.expected_world_size * self.accumulation):
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of expected_world_size "
                f"{self.expected_world_size} x accumulation {self.accumulation}"
            )
        return self


class RewardConfig(TrainingConfig):
    """How a reward model is trained."""

    score_batch_size: int = Field(default=64, ge=1)
    resamples: int = Field(default=1000, ge=100)  # of the validation interval


class AspectConfig(TrainingConfig):
    """How a reward model of several aspects is trained; *batch_size* counts prompts, each whole."""

    learning_rate: float = Field(default=1e-4, gt=0, le=1)  # of what comes from the backbone
    head_learning_rate: float = Field(default=1e-3, gt=0, le=1)  # of what starts from nothing
    batch_size: int = Field(default=4, ge=1)  # prompts a step, over all processes
    max_steps: int = Field(default=100, ge=1)
    answers: int = Field(default=12, ge=2)  # of a prompt read together; more make several rows
    standard_answers: int = Field(default=256, ge=8)  # by which units are measured
    members: int = Field(default=1, ge=1, le=16)  # models with other seeds, asked together
    lower_bound: float = Field(default=1.0, ge=0, le=10)  # deviations that several take off
    other_prompts: int = Field(default=2, ge=0, le=64)  # that the model writes; 0: no information
    heat_answers: int = Field(default=1024, ge=8)  # that people pointed in, read for heat maps
    score_batch_size: int = Field(default=64, ge=1)
    resamples: int = Field(default=1000, ge=100)  # of the report's intervals
