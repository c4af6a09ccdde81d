"""Pages for data auditors."""

__all__: list[str] = []
