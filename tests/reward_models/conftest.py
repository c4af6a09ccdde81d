import pytest
from toy_pictures import small_backbone

from backbone.emu3 import Emu3Backbone


@pytest.fixture(scope="session")
def backbone() -> Emu3Backbone:
    return small_backbone()
