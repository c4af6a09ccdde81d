"""Labelling: tasks go to Label Studio, answers come back; the ledger knows who was given what."""

__all__: list[str] = []
