"""Kills a push or a sync without notice, at every one of its requests in turn."""

import subprocess
import sys

# A process without threads that imports once and then forks a victim for every step: a library
# that has started threads does not survive a fork.
ZYGOTE = """
import os, signal, sys
from pathlib import Path
import duckdb, pyarrow.compute, label_studio_sdk.converter.brush  # what victims would import
from annotation.client import LabelStudioClient
from pipelines.labelling import polling, push, sync
from pipelines.labelling.service import client_of

root, work, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
push.CHUNK = polling.PAGE = polling.LISTED = 3
real = LabelStudioClient.request

def victim(step, when):
    seen = iter(range(1, 10_000))
    def request(self, method, path, **more):
        here = next(seen) == step
        if here and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(self, method, path, **more)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    LabelStudioClient.request = request
    client = client_of(root)
    push.push_assignments(root, client) if work == "push" else sync.sync_answers(root, client)

deaths = 0
for step in range(1, last + 1):
    for when in ("before", "after"):
        child = os.fork()
        if child == 0:
            try:
                victim(step, when)
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), (step, when, code)
        deaths += code != 0
print(deaths)
"""


def killed_at_every_step(studio_root, work, *, last):
    """Run *work* and kill it without notice before and after each of its first requests.

    Returns:
        How often it died before it was done.
    """
    done = subprocess.run(
        [sys.executable, "-c", ZYGOTE, studio_root, work, str(last)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
