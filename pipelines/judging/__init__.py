"""How a reward model of aspects did, as one page."""

__all__: list[str] = []
