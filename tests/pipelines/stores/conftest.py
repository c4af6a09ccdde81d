"""Stores in a temporary folder, and rows to put into them."""

from datetime import UTC, datetime

import pytest

from pipelines.stores import open_stores


@pytest.fixture
def stores(tmp_path):
    return open_stores(tmp_path / "zone")


@pytest.fixture
def now():
    return datetime(2026, 1, 2, tzinfo=UTC)
