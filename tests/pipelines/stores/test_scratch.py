"""Scratch: kept under the digest of what it was made from, and safe to clear."""

import pytest

from data_contracts.errors import FlywheelError
from pipelines.stores import open_stores
from pipelines.stores.digests import json_digest


def test_what_was_put_is_there_until_cleared(tmp_path):
    scratch = open_stores(tmp_path).scratch
    made_from = json_digest("a source")
    assert scratch.get(made_from) is None
    scratch.put(made_from, b"bytes")
    assert open_stores(tmp_path).scratch.get(made_from) == b"bytes"
    assert scratch.clear() == 1
    assert scratch.get(made_from) is None
    assert scratch.clear() == 0


def test_a_name_that_is_no_digest_never_becomes_a_path(tmp_path):
    with pytest.raises(FlywheelError, match="64 lower-case"):
        open_stores(tmp_path).scratch.put("../outside", b"")
