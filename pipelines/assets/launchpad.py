"""What an engineer may change in Dagster's launchpad; empty fields keep the wheel's settings."""

import dagster as dg


class TrainingChanges(dg.Config):
    """What every training run has; see `reward_models.config.TrainingConfig`."""

    learning_rate: float | None = None
    batch_size: int | None = None
    accumulation: int | None = None
    max_steps: int | None = None
    schedule: str | None = None
    warmup: float | None = None
    max_grad_norm: float | None = None
    weight_decay: float | None = None
    max_length: int | None = None
    seed: int | None = None
    threads: int | None = None
    expected_world_size: int | None = None
    device: str | None = None
    log_every: int | None = None
    save_every: int | None = None


class RewardChanges(TrainingChanges):
    """The same, and what only reward models have."""

    score_batch_size: int | None = None
    resamples: int | None = None


class AspectChanges(TrainingChanges):
    """The same, and what only reward models of aspects have."""

    head_learning_rate: float | None = None
    answers: int | None = None
    standard_answers: int | None = None
    members: int | None = None
    lower_bound: float | None = None
    other_prompts: int | None = None
    heat_answers: int | None = None
    score_batch_size: int | None = None
    resamples: int | None = None


class SftChanges(TrainingChanges):
    """The same, and what every policy has."""

    grammar_weight: float | None = None


class DpoChanges(TrainingChanges):
    """The same, and what only DPO has."""

    grammar_weight: float | None = None
    beta: float | None = None
    sft_weight: float | None = None
    choice_below: float | None = None
    score_batch_size: int | None = None
