"""A door in this process, with one tenant and its key."""

import pytest
from door_places import make_place


@pytest.fixture
def place(tmp_path):
    return make_place(tmp_path)


@pytest.fixture
def client(place):
    with place.open() as opened:
        yield opened
