"""Who is on the tests' server, and what its tests share."""

import socket

ANNOTATORS = ("ann-1", "ann-2", "ann-3")
INTERFACES = ("pair_image", "pair_video", "pair_text", "critique_image", "blind_image")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def silent(_title):
    return lambda _done, _total: None
