"""Two sets of users' actions, counted again from their raw rows."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from data_contracts.contract import load_contract
from pipelines.intake.importers import Imported, importer
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LOGS = [(policy, campaign) for policy in ("random", "bts") for campaign in ("men", "women")]


@pytest.fixture(scope="module")
def cups(public_data: Path) -> Imported:
    return importer("copilot_cups")(public_data / "copilot_cups")


@pytest.fixture(scope="module")
def states(public_data: Path) -> pd.DataFrame:
    raw = pd.read_csv(public_data / "copilot_cups" / "cups_events.csv.gz")
    return raw.assign(at=pd.to_datetime(raw["TimeGenerated"], format="ISO8601", utc=True))


@pytest.fixture(scope="module")
def shop(public_data: Path) -> Imported:
    return importer("obd_small")(public_data / "obd_small")


@pytest.fixture(scope="module")
def logs(public_data: Path) -> pd.DataFrame:
    parts = [
        pd.read_csv(public_data / "obd_small" / f"{policy}_{campaign}.csv.gz", usecols=range(5))
        .assign(policy=policy, campaign=campaign)
        for policy, campaign in LOGS
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("name", ["cups", "shop"])
def test_keeps_the_contracts(name: str, request: pytest.FixtureRequest) -> None:
    found: Imported = request.getfixturevalue(name)
    for record in ("prompt", "generation", "annotation", "event"):
        refuse(getattr(found, f"{record}s"), load_contract(record), now=NOW)
    assert found.annotations.num_rows == 0
    made = set(found.generations["generation_id"].to_pylist())
    assert set(found.events["generation_id"].to_pylist()) <= made


def test_every_state_becomes_the_event_it_means(cups: Imported, states: pd.DataFrame) -> None:
    assert (cups.received, cups.accepted) == (len(states), len(states)) == (3490, 3490)
    counts = states["StateName"].value_counts()
    events = cups.events.to_pandas()
    kinds = events["kind"].value_counts()
    assert kinds["impression"] == counts["Shown"] + counts["Browsing"] == 1155
    assert kinds["download"] == counts["Accepted"] == 386
    assert kinds["hide"] == counts["Rejected"] == 710
    assert cups.notes["without_event"] == counts["Replay"] == 1239
    for kind, state in (("download", "Accepted"), ("hide", "Rejected")):
        mine = events[events["kind"] == kind]
        assert sorted(mine["occurred_at"]) == sorted(states.loc[states["StateName"] == state, "at"])


def test_what_survived_of_an_accepted_suggestion_is_an_edit(
    cups: Imported, states: pd.DataFrame
) -> None:
    """Survival is filled on rows that were not accepted too, where it means nothing."""
    events = cups.events.to_pandas()
    edits = events[events["kind"] == "edit"].sort_values("occurred_at")
    accepted = states[states["StateName"] == "Accepted"].sort_values("at")
    changed = accepted[accepted["edit_pct_4"] > 0]
    assert len(edits) == len(changed) == 156
    assert edits["value"].tolist() == pytest.approx((1 - changed["edit_pct_4"]).tolist())
    assert events.loc[events["kind"] != "edit", "value"].isna().all()


def test_one_user_a_session_and_words_kept_as_content(cups: Imported, states: pd.DataFrame) -> None:
    events = cups.events.to_pandas()
    assert events["user_id"].nunique() == events["session_id"].nunique() == 21
    words = {json.loads(each).encode() for each in states["CurrentSuggestion"]}
    assert set(cups.blobs.values()) == words
    made = cups.generations.to_pandas().set_index("generation_id")["blob"]
    taken = events[events["kind"] == "download"].sort_values("occurred_at")["generation_id"]
    accepted = states[states["StateName"] == "Accepted"].sort_values("at")["CurrentSuggestion"]
    assert [cups.blobs[made[each]].decode() for each in taken] == [json.loads(e) for e in accepted]


def test_only_leafing_shows_a_second_suggestion_for_one_place(cups: Imported) -> None:
    impressions = cups.events.to_pandas().query("kind == 'impression'")
    by_turn = impressions.groupby(["session_id", "turn"])["generation_id"].nunique()
    assert by_turn.value_counts().to_dict() == {1: 1145, 2: 5}
    assert impressions["position"].value_counts().to_dict() == {0: 1150, 1: 5}


def test_every_impression_has_its_logged_propensity(shop: Imported, logs: pd.DataFrame) -> None:
    assert (shop.received, shop.accepted) == (len(logs), len(logs)) == (40000, 40000)
    shown = shop.events.to_pandas().query("kind == 'impression'")
    assert shown["propensity"].tolist() == logs["propensity_score"].tolist()
    assert shown["position"].tolist() == (logs["position"] - 1).tolist()
    projects = ("obd_small." + logs["policy"]).tolist()
    assert shown["project_id"].tolist() == projects
    assert shop.generations.num_rows == logs.groupby("campaign")["item_id"].nunique().sum() == 80


def test_every_click_follows_its_impression(shop: Imported, logs: pd.DataFrame) -> None:
    events = shop.events.to_pandas()
    clicks = events[events["kind"] == "upscale"]
    assert len(clicks) == logs["click"].sum() == 207
    shown = events[events["kind"] == "impression"].set_index("session_id")
    assert shown.index.is_unique
    assert (shown.loc[clicks["session_id"], "generation_id"].tolist()) == clicks[
        "generation_id"
    ].tolist()
    clicked = shown.index.isin(clicks["session_id"])
    assert clicked.tolist() == logs["click"].eq(1).tolist()
    assert set(events["kind"]) == {"impression", "upscale"}
    by_log = logs.groupby(["policy", "campaign"])["click"].sum()
    assert {f"{p}_{c}_clicks": n for (p, c), n in by_log.items()}.items() <= shop.notes.items()
