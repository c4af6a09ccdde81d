"""One real Label Studio a test session, installed once and started on a free port."""

from pathlib import Path

import pytest
from real_server import ANNOTATORS, INTERFACES, free_port, silent

from annotation.server import environment_folder, read_or_make_secrets
from annotation.server.installation import installed
from pipelines.labelling.service import bring_up, client_of, server_folder, take_down


@pytest.fixture(scope="session")
def studio_root(tmp_path_factory):
    """A zone whose own server runs, with three annotators; the first run installs it."""
    root = Path(tmp_path_factory.mktemp("labelling-zone"))
    if not installed(environment_folder()):
        print("installing Label Studio into its own environment, once: some minutes")  # noqa: T201
    try:
        bring_up(root, ANNOTATORS, INTERFACES, port=free_port(), url=None, bars=silent)
        yield root
    finally:
        take_down(root)


@pytest.fixture
def lead(studio_root):
    """The lead's client."""
    return client_of(studio_root)


@pytest.fixture
def passwords(studio_root):
    return read_or_make_secrets(server_folder(studio_root)).passwords
