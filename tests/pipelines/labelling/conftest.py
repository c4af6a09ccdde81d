"""A ledger with six annotators of text pairs."""

import pytest
from seated import PEOPLE

from pipelines.labelling.ledger import open_ledger, record_people


@pytest.fixture
def ledger(tmp_path):
    opened = open_ledger(tmp_path)
    record_people(
        opened,
        [{"annotator_id": name, "user_id": n, "address": name} for n, name in enumerate(PEOPLE)],
        [{"project_id": n, "annotator_id": name, "interface": "pair_text"}
         for n, name in enumerate(PEOPLE)],
    )  # fmt: skip
    return opened
