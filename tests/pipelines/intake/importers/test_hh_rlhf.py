"""Every pair arrives; the position of an answer says nothing about who won."""

import gzip
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from data_contracts.contract import load_contract
from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from pipelines.intake.importers import Imported, importer
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ASK = "\n\nHuman: Two?\n\nAssistant:"


@pytest.fixture(scope="module")
def imported(public_data: Path) -> Imported:
    return importer("hh_rlhf")(public_data / "hh_rlhf")


def _winners(found: Imported) -> list[tuple[str, bytes, bytes]]:
    """(prompt text, chosen, rejected) of each annotation, as read back through the ids."""
    texts = dict(zip(*(found.prompts[n].to_pylist() for n in ("prompt_id", "text")), strict=True))
    made = {each["generation_id"]: each for each in found.generations.to_pylist()}
    pairs = []
    for each in found.annotations.to_pylist():
        ids = (each["generation_id"], each["other_generation_id"])
        chosen, rejected = ids if each["value"] > 0 else ids[::-1]
        assert made[chosen]["prompt_id"] == made[rejected]["prompt_id"]
        contents = (found.blobs[made[g]["blob"]] for g in (chosen, rejected))
        pairs.append((texts[made[chosen]["prompt_id"]], *contents))
    return pairs


def test_counts_are_those_of_the_source(imported: Imported) -> None:
    """2,310 prompts: two dialogues were continued by two pairs each; no answer recurs."""
    assert imported.notes == {
        "pairs": 2312,
        "prompts": 2310,
        "generations": 4624,
        "empty_answers": 4,
        "pairs_of_several_turns": 5,
    }
    assert len(imported.quarantined) == 0


def test_keeps_the_contracts(imported: Imported) -> None:
    refuse(imported.prompts, load_contract("prompt"), now=NOW)
    refuse(imported.generations, load_contract("generation"), now=NOW)
    refuse(imported.annotations, load_contract("annotation"), now=NOW)
    assert imported.annotations.column("annotator_id").null_count == 2312


def test_every_dialogue_can_be_put_together_again(imported: Imported, public_data: Path) -> None:
    with gzip.open(public_data / "hh_rlhf" / "harmless-base-test.jsonl.gz", "rt") as stream:
        source = [json.loads(line) for line in stream]
    for (prompt, *answers), pair in zip(_winners(imported), source, strict=True):
        for answer, whole in zip(answers, (pair["chosen"], pair["rejected"]), strict=True):
            assert prompt.endswith("\n\nAssistant:")
            assert f"\n\n{prompt} {answer.decode()}".split() == whole.split()


def test_blobs_are_named_by_their_digest(imported: Imported) -> None:
    named = set(imported.generations.column("blob").to_pylist())
    assert named == set(imported.blobs)
    assert all(hashlib.sha256(content).hexdigest() == d for d, content in imported.blobs.items())


def test_the_position_of_an_answer_says_nothing(imported: Imported) -> None:
    """Under a fair coin the share of winners that come first is .5 with a spread of .0104."""
    values = np.array(imported.annotations.column("value").to_pylist())
    assert set(values.tolist()) == {-2.0, 2.0}
    assert abs((values > 0).mean() - 0.5) < 4 * 0.0104


def _file(tmp_path: Path, *lines: str) -> Path:
    (tmp_path / "pairs.jsonl").write_text("".join(f"{each}\n" for each in lines))
    return tmp_path


def _pair(chosen: str, rejected: str) -> str:
    return json.dumps({"chosen": chosen, "rejected": rejected})


def test_swapping_the_winner_swaps_only_the_value(tmp_path: Path) -> None:
    pairs = [(f"{ASK} yes {n}", f"{ASK} no {n}") for n in range(20)]
    columns = ["task_id", "generation_id", "other_generation_id", "value"]
    found = [
        importer("hh_rlhf")(_file(tmp_path, *(_pair(*each[::step]) for each in pairs))).annotations
        for step in (1, -1)
    ]
    first, second = (table.select(columns).to_pylist() for table in found)
    assert [each | {"value": -each["value"]} for each in first] == second


def test_dialogues_that_part_early_share_only_what_is_shared(tmp_path: Path) -> None:
    """The turns after the parting were written by the model, so they belong to its answer."""
    long = f"{ASK} One.\n\nHuman: Sure?\n\nAssistant: Yes."
    found = importer("hh_rlhf")(_file(tmp_path, _pair(long, f"{ASK} Three.")))
    assert _winners(found) == [
        (ASK.lstrip(), b"One.\n\nHuman: Sure?\n\nAssistant: Yes.", b"Three.")
    ]
    assert found.notes["pairs_of_several_turns"] == 1


def test_an_empty_answer_is_an_answer(tmp_path: Path) -> None:
    found = importer("hh_rlhf")(_file(tmp_path, _pair(f"{ASK} ", f"{ASK} Three.")))
    assert _winners(found) == [(ASK.lstrip(), b"", b"Three.")]
    assert found.notes["empty_answers"] == 1
    assert found.blobs[Digest(hashlib.sha256(b"").hexdigest())] == b""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "unparsable"),
        ("[]", "unparsable"),
        ('{"chosen": "x"}', "unparsable"),
        ('{"chosen": 1, "rejected": 2}', "unparsable"),
        ('{"chosen": "\\ud800", "rejected": ""}', "unparsable"),
        (_pair("One.", "Two."), "no_shared_prompt"),
        (_pair(f"{ASK} One.", f"{ASK}  One. "), "same_answer"),
    ],
)
def test_a_bad_pair_is_quarantined(tmp_path: Path, line: str, reason: str) -> None:
    found = importer("hh_rlhf")(_file(tmp_path, line, _pair(f"{ASK} 1", f"{ASK} 2")))
    assert len(found.annotations) == 1
    assert found.quarantined.select(["row", "reason"]).to_pylist() == [{"row": 0, "reason": reason}]


def test_a_file_cut_off_is_refused_in_one_sentence(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(f"{_pair(f'{ASK} {n}', ASK)}\n".encode() for n in range(500)))
    (tmp_path / "pairs.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FlywheelError, match="cannot be read to its end"):
        importer("hh_rlhf")(tmp_path)


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlywheelError, match="holds 0 "):
        importer("hh_rlhf")(tmp_path)
