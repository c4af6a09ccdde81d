"""What the wheel's own path does with bought events, copied answers, gold and real evidence.

The assets are called one by one, on a small zone: no picture is drawn and nothing is trained.
"""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from annotator_crowd import answers, crowd, rating

from annotation.gold import GOLD
from data_contracts.labels import GENERAL
from data_contracts.schemas import ANNOTATION, EVENT, GENERATION, PREFERENCE_PAIR
from pipelines.append_io import write_batch
from pipelines.assets import preferences as preference_assets
from pipelines.assets.preferences import inferred_preferences, preference_snapshot
from pipelines.assets.signals import joined_exposures, trusted_signals
from pipelines.assets.turns import TURNS
from pipelines.demo import DemoOptions, demo_settings
from pipelines.io_managers import PARENTS, RefusingIOManager, TableIOManager
from pipelines.preferences.making import infer_preferences, make_preferences
from pipelines.resources import Wheel
from pipelines.settings import WheelSettings, write_resolved
from pipelines.signals.drops import DROPS, drop_counts
from pipelines.stores import open_stores

TURN, NOW = "turn-001", datetime(2026, 1, 5, tzinfo=UTC)
PROMPTS, ITEMS, VOTERS = 15, 60, 5
QUALITY = np.random.default_rng(0).random(ITEMS)


def acted(user, item, liked, number):
    """The events of one exposure."""
    at = NOW + timedelta(minutes=number)
    told = {
        "tenant_id": "t", "project_id": "p", "user_id": user, "session_id": f"s{number}",
        "turn": 0, "generation_id": f"g{item:04d}", "surface": "grid", "position": item % 4,
        "received_at": at + timedelta(seconds=2),
    }  # fmt: skip
    rows = [told | {"event_id": f"e{number}i", "kind": "impression", "occurred_at": at}]
    if liked:
        later = at + timedelta(seconds=1)
        rows.append(told | {"event_id": f"e{number}l", "kind": "like", "occurred_at": later})
    return rows


def events(*, bought):
    """Thirty who like what is good, and with *bought* five who like all of release 1 alone."""
    rng, rows, number = np.random.default_rng(1), [], 0
    for user in range(30):
        for item in rng.choice(ITEMS, 30, replace=False):
            liked = rng.random() < 0.05 + 0.4 * QUALITY[item]
            rows += acted(f"u{user:02d}", int(item), liked, number)
            number += 1
    for voter in range(VOTERS if bought else 0):
        for item in range(40):
            rows += acted(f"x{voter}", item, item % 2 == 1, number)
            number += 1
    return pa.Table.from_pylist(rows, schema=EVENT)


GENERATIONS = pa.Table.from_pylist(
    [
        {"generation_id": f"g{n:04d}", "tenant_id": "t", "project_id": "p",
         "prompt_id": f"q{n // 4:02d}", "model_release": f"r{n % 2}", "modality": "image"}
        for n in range(ITEMS)
    ],
    schema=GENERATION,
)  # fmt: skip
ASKED = pa.table(
    {
        "prompt_id": [f"q{n:02d}" for n in range(PROMPTS)],
        "text": [f"{n}" * 9 for n in range(PROMPTS)],
    }
)


def turned(root, told, said, *, making="fused"):
    """What the assets from events and answers to pairs give."""
    settings = demo_settings(DemoOptions(nano=True))
    pairs = settings.pairs.model_copy(update={"making": making})
    write_resolved(settings.model_copy(update={"pairs": pairs}), root)
    stores, wheel = open_stores(root), Wheel(root=str(root))
    stores.catalogue.register("delivery", "delivery", label=GENERAL)
    for name, table in (("events", told), ("annotations", said)):
        write_batch(stores, name, table, partition=TURN, parents=["delivery"], by="test", at=NOW)
    context = dg.build_asset_context(partition_key=TURN)
    shown, dropped = joined_exposures(context, wheel=wheel, generations=GENERATIONS)
    trusted = trusted_signals(exposures=shown.value)
    users, labels, drops, made = inferred_preferences(
        context, wheel=wheel, trusted_signals=trusted.value, exposures=shown.value,
        prompts=ASKED, generations=GENERATIONS,
    )  # fmt: skip
    return SimpleNamespace(
        shown=shown, dropped=dropped, trusted=trusted, users=users, labels=labels, drops=drops,
        pairs=made,
    )  # fmt: skip


