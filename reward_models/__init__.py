"""How good a generation is, aspect by aspect, and how sure we are."""

__all__: list[str] = []
