"""Open Bandit, small: what two policies showed in a shop, how likely, and who clicked.

Source: Saito et al., Open Bandit Dataset and Pipeline, NeurIPS 2021, arXiv:2008.07146.
"""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from data_contracts.schemas import EVENT
from pipelines.intake.importers.imported import TENANT, Imported, PublicSet
from pipelines.intake.importers.records import Records, frame_table
from pipelines.intake.importers.sheets import (
    Sheet,
    account,
    numbers,
    read_csv,
    whole_numbers,
)

POLICIES: Final = ("random", "bts")
CAMPAIGNS: Final = ("men", "women")
CLICK: Final = "upscale"  # asking to see one of three larger
_RECORDS: Final = Records(project="obd_small", modality="image")
_PLACES: Final = 3
_COLUMNS: Final = ("timestamp", "item_id", "position", "click", "propensity_score")


def policy_project(policy: str) -> str:
    """Return the project of what *policy* showed: each policy's log is a piece of work."""
    return f"{_RECORDS.project}.{policy}"


def read_obd_small(path: Path) -> Imported:
    """Read the four logs in the folder *path* as impressions with their logged propensity.

    A click is the event *upscale*. A campaign is the prompt, its items are the generations, and
    each policy's log is a project. Who came back is not told, so that every row has a user and a
    session of its own. Receipt was not logged: it is taken as the moment of the event.

    Notes: impressions, clicks, generations, prompts, clicks and impressions by log.

    Raises:
        FlywheelError: a file is missing or cut off.
        ContractError: a column is missing.
    """
    logs = [(policy, campaign) for policy in POLICIES for campaign in CAMPAIGNS]
    sheets = {log: _judged(path, *log) for log in logs}
    rows = pd.concat(
        [
            sheet.accepted.assign(policy=log[0], campaign=log[1], row=sheet.accepted.index)
            for log, sheet in sheets.items()
        ],
        ignore_index=True,
    )
    shown = (rows["policy"], rows["campaign"], rows["row"])
    rows = rows.assign(
        prompt_id=_RECORDS.ids("p", rows["campaign"]),
        generation_id=_RECORDS.ids("g", rows["campaign"], rows["item_id"]),
        user_id=_RECORDS.ids("u", *shown),
        session_id=_RECORDS.ids("s", *shown),
        occurred_at=pd.to_datetime(rows["timestamp"], format="ISO8601", utc=True),
        text=rows["campaign"],
        model_release="unrecorded",
    )
    clicked = rows["click"] == "1"
    events = pd.concat(
        [
            rows.assign(
                kind="impression",
                position=whole_numbers(rows["position"]) - 1,
                propensity=numbers(rows["propensity_score"]),
            ),
            rows[clicked].assign(kind=CLICK),
        ]
    )
    events = events.assign(
        event_id=_RECORDS.ids(
            "e", events["policy"], events["campaign"], events["row"], events["kind"]
        ),
        tenant_id=TENANT,
        project_id=events["policy"].map(policy_project),
        turn=0,
        surface="feed",
        received_at=events["occurred_at"],
        position=events["position"].astype("float").astype("Int32"),
    )
    by_log = {
        f"{policy}_{campaign}_clicks": int(
            (clicked & (rows["policy"] == policy) & (rows["campaign"] == campaign)).sum()
        )
        for policy, campaign in logs
    }
    return Imported(
        prompts=_RECORDS.prompts(rows),
        generations=_RECORDS.generations(rows[["generation_id", "prompt_id", "model_release"]]),
        events=frame_table(events, EVENT),
        **account(*sheets.values()),
        notes={
            "impressions": len(rows),
            "clicks": int(clicked.sum()),
            "generations": rows["generation_id"].nunique(),
            "prompts": rows["prompt_id"].nunique(),
            **by_log,
        },
    )


def _judged(path: Path, policy: str, campaign: str) -> Sheet:
    name = f"{policy}_{campaign}"
    items = read_csv(path / f"{name}_item_context.csv", ("item_id",)).accepted
    sheet = read_csv(path / f"{name}.csv.gz", _COLUMNS)
    rows = sheet.rows
    propensity = numbers(rows["propensity_score"])
    at = pd.to_datetime(rows["timestamp"], format="ISO8601", utc=True, errors="coerce")
    return sheet.refuse(
        {
            "unknown_time": at.isna(),
            "unknown_item": ~rows["item_id"].isin(items["item_id"]),
            "unknown_position": ~whole_numbers(rows["position"]).isin(np.arange(1, _PLACES + 1)),
            "unknown_click": ~rows["click"].isin(["0", "1"]),
            "off_scale": ~((propensity > 0) & (propensity <= 1)),
        }
    )


OBD_SMALL: Final = PublicSet(
    name="obd_small",
    read=read_obd_small,
    says="A shop showed items in three places, chosen at random or by Thompson sampling, and "
    "logged how likely each choice was. What people clicked under one policy tells, reweighted, "
    "how they would have clicked under the other. Who came back is not told: each impression "
    "counts as a user of its own.",
    source="Saito et al., Open Bandit Dataset and Pipeline, NeurIPS 2021, arXiv:2008.07146",
    licence="Apache-2.0",
)
