"""The catalogue: labels are joined, never stated; pointers move once; nothing is granted."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.labels import GENERAL, Label
from pipelines.stores import Catalogue, Parent, PointerMoved, RoleDenied, open_stores

ACME = Label(frozenset({"acme"}))
BOLT = Label(frozenset({"bolt/film"}))


@pytest.fixture
def catalogue(stores):
    return stores.catalogue


def test_an_output_takes_the_join_of_its_parents_labels(catalogue):
    catalogue.register("a", "events", label=ACME, label_epoch=2)
    catalogue.register("b", "events", label=BOLT, label_epoch=5)
    catalogue.register("c", "sessions", ["a", Parent("b", "statistic")])
    known = catalogue.object("c")
    assert known.label == ACME.join(BOLT)
    assert known.label_epoch == 5
    assert known.parents == (Parent("a", "lineage"), Parent("b", "statistic"))


@pytest.mark.parametrize(
    ("parents", "label", "said"),
    [
        ((), None, "has no parents and states no label"),
        (("absent",), None, "has no sensitivity label"),
        (("a",), GENERAL, "never states its own label"),
    ],
)
def test_a_missing_or_stated_label_is_denied(catalogue, parents, label, said):
    catalogue.register("a", "events", label=GENERAL)
    with pytest.raises(SensitivityError, match=said):
        catalogue.register("b", "sessions", parents, label=label)
    assert not catalogue.has("b")
    with pytest.raises(SensitivityError, match="no sensitivity label"):
        catalogue.label("b")


def test_a_reader_needs_every_owner(catalogue):
    catalogue.register("a", "events", label=ACME)
    catalogue.check_readable("a", ACME.join(BOLT))
    with pytest.raises(SensitivityError, match="may not be read"):
        catalogue.check_readable("a", GENERAL)
    with pytest.raises(SensitivityError, match="no sensitivity label"):
        catalogue.check_readable("absent", ACME)


def test_registering_again_adds_parents_and_keeps_the_label(catalogue):
    catalogue.register("a", "events", label=GENERAL)
    catalogue.register("b", "events", label=GENERAL, label_epoch=3)
    catalogue.register("secret", "events", label=ACME)
    catalogue.register("c", "sessions", ["a"])
    catalogue.register("c", "sessions", ["b", "c"])
    assert [parent.object_id for parent in catalogue.object("c").parents] == ["a", "b"]
    assert catalogue.object("c").label_epoch == 3
    with pytest.raises(SensitivityError, match="another sensitivity label"):
        catalogue.register("c", "sessions", ["secret"])
    assert catalogue.label("c") == GENERAL


def test_an_output_equal_to_its_input_keeps_the_inputs_label(catalogue):
    catalogue.register("a", "events", label=ACME)
    catalogue.register("general", "events", label=GENERAL)
    assert catalogue.register("a", "copies", ["a"]) == ACME
    assert catalogue.register("a", "copies", ["a", "general"]) == ACME
    assert catalogue.object("a").parents == (Parent("general"),)
    with pytest.raises(SensitivityError, match="has no sensitivity label"):
        catalogue.register("absent", "copies", ["absent"])


def test_an_unknown_kind_of_edge_is_refused(catalogue):
    catalogue.register("a", "events", label=GENERAL)
    with pytest.raises(FlywheelError, match="unknown kind of edge guess"):
        catalogue.register("b", "sessions", [Parent("a", "guess")])


@settings(max_examples=20, deadline=None)
@given(edges=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_a_label_is_the_union_over_all_ancestors(edges, tmp_path_factory):
    catalogue = open_stores(tmp_path_factory.mktemp("zone")).catalogue
    owners = {}
    for child in range(7):
        parents = sorted({low for low, high in edges if high == child and low < child})
        stated = None if parents else Label(frozenset({f"t{child}"}))
        catalogue.register(str(child), "node", [str(p) for p in parents], label=stated)
        own = stated.owners if stated else frozenset()
        owners[child] = own.union(*(owners[parent] for parent in parents))
    assert all(catalogue.label(str(n)).owners == found for n, found in owners.items())


def test_a_pointer_moves_only_from_where_it_is_expected(catalogue, now):
    def swap(expected, new):
        return catalogue.swap_pointer(
            "p", expected=expected, new=new, reason="why", by="me", at=now
        )

    assert catalogue.pointer("p") is None
    swap(None, "one")
    swap("one", "two")
    for wrong in (None, "one", "never"):
        with pytest.raises(PointerMoved, match="is at two"):
            swap(wrong, "three")
    assert catalogue.pointer("p") == "two"
    history = catalogue.pointer_history("p")
    assert [(m.sequence, m.previous, m.value, m.by) for m in history] == [
        (0, None, "one", "me"),
        (1, "one", "two", "me"),
    ]
    assert catalogue.pointers("p") == {"p": "two"}


RACER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pipelines.stores import Catalogue, PointerMoved
catalogue = Catalogue(sys.argv[1])
wins, expected = [], None
print("ready", flush=True)
for line in sys.stdin:
    new = f"{line.strip()}-{sys.argv[2]}"
    try:
        catalogue.swap_pointer("p", expected=expected, new=new, reason="race", by=sys.argv[2],
                               at=datetime(2026, 1, 1, tzinfo=UTC))
        print("won", flush=True)
    except PointerMoved:
        print("lost", flush=True)
    sys.stdin.readline()
    expected = catalogue.pointer("p")
    print("ready", flush=True)
"""


