"""One answer, read strictly: nothing is believed that the interface could not have stored.

The server stores whatever it is sent, so that a result may hold anything. One part that does not
fit refuses the whole answer, for half an answer would not be what the annotator said.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from annotation.interfaces import Interface
from annotation.interfaces.controls import (
    ASPECT,
    CANNOT_JUDGE,
    COMMENT,
    DECLINED,
    EDITED,
    OVERALL,
    PROMPT,
    REFUSALS,
    UNMET,
    VERDICTS,
    WHY,
    Choice,
    side_choices,
)
from annotation.results.assignment import Assignment
from annotation.results.edits import edited_version
from annotation.results.geometry import (
    ResultRefused,
    as_json,
    box_of,
    frames_of,
    mask_of,
    span_of,
)
from data_contracts.aspects import ASPECT_TABLE

Row = dict[str, Any]
_LONGEST: Final = 20_000  # characters of a comment
_MOST: Final = 500  # parts of one result


def rows_of_answer(
    answer: Mapping[str, Any], assignment: Assignment, interface: Interface
) -> list[Row]:
    """Return the rows of the annotation contract that one answer amounts to.

    Args:
        answer: an annotation as Label Studio returns it.
        assignment: what was given to whom.
        interface: what it was answered with.

    Raises:
        ResultRefused: the answer is not its annotator's, or holds what the interface cannot.
    """
    if answer.get("completed_by") != assignment.user_id:
        raise ResultRefused("answered by another account than the task was given to")
    # Any request may claim a `completed_by`; who sent the request is recorded beside it.
    if answer.get("updated_by") != assignment.user_id:
        raise ResultRefused("sent or changed by another account than it claims to be from")
    if answer.get("was_cancelled"):
        raise ResultRefused("skipped, which the interface does not offer")
    parts = answer.get("result")
    if not isinstance(parts, list) or not parts or len(parts) > _MOST:
        raise ResultRefused("no list of results, an empty one, or one beyond all measure")
    reader = _Reader(answer, assignment, interface)
    return reader.rows(parts)


class _Reader:
    """Reads the parts of one result."""

    def __init__(
        self, answer: Mapping[str, Any], assignment: Assignment, interface: Interface
    ) -> None:
        self._given = assignment
        self._interface = interface
        self._sides = (
            {"only": assignment.left_id}
            if assignment.right_id is None
            else {"left": assignment.left_id, "right": assignment.right_id}
        )
        self._aspect_of = {reason.code: reason.aspect for reason in interface.reasons}
        self._levels = {a.name: a.levels for a in ASPECT_TABLE}
        self._row_of = {name: row for row, name in enumerate(interface.aspects)}
        self._base: Row = {
            "other_generation_id": None,
            "task_id": assignment.task_id,
            "annotator_id": assignment.annotator_id,
            "shown_left": None if assignment.right_id is None else assignment.left_id,
            "lead_time_s": _seconds(answer.get("lead_time")),
            "is_gold": assignment.is_gold,
            "updated_at": _moment(answer.get("updated_at")),
        }
        self._id = f"ls-{int(answer['id'])}"

    def rows(self, parts: Sequence[Any]) -> list[Row]:
        """Return the rows of all parts."""
        regions: dict[str, list[Mapping[str, Any]]] = {}
        single: dict[str, Mapping[str, Any]] = {}
        for part in parts:
            name, value = self._checked(part)
            if self._is_region(name):
                regions.setdefault(str(part.get("id")), []).append(part)
            elif name in single:
                raise ResultRefused(f"two results for {name}")
            else:
                single[name] = {**value, "origin": part.get("origin")}
        if self._interface.form == "edit":
            if regions:
                raise ResultRefused("a region, which an edit does not ask for")
            return self._edited(single)
        rows = [row for name, value in single.items() for row in self._answered(name, value)]
        declined = [row for row in rows if row["kind"] == "declined"]
        if declined:
            return declined  # whoever would not judge is not held to what was clicked before
        for name, region in regions.items():
            rows += self._region(name, region)
        if self._interface.form != "critique" and OVERALL not in single:
            raise ResultRefused("no verdict")
        return sorted(rows, key=lambda row: str(row["annotation_id"]))

    def _checked(self, part: Any) -> tuple[str, Mapping[str, Any]]:
        if not isinstance(part, dict) or not isinstance(part.get("value"), dict):
            raise ResultRefused("a result without a value")
        name = part.get("from_name")
        if not isinstance(name, str):
            raise ResultRefused("a result of no control")
        return name, part["value"]

    def _is_region(self, name: str) -> bool:
        return name == UNMET or name.partition("_")[0] in self._sides

    def _answered(self, name: str, value: Mapping[str, Any]) -> list[Row]:
        if name == COMMENT:
            if self._interface.form == "blind":
                raise ResultRefused("a comment, which blind work does not ask for")
            return [self._row("comment", name, self._given.left_id, value, text=_text(value),
                              other_generation_id=self._given.right_id)]  # fmt: skip
        if name == OVERALL and self._given.right_id is None:
            chosen = _chosen(value, REFUSALS)
            why = None if chosen is DECLINED else chosen.stored
            return [self._row("declined", name, self._given.left_id, value, reason_code=why)]
        if name == OVERALL:
            chosen = _chosen(value, VERDICTS)
            if chosen is DECLINED:
                return [self._row("declined", name, self._given.left_id, value,
                                  other_generation_id=self._given.right_id)]  # fmt: skip
            return [self._comparison("overall", name, value, chosen)]
        aspect = name.removeprefix(ASPECT)
        if not name.startswith(ASPECT) or aspect not in self._row_of:
            raise ResultRefused("a result of a control that the interface does not have")
        if self._given.right_id is None:
            return [self._rating(aspect, name, value)]
        return [self._comparison(aspect, name, value, _chosen(
            value, side_choices(self._row_of[aspect])
        ))]  # fmt: skip

    def _edited(self, single: Mapping[str, Mapping[str, Any]]) -> list[Row]:
        """Read an edit and why it was made; whoever declined is not held to what was written."""
        if set(single) - {EDITED, WHY, OVERALL}:
            raise ResultRefused("a result of a control that the interface does not have")
        if OVERALL in single:
            return self._answered(OVERALL, single[OVERALL])
        if EDITED not in single:
            raise ResultRefused("no edited version")
        before, value = self._given.left_id, single[EDITED]
        version = edited_version(value, self._given)
        codes = _picked(single[WHY]) if WHY in single else []
        if unknown := [code for code in codes if code not in self._aspect_of]:
            raise ResultRefused(f"{len(unknown)} reason codes that the interface does not offer")
        why = [
            self._row("comment", f"{WHY}-{code}", before, single[WHY],
                      aspect=self._aspect_of[code], reason_code=code)
            for code in sorted(set(codes))
        ]  # fmt: skip
        return [
            self._row("edit", EDITED, before, value, aspect=OVERALL,
                      other_generation_id=version.generation_id),
            *why,
        ]  # fmt: skip

    def _comparison(self, aspect: str, name: str, value: Mapping[str, Any], chosen: Choice) -> Row:
        assert self._given.right_id is not None
        first, other = sorted((self._given.left_id, self._given.right_id))
        said = None if chosen is CANNOT_JUDGE else chosen.value
        flip = 1.0 if first == self._given.left_id else -1.0
        return self._row(
            "comparison", name, first, value, other_generation_id=other, aspect=aspect,
            value=None if said is None else said * flip + 0.0, tie_kind=chosen.tie_kind,
            scale="-2..2",
        )  # fmt: skip

    def _rating(self, aspect: str, name: str, value: Mapping[str, Any]) -> Row:
        stars, levels = value.get("rating"), self._levels[aspect]
        if not isinstance(stars, int) or isinstance(stars, bool) or not 1 <= stars <= levels:
            raise ResultRefused("a rating off its scale")
        return self._row("rating", name, self._given.left_id, value, aspect=aspect,
                         value=float(stars), scale=f"1..{levels}")  # fmt: skip

    def _region(self, region: str, parts: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Read one region: its geometry stands in one part, its labels in the same or another."""
        labelled = [p for p in parts if _labels(p["value"])]
        if len(labelled) != 1:
            raise ResultRefused("a region without a reason, or with two lists of them")
        part = labelled[0]
        name, value = str(part["from_name"]), part["value"]
        codes = _labels(value)
        if name == UNMET:
            return self._unmet(region, value, codes)
        side, _, control = name.partition("_")
        if any(str(p["from_name"]).partition("_")[0] != side for p in parts):
            raise ResultRefused("a region on both sides")
        if unknown := [code for code in codes if code not in self._aspect_of]:
            raise ResultRefused(f"{len(unknown)} reason codes that the interface does not offer")
        kind, geometry = self._geometry(control, side, part)
        return [
            self._row(
                kind, f"{name}-{region}-{code}", self._sides[side], part,
                aspect=self._aspect_of[code], reason_code=code, geometry=as_json(geometry),
            )
            for code in dict.fromkeys(codes)
        ]  # fmt: skip

    def _geometry(self, control: str, side: str, part: Mapping[str, Any]) -> tuple[str, Any]:
        modality, value = self._interface.modality, part["value"]
        if modality == "image" and control == "reason":
            return "region", mask_of(part) if "rle" in value else box_of(part)
        if modality == "video" and control == "segment":
            return "segment", frames_of(value, self._given.data.get("frames"))
        if modality == "text" and control == "span":
            return "region", span_of(value, str(self._given.data.get(side, "")))
        raise ResultRefused("a region of a control that the interface does not have")

    def _unmet(self, region: str, value: Mapping[str, Any], codes: Sequence[str]) -> list[Row]:
        sides = {f"{UNMET}_{side}": generation for side, generation in self._sides.items()}
        if not self._interface.reasons or any(code not in sides for code in codes):
            raise ResultRefused("a prompt's words marked with what the interface does not offer")
        geometry = as_json(span_of(value, str(self._given.data.get(PROMPT, ""))))
        return [
            self._row("prompt_span", f"{code}-{region}", sides[code], value,
                      aspect="prompt_alignment", geometry=geometry)
            for code in dict.fromkeys(codes)
        ]  # fmt: skip

    def _row(
        self, kind: str, name: str, generation: str, part: Mapping[str, Any], **more: Any
    ) -> Row:
        origin = part.get("origin")
        identity = f"{self._id}-{name}"
        if len(identity) > 128 or not identity.isascii() or not identity.isprintable():
            raise ResultRefused("a region's name that is none")
        return {
            **self._base,
            "annotation_id": identity.replace(" ", "_"),
            "kind": kind,
            "generation_id": generation,
            "origin": origin if origin in ("manual", "prediction", "prediction-changed") else None,
            **more,
        }


