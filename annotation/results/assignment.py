"""Assignments: what an answer is held to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What one annotator was given, as our own record says."""

    task_id: str
    annotator_id: str
    user_id: int  # the account that must have answered
    left_id: str  # generation; of a critique or an edit the only one
    right_id: str | None  # None: a critique or an edit
    is_gold: bool
    data: Mapping[str, Any]  # what the server was sent
    tenant_id: str | None = None  # whose the text is that is edited; None: no edit was asked for
