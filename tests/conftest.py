"""What many tests share."""

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says something about the machine, nothing about the code.
hypothesis.settings.register_profile("flywheel", deadline=None)
hypothesis.settings.load_profile("flywheel")

_REPOSITORY = Path(__file__).resolve().parents[1]


# One server answers the tests of Label Studio, so one worker takes them; others train meanwhile.
_ONE_SERVER = ("label_studio", "test_installation.py", "test_seated_desk.py")
_ONE_WHEEL = ("test_train_stop.py",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Say which tests share something that takes long to make (`--dist loadgroup`)."""
    for item in items:
        for group in (_ONE_SERVER, _ONE_WHEEL):
            if set(group) & set(item.path.parts):
                item.add_marker(pytest.mark.xdist_group(group[0]))


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of real human data; where it exists, no test that needs it may skip."""
    folder = Path(os.environ.get("FLYWHEEL_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real human data at {folder}; set FLYWHEEL_DATA to its folder")
    return folder