def _chosen(value: Mapping[str, Any], offered: Sequence[Choice]) -> Choice:
    picked = _picked(value)
    if len(picked) != 1:
        raise ResultRefused("a choice of none or several")
    found = [each for each in offered if each.stored == picked[0]]
    if not found:
        raise ResultRefused("a choice that the interface does not offer")
    return found[0]


def _picked(value: Mapping[str, Any]) -> list[str]:
    picked = value.get("choices")
    if not isinstance(picked, list) or not all(isinstance(each, str) for each in picked):
        raise ResultRefused("a choice of none or several")
    return picked


def _labels(value: Mapping[str, Any]) -> list[str]:
    for name in ("labels", "timelinelabels"):
        codes = value.get(name)
        if isinstance(codes, list) and all(isinstance(code, str) for code in codes):
            return list(codes)
    return []


def _seconds(lead: Any) -> float | None:
    """Return how long it took; what is no time at all is unknown, and the answer still counts."""
    if isinstance(lead, bool) or not isinstance(lead, int | float):
        return None
    return float(lead) if isfinite(lead) and lead >= 0 else None


def _text(value: Mapping[str, Any]) -> str:
    said = value.get("text")
    lines: list[Any] = said if isinstance(said, list) else [said]
    if not all(isinstance(line, str) for line in lines):
        raise ResultRefused("a comment that is not text")
    return "\n".join(lines)[:_LONGEST]


def _moment(written: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(written)).astimezone(UTC)
    except ValueError:
        raise ResultRefused("no time of its last change") from None
