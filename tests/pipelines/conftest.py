"""One nano turn of the wheel, made once for the tests that look at it."""

import pytest
import torch

from pipelines.demo import DemoOptions, demo_settings
from pipelines.settings import write_resolved
from pipelines.wheel import turn_wheel


@pytest.fixture(scope="session")
def nano_wheel(tmp_path_factory):
    """Return the folder; copy it before changing anything."""
    root = tmp_path_factory.mktemp("wheel") / "a"
    write_resolved(demo_settings(DemoOptions(nano=True)), root)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in the same order, however busy the machine
    turn_wheel(root, turns=1, deliveries=None, say=lambda stage, **more: None)
    yield root
    torch.set_num_threads(before)
