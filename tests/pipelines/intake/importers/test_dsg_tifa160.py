"""Every one of the 3,995 answers arrives as it was given."""

import collections
from datetime import UTC, datetime
from pathlib import Path

import krippendorff
import numpy as np
import pytest

from data_contracts.contract import load_contract
from data_contracts.errors import ContractError, FlywheelError
from data_contracts.schemas import ANNOTATION, GENERATION, PROMPT
from pipelines.intake.importers import Imported, importer
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HEADER = "dsg_prompt_split,t2i_model,item_id,source_id,worker_id,question,answer\n"


@pytest.fixture(scope="module")
def imported(public_data: Path) -> Imported:
    return importer("dsg_tifa160")(public_data / "dsg_tifa160")


def test_counts_are_those_of_the_source(imported: Imported) -> None:
    assert imported.notes == {
        "answers": 3995,
        "annotators": 5,
        "generations": 800,
        "prompts": 160,
    }
    assert len(imported.annotations) == 3995
    assert len(imported.quarantined) == 0
    assert imported.blobs == {}


def test_keeps_the_contracts(imported: Imported) -> None:
    assert imported.prompts.schema == PROMPT
    assert imported.generations.schema == GENERATION
    assert imported.annotations.schema == ANNOTATION
    refuse(imported.prompts, load_contract("prompt"), now=NOW)
    refuse(imported.generations, load_contract("generation"), now=NOW)
    refuse(imported.annotations, load_contract("annotation"), now=NOW)


def test_is_ratings_of_images_without_pixels(imported: Imported) -> None:
    assert set(imported.generations.column("modality").to_pylist()) == {"image"}
    assert imported.generations.column("blob").null_count == 800
    assert set(imported.generations.column("tenant_id").to_pylist()) == {"public"}
    assert set(imported.annotations.column("aspect").to_pylist()) == {"prompt_alignment"}
    levels = collections.Counter(imported.annotations.column("value").to_pylist())
    assert levels == {5.0: 1325, 4.0: 1302, 3.0: 958, 2.0: 325, 1.0: 85}


def test_agreement_before_any_collapse_is_the_known_one(imported: Imported) -> None:
    """Ordinal alpha by an independent library: a lost or swapped answer would move it."""
    columns = ("annotator_id", "generation_id", "value")
    people, images, values = (imported.annotations.column(n).to_pylist() for n in columns)
    _, rows = np.unique(people, return_inverse=True)
    _, places = np.unique(images, return_inverse=True)
    answers = np.full((5, 800), np.nan)
    answers[rows, places] = values
    alpha = krippendorff.alpha(answers, level_of_measurement="ordinal")
    assert alpha == pytest.approx(0.685, abs=0.005)


def test_ids_say_nothing_and_stay_the_same(imported: Imported, public_data: Path) -> None:
    again = importer("dsg_tifa160")(public_data / "dsg_tifa160")
    assert again.annotations.equals(imported.annotations)
    assert not any("w1" in each for each in set(imported.annotations["annotator_id"].to_pylist()))


def _folder(tmp_path: Path, *answers: str) -> Path:
    (tmp_path / "tifa160-dev-anns.csv").write_text("item_id,text\ncoco_1,A small test.\n")
    lines = "".join(f"{each}\n" for each in answers)
    (tmp_path / "tifa160-likert-anns.csv").write_text(HEADER + lines)
    return tmp_path


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("tifa160,m,i,coco_1,w1,q,6", "off_scale"),
        ("tifa160,m,i,coco_1,w1,q,", "off_scale"),
        ("tifa160,m,i,coco_1,w1,q,3.5", "off_scale"),
        ("tifa160,m,i,coco_2,w1,q,3", "unknown_prompt"),
        ("tifa160,m,i,coco_1,,q,3", "unnamed"),
        ("tifa160,m,i,coco_1", "unparsable"),
        ("tifa160,m,i,coco_1,w1,q,3,4", "unparsable"),
    ],
)
def test_a_bad_answer_is_quarantined(tmp_path: Path, bad: str, reason: str) -> None:
    found = importer("dsg_tifa160")(_folder(tmp_path, "tifa160,m,i,coco_1,w1,q,3", bad))
    assert len(found.annotations) == 1
    assert found.quarantined.select(["row", "reason"]).to_pylist() == [{"row": 1, "reason": reason}]


def test_a_second_answer_by_one_person_is_not_merged(tmp_path: Path) -> None:
    answers = ["tifa160,m,i,coco_1,w1,q,3", "tifa160,m,i,coco_1,w1,q,3"]
    found = importer("dsg_tifa160")(_folder(tmp_path, *answers))
    assert len(set(found.annotations.column("annotation_id").to_pylist())) == 2


def test_a_missing_file_or_column_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FlywheelError, match="cannot be read: No such file"):
        importer("dsg_tifa160")(tmp_path)
    folder = _folder(tmp_path)
    (folder / "tifa160-likert-anns.csv").write_text("t2i_model,source_id,worker_id\n")
    with pytest.raises(ContractError, match="column answer missing"):
        importer("dsg_tifa160")(folder)


def test_an_unknown_set_is_refused_by_name() -> None:
    with pytest.raises(FlywheelError, match="no importer named 'imagenet'; there are dsg_tifa160"):
        importer("imagenet")
