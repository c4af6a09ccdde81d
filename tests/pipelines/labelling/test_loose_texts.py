"""What an annotator wrote and took back is deleted once nothing names it."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from small_server import edited
from test_edits_sync import TEXTS, Killed, Zone

from data_contracts.labels import GENERAL
from pipelines.labelling import loose_texts
from pipelines.labelling import sync as sync_module
from pipelines.labelling.edits import edited_generations
from pipelines.labelling.ledger import LOOSE
from pipelines.stores import open_stores, write_asset_table
from pipelines.stores.catalogue_tables import transaction
from pipelines.stores.digests import bytes_digest

FIRST, SECOND = (bytes_digest(text.encode()) for text in TEXTS[:2])
AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def zone(tmp_path, monkeypatch):
    """A zone where a text that nothing names is dropped at once."""
    drop = loose_texts.drop_loose
    monkeypatch.setattr(
        sync_module, "drop_loose", lambda *given: drop(*given, unused_for=timedelta(0))
    )
    return Zone(tmp_path / "zone")


def there(zone, *digests):
    blobs = open_stores(zone.root).blobs
    return [blobs.has(digest) for digest in digests]


def loose(zone):
    with transaction(zone.ledger, writes=False) as connection:
        return set(connection.execute(sa.select(LOOSE.c.blob)).scalars())


def materialise(zone):
    """Store the edited generations as the table that their asset stands at."""
    stores = open_stores(zone.root)
    found = edited_generations(zone.ledger)
    stores.catalogue.register("source", "batch", label=GENERAL)
    write_asset_table(stores, "annotation/edited_generations", found, parents=["source"],
                      by="test", at=AT, partition="turn-001")  # fmt: skip


def test_a_text_that_is_changed_leaves_with_the_sync(zone):
    number = zone.answer(0, TEXTS[0])
    zone.sync()
    assert there(zone, FIRST, SECOND) == [True, False]
    zone.server.change(zone.given[0][0], number, edited(TEXTS[1]))
    zone.sync()
    assert there(zone, FIRST, SECOND) == [False, True]
    assert loose(zone) == set()


def test_a_text_that_is_deleted_leaves_with_the_sync(zone):
    number = zone.answer(0, TEXTS[0])
    zone.answer(1, TEXTS[1])
    zone.sync()
    zone.server.delete(zone.given[0][0], number)
    del zone.server.tasks[zone.given[1][0]]
    zone.sync()
    assert there(zone, FIRST, SECOND) == [False, False]


def test_the_words_of_two_people_stay_until_both_took_them_back(zone):
    numbers = [zone.answer(at, TEXTS[0]) for at in (0, 3)]
    zone.sync()
    zone.server.delete(zone.given[0][0], numbers[0])
    zone.sync()
    assert there(zone, FIRST) == [True]
    zone.server.delete(zone.given[3][0], numbers[1])
    zone.sync()
    assert there(zone, FIRST) == [False]


def test_what_a_table_of_the_zone_names_stays_until_it_is_made_anew(zone):
    number = zone.answer(0, TEXTS[0])
    zone.sync()
    materialise(zone)
    zone.server.delete(zone.given[0][0], number)
    zone.sync()
    assert there(zone, FIRST) == [True]
    materialise(zone)
    zone.answer(1, TEXTS[1])
    zone.sync()
    assert there(zone, FIRST, SECOND) == [False, True]


def test_what_was_stored_within_the_hour_stays(tmp_path):
    zone = Zone(tmp_path / "zone")
    number = zone.answer(0, TEXTS[0])
    zone.sync()
    zone.server.delete(zone.given[0][0], number)
    zone.sync()
    assert there(zone, FIRST) == [True]
    assert loose(zone) == {FIRST}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["store_texts", "record_edits", "move_cursor", "drop_loose"])
def test_a_sync_that_dies_leaves_no_text_behind(zone, monkeypatch, step, when):
    """The first text is stored by a sync that dies, and taken back before the next one."""
    number = zone.answer(0, TEXTS[0])
    real = getattr(sync_module, step)

    def die(*given):
        if when == "after":
            real(*given)
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(sync_module, step, die)
        with pytest.raises(Killed):
            zone.sync()
    zone.server.change(zone.given[0][0], number, edited(TEXTS[1]))
    zone.sync()
    assert there(zone, FIRST, SECOND) == [False, True]
    assert loose(zone) == set()
