import sys
from pathlib import Path

import pytest

# The toy pictures are shared with the reward models' tests.
sys.path.append(str(Path(__file__).parents[1] / "reward_models"))

from toy_pictures import small_backbone

from backbone.emu3 import Emu3Backbone


@pytest.fixture(scope="session")
def backbone() -> Emu3Backbone:
    return small_backbone()