@pytest.fixture(scope="module")
def bought(tmp_path_factory):
    return turned(tmp_path_factory.mktemp("bought"), events(bought=True), ANNOTATION.empty_table())


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return turned(tmp_path_factory.mktemp("clean"), events(bought=False), ANNOTATION.empty_table())


def test_bought_events_move_no_pair_of_the_wheel(bought, clean):
    assert clean.pairs.value.num_rows > 20
    assert bought.pairs.value.equals(clean.pairs.value)
    assert bought.labels.value.equals(clean.labels.value)


def test_what_was_weighed_down_is_counted_and_shown(bought, clean):
    assert drop_counts(bought.dropped.value)["one_sided"] == 40 * VOTERS
    assert "one_sided" not in drop_counts(clean.dropped.value)
    assert bought.shown.metadata["one_sided users"].value == VOTERS
    assert clean.shown.metadata["one_sided users"].value == 0
    assert f"| one_sided | {40 * VOTERS} | exposures |" in bought.dropped.metadata["reasons"].value
    assert bought.trusted.metadata["kept"].value == clean.trusted.metadata["kept"].value
    assert bought.shown.value.num_rows == clean.shown.value.num_rows + 40 * VOTERS


def test_the_naive_arm_believes_what_was_weighed_down_and_points_back_to_it(bought):
    shown = bought.shown.value
    believed = shown.set_column(
        shown.schema.get_field_index("weight"), "weight", pa.array(np.ones(shown.num_rows))
    )
    first, second = (
        make_preferences(
            bought.trusted.value, table, ANNOTATION.empty_table(), ASKED, GENERATIONS,
            making="naive", min_confidence=0.65, per_prompt=12, seed=0, quality=pytest.fail,
        ).pairs
        for table in (shown, believed)
    )  # fmt: skip
    assert first.equals(second)
    chosen = np.array([int(name[1:]) % 2 for name in first["chosen_id"].to_pylist()])
    assert chosen.mean() > 0.6, "release 1 was bought"
    evidence = {name for names in first["evidence"].to_pylist() for name in names}
    paid = events(bought=True).filter(pc.starts_with(events(bought=True)["user_id"], "x"))
    assert set(paid["event_id"].to_pylist()) & evidence


def test_copies_are_heard_once_in_the_wheel_and_counted(tmp_path):
    none = events(bought=False).slice(0, 0)
    one = turned(tmp_path / "one", none, dated(crowd(copies=1)))
    many = turned(tmp_path / "many", none, dated(crowd(copies=4)))
    columns = ["chosen_id", "rejected_id", "probability"]
    assert one.pairs.value.num_rows > 20
    assert many.pairs.value.select(columns).equals(one.pairs.value.select(columns))
    assert drop_counts(many.drops.value)["copied_answer"] == 3 * ITEMS
    assert many.users.metadata["annotators who count as others"].value == 3
    assert "| voices | copied_answer | 180 |" in many.drops.metadata["reasons"].value
    assert "look at first" not in many.pairs.metadata


def test_copies_who_took_over_are_warned_of(tmp_path):
    none = events(bought=False).slice(0, 0)
    made = turned(tmp_path, none, dated(crowd(copies=6, honest=20, each=12)))
    assert made.pairs.metadata["look at first"].value.startswith("6 annotators")
    assert drop_counts(made.drops.value)["suspected_copy"] == 360


def upside_down(prefix):
    """Twenty generations rated by one who is right and by two who turn the scale over."""
    level = {f"{prefix}{n:04d}": float(1 + n % 5) for n in range(20)}
    rows = [
        rating(20 * k + n, who, item, value if who == "a" else 6.0 - value,
               annotation_id=f"{prefix}{k}{n:03d}")
        for k, who in enumerate("abc")
        for n, (item, value) in enumerate(level.items())
    ]  # fmt: skip
    return level, rows