def test_of_two_racing_swaps_exactly_one_wins(stores):
    url = f"sqlite:///{stores.root / 'catalogue.sqlite'}"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url, who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for who in ("one", "other")
    ]
    for number in range(25):
        assert hear(racers) == ["ready", "ready"]
        tell(racers, str(number))
        assert sorted(hear(racers)) == ["lost", "won"]
        tell(racers, "next")
    for racer in racers:
        racer.communicate(timeout=20)
    assert len(stores.catalogue.pointer_history("p")) == 25


def hear(racers):
    return [racer.stdout.readline().strip() for racer in racers]


def tell(racers, word):
    for racer in racers:
        racer.stdin.write(f"{word}\n")


def release(catalogue, name, now):
    catalogue.register(name, "checkpoint", label=GENERAL)
    return catalogue.promote("policy", name, reason="gate passed", by="engineer", at=now)


def test_rollback_walks_back_release_by_release(catalogue, now):
    def back():
        return catalogue.rollback("policy", reason="worse", by="engineer", at=now)

    for name in ("a", "b", "c"):
        release(catalogue, name, now)
    assert [back(), back()] == ["b", "a"]
    with pytest.raises(FlywheelError, match="no earlier release"):
        back()
    release(catalogue, "d", now)
    assert back() == "a"
    assert catalogue.release("policy") == "a"
    assert [move.action for move in catalogue.release_history("policy")] == [
        *["promote"] * 3,
        *["rollback"] * 2,
        "promote",
        "rollback",
    ]


def test_promoting_the_released_checkpoint_again_changes_nothing(catalogue, now):
    release(catalogue, "a", now)
    release(catalogue, "a", now)
    assert len(catalogue.release_history("policy")) == 1


def test_only_a_registered_checkpoint_is_promoted(catalogue, now):
    catalogue.register("table", "events", label=GENERAL)
    for name in ("table", "absent"):
        with pytest.raises(FlywheelError, match="not registered as a checkpoint"):
            catalogue.promote("policy", name, reason="r", by="b", at=now)
    with pytest.raises(FlywheelError, match="never promoted"):
        catalogue.rollback("policy", reason="r", by="b", at=now)
    with pytest.raises(FlywheelError, match="promote or rollback only"):
        catalogue.swap_pointer("release/policy", expected=None, new="a", reason="r", by="b", at=now)
    assert catalogue.release("policy") is None


