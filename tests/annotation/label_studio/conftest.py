"""One real Label Studio a test session, installed once and started on a free port; a browser."""

import shutil
from pathlib import Path

import pytest
from answering import signed_in
from real_server import ANNOTATORS, INTERFACES, free_port, silent

from annotation.server import environment_folder, read_or_make_secrets, server_status
from annotation.server.installation import installed
from pipelines.labelling.service import bring_up, client_of, server_folder, take_down


@pytest.fixture(scope="session")
def studio_root(tmp_path_factory):
    """A zone whose own server runs, with three annotators; the first run installs it."""
    root = Path(tmp_path_factory.mktemp("labelling-zone"))
    if not installed(environment_folder()):
        print("installing Label Studio into its own environment, once: some minutes")  # noqa: T201
    try:
        bring_up(
            root, ANNOTATORS, INTERFACES, port=free_port(), url=None, bars=silent, outlives=False
        )
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


@pytest.fixture(scope="session")
def desks(studio_root):
    """A signed-in client for each annotator."""
    folder = server_folder(studio_root)
    url = server_status(folder).url
    known = read_or_make_secrets(folder).passwords
    return {
        address.split("@")[0]: signed_in(url, address, password)
        for address, password in known.items()
    }


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("no Chromium: run `apt-get install chromium`", pytrace=False)
    with sync_playwright() as driver:
        # The proxy leads nowhere: what would leave loopback fails, and is counted by tests.
        launched = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--proxy-server=http://127.0.0.1:9",
                  "--proxy-bypass-list=<-loopback>;127.0.0.1"],
        )  # fmt: skip
        yield launched
        launched.close()
