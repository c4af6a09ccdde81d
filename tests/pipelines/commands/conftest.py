"""The command line in this process."""

import json
import os
import subprocess
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from pipelines.cli import run


class Answer(NamedTuple):
    """What a command left behind for its caller."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def flywheel(capsys):
    def call(*words):
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def root(tmp_path):
    return tmp_path / "zone"


@pytest.fixture
def tiny_disk():
    @contextmanager
    def mounted(folder, size):
        """Mount a small file system; skip where that is not allowed."""
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small file system is not allowed here")
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    return mounted
