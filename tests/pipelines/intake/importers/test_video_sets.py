"""FETV, counted again from its raw rows."""

import json
from datetime import UTC, datetime
from pathlib import Path

import krippendorff
import pandas as pd
import pytest

from data_contracts.contract import load_contract
from pipelines.intake.importers import Imported, importer
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
QUESTIONS = {
    "static_quality": "aesthetics",
    "temporal_quality": "temporal_consistency",
    "alignment": "prompt_alignment",
}


@pytest.fixture(scope="module")
def imported(public_data: Path) -> Imported:
    return importer("fetv")(public_data / "fetv")


@pytest.fixture(scope="module")
def raw(public_data: Path) -> pd.DataFrame:
    return pd.read_csv(public_data / "fetv" / "fetv_human_ratings.csv")


def test_every_rating_arrives_under_its_aspect(imported: Imported, raw: pd.DataFrame) -> None:
    assert (imported.received, imported.accepted) == (len(raw), len(raw)) == (6034, 6034)
    rated = imported.annotations.to_pandas().query("kind == 'rating'")
    for question, aspect in QUESTIONS.items():
        mine = rated[rated["aspect"] == aspect]
        assert mine["value"].tolist() == raw[question].tolist()
        assert mine["annotator_id"].nunique() == 2
    assert len(rated) == 3 * len(raw)
    videos = raw[["model", "prompt_idx"]].drop_duplicates()
    assert imported.generations.num_rows == len(videos) == 3017
    assert imported.prompts.num_rows == 619


def test_controlled_attributes_are_spans_and_no_second_rating(
    imported: Imported, raw: pd.DataFrame
) -> None:
    given = [json.loads(each) for each in raw["fine-grained_alignment"].dropna()]
    spans = imported.annotations.to_pandas().query("kind == 'prompt_span'")
    counts = pd.Series([name for each in given for name in each]).value_counts().to_dict()
    told = spans["origin"].str.removeprefix("import:fetv:").str.replace("_", " ")
    assert told.value_counts().to_dict() == counts
    assert sum(spans["value"]) == sum(sum(each.values()) for each in given)
    assert set(spans["scale"]) == {"1..3"}


@pytest.mark.parametrize(
    ("question", "alpha"),
    [("static_quality", 0.741), ("temporal_quality", 0.802), ("alignment", 0.756)],
)
def test_agreement_is_that_of_the_raw_table(
    imported: Imported, raw: pd.DataFrame, question: str, alpha: float
) -> None:
    rated = imported.annotations.to_pandas().query("kind == 'rating'")
    mine = rated[rated["aspect"] == QUESTIONS[question]]
    read = mine.pivot(index="annotator_id", columns="generation_id", values="value")
    given = raw.pivot(index="rater", columns=["model", "prompt_idx"], values=question)
    measured = [
        krippendorff.alpha(each.to_numpy(float), level_of_measurement="ordinal")
        for each in (read, given)
    ]
    assert measured[0] == pytest.approx(measured[1])
    assert measured[0] == pytest.approx(alpha, abs=0.001)


def test_keeps_the_contracts_without_pixels(imported: Imported, public_data: Path) -> None:
    for record in ("prompt", "generation", "annotation"):
        refuse(getattr(imported, f"{record}s"), load_contract(record), now=NOW)
    assert set(imported.generations["modality"].to_pylist()) == {"video"}
    lines = (public_data / "fetv" / "fetv_data.json").read_text().splitlines()
    texts = [json.loads(line)["prompt"] for line in lines]
    assert sorted(imported.prompts["text"].to_pylist()) == sorted(texts)