def right_way(pairs):
    """Share of *pairs* whose chosen one is of the higher level."""
    sides = zip(pairs["chosen_id"].to_pylist(), pairs["rejected_id"].to_pylist(), strict=True)
    return np.mean([int(one[1:]) % 5 > int(other[1:]) % 5 for one, other in sides])


def test_gold_of_the_desk_reaches_the_fit(tmp_path, monkeypatch):
    """Two of three answer upside down; ten known levels say who is right."""
    level, rows = upside_down("g")
    known = [
        {"generation_id": item, "aspect": "overall", "value": value, "source": "lead"}
        for item, value in list(level.items())[:10]
    ]
    known += [known[0] | {"generation_id": "g0012", "value": 1.0, "source": "settled"}]
    gold = {"told": pa.Table.from_pylist(known, schema=GOLD), "untold": GOLD.empty_table()}
    share, made = {}, {}
    for name, table in gold.items():
        monkeypatch.setattr(preference_assets, "gold_of_zone", lambda root, table=table: table)
        none = events(bought=False).slice(0, 0)
        made[name] = turned(tmp_path / name, none, dated(answers(rows)))
        share[name] = right_way(made[name].pairs.value)
    assert share["untold"] < 0.1
    assert share["told"] > 0.9
    assert made["told"].users.metadata["gold"].value == 10
    assert drop_counts(made["told"].drops.value)["settled_gold"] == 1
    sources = {s for row in made["told"].pairs.value["sources"].to_pylist() for s in row}
    assert sources == {"gold", "ratings"}


def test_gold_of_an_earlier_turn_shows_who_answers_well_and_makes_no_pair():
    level, rows = upside_down("h")
    gold = pa.table(
        {"generation_id": list(level), "aspect": ["overall"] * 20, "value": list(level.values())}
    )
    said = answers(rows + upside_down("g")[1])
    made = infer_preferences(None, said, ASKED, GENERATIONS, gold=gold)
    assert made.pairs.table.num_rows > 5
    assert right_way(made.pairs.table) > 0.9
    told = make_preferences(
        None, None, said, ASKED, GENERATIONS, gold=gold, making="explicit_only",
        min_confidence=0.65, per_prompt=12, seed=0, quality=pytest.fail,
    )  # fmt: skip
    names = told.generation_labels["generation_id"].to_pylist()
    assert names == GENERATIONS["generation_id"].to_pylist()


@pytest.mark.parametrize(("evidence", "simulated"), [("real", False), ("simulated", True)])
def test_the_card_calls_simulated_what_is_and_nothing_else(tmp_path, evidence, simulated):
    write_resolved(WheelSettings(evidence=evidence), tmp_path)
    open_stores(tmp_path).catalogue.register("delivery", "delivery", label=GENERAL)
    tables = {
        "preferences/preference_pairs": PREFERENCE_PAIR, "preferences/pair_drops": DROPS,
        "signals/signal_drops": DROPS, "annotation/all_generations": GENERATION,
    }  # fmt: skip

    def stored(name, schema):
        @dg.asset(key=name.split("/"), io_manager_key="tables", partitions_def=TURNS)
        def standing():
            return dg.Output(schema.empty_table(), metadata={PARENTS: ["delivery"]})

        return standing

    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("turn", [TURN])
    made = dg.materialize(
        [*(stored(*each) for each in tables.items()), preference_snapshot],
        instance=instance,
        partition_key=TURN,
        resources={
            "tables": TableIOManager(root=str(tmp_path)), "wheel": Wheel(root=str(tmp_path)),
            "io_manager": RefusingIOManager(),
        },
    )  # fmt: skip
    (event,) = made.asset_materializations_for_node("preferences__preference_snapshot")
    assert ("simulated" in event.metadata["card"].value) is simulated


def dated(said):
    """The same answers, each given at a known time."""
    at = said.schema.get_field_index("updated_at")
    return said.set_column(at, "updated_at", pa.array([NOW] * said.num_rows, ANNOTATION[at].type))
