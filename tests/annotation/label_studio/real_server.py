"""Who is on the tests' server, and what its tests share."""

import socket

ANNOTATORS = ("ann-1", "ann-2", "ann-3")
INTERFACES = ("pair_image", "pair_video", "pair_text", "critique_image", "blind_image")
# Opened by the browser alone, so for one annotator: every project costs each sync three requests.
MORE_INTERFACES = ("critique_video", "critique_text", "blind_video", "blind_text", "edit_text")
EVERY_INTERFACE = INTERFACES + MORE_INTERFACES


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def silent(_title):
    return lambda _done, _total: None
