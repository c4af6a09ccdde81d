"""Opaque identifiers: text that nobody parses, one type each so that they are never swapped."""

from typing import NewType

TenantId = NewType("TenantId", str)
ProjectId = NewType("ProjectId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
EventId = NewType("EventId", str)
PromptId = NewType("PromptId", str)
SkillId = NewType("SkillId", str)
GenerationId = NewType("GenerationId", str)
TaskId = NewType("TaskId", str)
AnnotationId = NewType("AnnotationId", str)
AnnotatorId = NewType("AnnotatorId", str)
PairId = NewType("PairId", str)
SnapshotId = NewType("SnapshotId", str)
CheckpointId = NewType("CheckpointId", str)
Digest = NewType("Digest", str)  # lower-case hex SHA-256 of the bytes it names
