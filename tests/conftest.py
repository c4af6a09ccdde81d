"""What many tests share."""

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says something about the machine, nothing about the code.
hypothesis.settings.register_profile("flywheel", deadline=None)
hypothesis.settings.load_profile("flywheel")

_REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of real human data; where it exists, no test that needs it may skip."""
    folder = Path(os.environ.get("FLYWHEEL_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real human data at {folder}; set FLYWHEEL_DATA to its folder")
    return folder
