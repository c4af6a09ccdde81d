"""What the tests of the de-noising command share."""

import pytest

from pipelines.cli import run


@pytest.fixture
def flywheel(capsys):
    """Call the command line; return its exit code and what it printed and complained."""

    def call(*words):
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
