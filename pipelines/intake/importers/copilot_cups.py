"""CUPS: what 21 programmers were suggested, and what they did with it; events with content.

Source: Mozannar et al., Reading Between the Lines, CHI 2024, arXiv:2210.14306.
"""

import json
from pathlib import Path
from typing import Any, Final

import pandas as pd

from data_contracts.schemas import EVENT
from pipelines.intake.importers.imported import TENANT, Imported, PublicSet
from pipelines.intake.importers.records import Records, frame_table, text_blobs
from pipelines.intake.importers.sheets import account, numbers, read_csv

_RECORDS: Final = Records(project="copilot_cups", modality="text")
_KINDS: Final = {
    "Shown": "impression",
    "Browsing": "impression",  # the user leafed to another suggestion for the same place
    "Accepted": "download",  # taken away to be used, which need not be praise
    "Rejected": "hide",
    "Replay": "",  # the same suggestion, still on the screen: no event
}
_SURVIVAL: Final = "edit_pct_4"  # the last of five looks at how much had been changed


def read_copilot_cups(path: Path) -> Imported:
    """Read the states in the folder *path* as events.

    A suggestion is a generation, and each place where one was shown is a turn and a prompt of
    its own: the code around it is not in the set, its task stands for it. An accepted suggestion
    that was changed later is also an *edit*, whose value is the share kept, at the time of
    acceptance, for when it was changed is not told. Survival on rows that were not accepted means
    nothing and is not read. Receipt was not logged: it is taken as the moment of the event.

    Notes: impressions, accepted, rejected, edited_later, without_event, users, generations,
    prompts.

    Raises:
        FlywheelError: the file is missing or cut off.
        ContractError: a column is missing.
    """
    columns = ("session", "UserId", "TimeGenerated", "StateName", "Task", "CurrentSuggestion")
    sheet = read_csv(path / "cups_events.csv.gz", (*columns, _SURVIVAL))
    rows = sheet.rows
    at = pd.to_datetime(rows["TimeGenerated"], format="ISO8601", utc=True, errors="coerce")
    words = rows["CurrentSuggestion"].map(_decoded)
    changed = numbers(rows[_SURVIVAL])
    accepted = rows["StateName"] == "Accepted"
    sheet = sheet.refuse(
        {
            "unnamed": (rows[["session", "UserId", "Task"]] == "").any(axis=1),
            "unknown_time": at.isna(),
            "unknown_state": ~rows["StateName"].isin(list(_KINDS)),
            "unknown_suggestion": words.isna(),
            "off_scale": accepted & ~changed.between(0.0, 1.0),
        }
    )
    rows = sheet.accepted
    turn = (rows["StateName"] == "Shown").groupby(rows["session"], sort=False).cumsum()
    place = (rows["session"], turn)
    rows = rows.assign(
        occurred_at=at[rows.index],
        words=words[rows.index],
        kept=1.0 - changed[rows.index],
        turn=turn,
        prompt_id=_RECORDS.ids("p", *place),
        generation_id=_RECORDS.ids("g", *place, words[rows.index]),
        user_id=_RECORDS.ids("u", rows["UserId"]),
        session_id=_RECORDS.ids("s", rows["session"]),
        text=rows["Task"],
        model_release="unrecorded",
        kind=rows["StateName"].map(_KINDS),
        row=rows.index,
    )
    edited = (rows["kind"] == "download") & (rows["kept"] < 1.0)
    events = pd.concat(
        [
            rows[rows["kind"] != ""],
            rows[edited].assign(kind="edit", value=rows["kept"]),
        ]
    )
    generations = rows.drop_duplicates("generation_id")
    digests, blobs = text_blobs(generations["words"])
    counts = events["kind"].value_counts()
    return Imported(
        prompts=_RECORDS.prompts(rows),
        generations=_RECORDS.generations(
            generations[
                ["generation_id", "prompt_id", "model_release", "session_id", "turn"]
            ].assign(blob=digests)
        ),
        events=_events(events),
        blobs=blobs,
        **account(sheet),
        notes={
            "impressions": int(counts.get("impression", 0)),
            "accepted": int(counts.get("download", 0)),
            "rejected": int(counts.get("hide", 0)),
            "edited_later": int(edited.sum()),
            "without_event": int((rows["kind"] == "").sum()),
            "users": rows["user_id"].nunique(),
            "generations": len(generations),
            "prompts": rows["prompt_id"].nunique(),
        },
    )


def _events(rows: pd.DataFrame) -> Any:
    seen = rows["kind"] == "impression"
    position = (rows["StateName"] == "Browsing").astype("float").where(seen)
    return frame_table(
        rows.assign(
            event_id=_RECORDS.ids("e", rows["row"], rows["kind"]),
            tenant_id=TENANT,
            project_id=_RECORDS.project,
            surface="editor",
            position=position.astype("Int32"),
            received_at=rows["occurred_at"],
        ),
        EVENT,
    )


def _decoded(cell: str) -> str | None:
    """Return the suggestion, which is written as a JSON string; None where it is none."""
    try:
        words = json.loads(cell)
        words.encode()
    except (ValueError, AttributeError, RecursionError):
        return None
    return str(words)


COPILOT_CUPS: Final = PublicSet(
    name="copilot_cups",
    read=read_copilot_cups,
    says="Programmers saw code suggested in their editor, accepted or rejected it, and changed "
    "some of what they had accepted. The code around a suggestion is not part of the set.",
    source="Mozannar et al., Reading Between the Lines, CHI 2024, arXiv:2210.14306",
    licence="MIT",
)
