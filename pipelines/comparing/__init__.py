"""A candidate against the champion: blind questions, how it stands, and the card for people."""

__all__: list[str] = []
