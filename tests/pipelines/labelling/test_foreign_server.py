"""A ledger of another server starts no server of ours, and says how to go on."""

import pytest

from data_contracts.errors import FlywheelError
from pipelines.labelling import service
from pipelines.labelling.ledger import open_ledger, record_server
from pipelines.labelling.service import bring_up, server_folder


@pytest.fixture
def started(monkeypatch):
    """What would have been installed or started."""
    told = []
    for name in ("install", "start", "launch"):
        monkeypatch.setattr(service, name, lambda *_, _name=name, **__: told.append(_name))
    return told


@pytest.mark.parametrize(
    "recorded",
    ["https://ls.example.org", "https://ls.example.org:8443", "http://127.0.0.1:8080",
     "http://127.0.0.1"],
)  # fmt: skip
def test_without_its_address_nothing_starts(tmp_path, started, recorded):
    record_server(open_ledger(tmp_path), recorded)
    with pytest.raises(FlywheelError) as refused:
        bring_up(
            tmp_path, ["ann-1"], ["pair_text"], port=1, url=None, bars=lambda _: lambda *_: None
        )
    assert str(refused.value) == (
        f"this zone's annotators are on {recorded}; name it with --url, or use another --root for "
        "a server of our own"
    )
    assert not started
    assert not server_folder(tmp_path).exists()


def test_a_server_of_our_own_is_started_again_where_it_was(tmp_path, started, monkeypatch):
    record_server(open_ledger(tmp_path), "http://127.0.0.1:45001")
    (server_folder(tmp_path) / "data").mkdir(parents=True)
    ports = []

    def start(*_, port, **__):
        ports.append(port)
        raise FlywheelError("far enough")

    monkeypatch.setattr(service, "start", start)
    with pytest.raises(FlywheelError, match="far enough"):
        bring_up(
            tmp_path, ["ann-1"], ["pair_text"], port=service.free_port(), url=None,
            bars=lambda _: lambda *_: None,
        )  # fmt: skip
    assert ports == [45001]