def test_the_latest_validation_counts(catalogue, now):
    def record(*, passed, contract="event"):
        catalogue.record_validation(
            "d", contract=contract, version="1", passed=passed, rules=["unique"], rows=3, at=now
        )

    assert catalogue.validation("d") is None
    record(passed=True)
    record(passed=False)
    record(passed=True, contract="other")
    assert catalogue.validation("d", "event").passed is False
    assert catalogue.validation("d").contract == "other"
    assert catalogue.validation("d", "event").rules == ("unique",)


def test_a_role_may_do_only_what_it_was_granted(catalogue):
    with pytest.raises(RoleDenied, match="role engineer may not promote"):
        catalogue.require("engineer", "promote")
    catalogue.grant("engineer", "promote")
    catalogue.grant("engineer", "promote")
    catalogue.require("engineer", "promote")
    for role, capability in (("engineer", "decrypt"), ("annotator", "promote")):
        with pytest.raises(RoleDenied):
            catalogue.require(role, capability)


def test_a_time_needs_a_zone(catalogue):
    with pytest.raises(FlywheelError, match="without a zone"):
        release(catalogue, "a", datetime(2026, 1, 1))
    later = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=1)
    release(catalogue, "a", later)
    assert catalogue.release_history("policy")[0].at == "2026-01-01T01:00:00.000000+00:00"


def test_an_unreachable_database_is_one_sentence(tmp_path):
    with pytest.raises(FlywheelError, match="unable to open database file"):
        Catalogue(f"sqlite:///{tmp_path / 'absent' / 'catalogue.sqlite'}")
    (tmp_path / "noise.sqlite").write_bytes(b"noise" * 1000)
    with pytest.raises(FlywheelError, match="not a database"):
        Catalogue(f"sqlite:///{tmp_path / 'noise.sqlite'}")


def test_an_output_and_its_pointer_are_recorded_together_or_not_at_all(catalogue):
    told = {"reason": "materialised", "by": "test", "at": datetime(2026, 1, 1, tzinfo=UTC)}
    catalogue.register("a", "events", label=ACME)
    assert catalogue.register_at("traces/sessions/all", "b", "sessions", ["a"], **told) == ACME
    with pytest.raises(SensitivityError, match="has no sensitivity label"):
        catalogue.register_at("traces/sessions/all", "c", "sessions", ["absent"], **told)
    with pytest.raises(FlywheelError, match="promote or rollback only"):
        catalogue.register_at("release/policy", "d", "sessions", ["a"], **told)
    assert not catalogue.has("c")
    assert not catalogue.has("d")
    catalogue.register_at("traces/sessions/all", "b", "sessions", ["a"], **told)
    assert [move.value for move in catalogue.pointer_history("traces/sessions/all")] == ["b"]


def test_ancestry_holds_every_ancestor_once_and_names_the_unknown(catalogue):
    """d came from b and c, both from a."""
    catalogue.register("a", "events", label=ACME)
    for name, parents in (("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"])):
        catalogue.register(name, "sessions", parents)
    found = catalogue.ancestry(["d", "absent"])
    assert {name: known and known.kind for name, known in found.items()} == {
        "a": "events", "b": "sessions", "c": "sessions", "d": "sessions", "absent": None,
    }  # fmt: skip
    assert found["d"] == catalogue.object("d")


def test_a_catalogue_begun_anew_at_the_same_place_is_a_new_one(tmp_path):
    root = tmp_path / "zone"
    open_stores(root).catalogue.register("a", "events", label=ACME)
    assert open_stores(root).catalogue.has("a")
    root.rename(tmp_path / "kept")  # so that its file cannot be given the same number
    assert not open_stores(root).catalogue.has("a")
    assert open_stores(tmp_path / "kept").catalogue.has("a")
