"""A better policy than the last: SFT, DPO, evaluation, release gate."""

__all__: list[str] = []
