"""Four sets of judgements of images, counted again from their raw rows."""

import itertools
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
import pytest

from data_contracts.contract import load_contract
from pipelines.intake.importers import Imported, importer
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = ["agiqa3k", "geneval_human", "imagenhub", "imagereward_test"]


@cache
def imported(data: Path, name: str) -> Imported:
    return importer(name)(data / name)


def answers(found: Imported, **wanted: str) -> pd.DataFrame:
    frame = found.annotations.to_pandas()
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def ordinal(frame: pd.DataFrame, thing: str | list[str], who: str, value: str) -> float:
    table = frame.pivot(index=who, columns=thing, values=value).to_numpy(float)
    return float(krippendorff.alpha(table, level_of_measurement="ordinal"))


@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_contracts_without_pixels(public_data: Path, name: str) -> None:
    found = imported(public_data, name)
    for record in ("prompt", "generation", "annotation"):
        refuse(getattr(found, f"{record}s"), load_contract(record), now=NOW)
    assert set(found.generations["modality"].to_pylist()) == {"image"}
    assert found.generations["blob"].null_count == found.generations.num_rows
    assert set(found.annotations["generation_id"].to_pylist()) <= set(
        found.generations["generation_id"].to_pylist()
    )
    assert set(found.generations["prompt_id"].to_pylist()) == set(
        found.prompts["prompt_id"].to_pylist()
    )


def test_agiqa3k_means_and_deviations_become_ratings_with_an_error(public_data: Path) -> None:
    """2,982 images under two questions; the error is the deviation over the root of 21 raters."""
    raw = pd.read_csv(public_data / "agiqa3k" / "data.csv", keep_default_na=False)
    found = imported(public_data, "agiqa3k")
    assert (found.received, found.accepted) == (len(raw), len(raw)) == (2982, 2982)
    rated = answers(found)
    assert len(rated) == 2 * len(raw)
    assert found.annotations["annotator_id"].null_count == len(rated)
    errors = rated.merge(found.stated_errors.to_pandas(), on="annotation_id")
    assert len(errors) == len(rated)
    assert set(errors["raters"]) == {21}
    for aspect, question in {"aesthetics": "quality", "prompt_alignment": "align"}.items():
        mine = errors[errors["aspect"] == aspect]
        told = np.stack([mine["value"], mine["standard_error"] * np.sqrt(21)])
        given = raw[[f"mos_{question}", f"std_{question}"]].to_numpy().T
        np.testing.assert_allclose(told, given, rtol=1e-12)
    texts = raw[["prompt", "adj1", "adj2", "style"]].drop_duplicates()
    assert found.prompts.num_rows == len(texts) == 300
    assert found.notes["models"] == 6


def test_imagenhub_counts_and_agreement_are_those_of_the_source(public_data: Path) -> None:
    """Text-to-image SDXL: ordinal alpha .594 for semantic consistency, .429 for perceptual."""
    raw = pd.read_csv(public_data / "imagenhub" / "imagenhub_ratings.csv")
    found = imported(public_data, "imagenhub")
    assert (found.received, found.accepted) == (len(raw), len(raw)) == (16572, 16572)
    images = raw[["task", "uid", "model"]].drop_duplicates()
    assert found.generations.num_rows == len(images) == 5524
    assert found.prompts.num_rows == len(raw[["task", "uid"]].drop_duplicates())
    drawn = raw.index[(raw["task"] == "Text-To-Image") & (raw["model"] == "SDXL")]
    for aspect, column, published in (
        ("prompt_alignment", "SC", 0.594),
        ("aesthetics", "PQ", 0.429),
    ):
        mine = answers(found, aspect=aspect)
        assert mine["value"].tolist() == raw[column].tolist()
        sdxl = mine.iloc[drawn]
        alpha = ordinal(sdxl, "generation_id", "annotator_id", "value")
        assert alpha == pytest.approx(published, abs=0.005)
        assert alpha == pytest.approx(ordinal(raw.loc[drawn], "uid", "rater", column))


def shown_right(row: dict[str, object], wanted: list[dict[str, object]]) -> bool:
    """The published rule for one answer, object by object."""
    asked = wanted[int(row["prompt_id"])]
    right = []
    for n, thing in enumerate(asked["include"]):
        counted = row[f"ans_count-{n}"]
        exact = asked["tag"] == "counting"
        right.append(counted == thing["count"] if exact else counted >= thing["count"])
        right.append(thing.get("color", "") in ["", *str(row[f"ans_color-{n}"]).split("|")])
        place = thing.get("position", ["here of"])[0].removesuffix(" of")
        right.append(place in ("here", row["ans_position-x"], row["ans_position-y"]))
    return all(right)


def test_geneval_people_agree_as_published_on_what_is_shown(public_data: Path) -> None:
    """Mean pairwise agreement 86.8 % on whether all that was asked is shown."""
    raw = pd.read_csv(public_data / "geneval_human" / "geneval_annotations_clean.csv")
    lines = (public_data / "geneval_human" / "evaluation_metadata.jsonl").read_text().splitlines()
    wanted = [json.loads(line) for line in lines]
    found = imported(public_data, "geneval_human")
    assert (found.received, found.accepted) == (len(raw), len(raw)) == (6000, 6000)
    judged = answers(found, origin="import:geneval_human:correct")
    mine = [shown_right(row, wanted) for row in raw.to_dict("records")]
    assert judged["value"].tolist() == [float(each) for each in mine]
    right = judged.groupby("generation_id")["value"].sum().to_numpy()
    agreed = (right * (right - 1) + (5 - right) * (4 - right)) / 20
    assert len(agreed) == 1200
    assert agreed.mean() == pytest.approx(0.868, abs=0.005)


def test_geneval_keeps_every_rating_that_was_given(public_data: Path) -> None:
    raw = pd.read_csv(public_data / "geneval_human" / "geneval_annotations_clean.csv")
    found = imported(public_data, "geneval_human")
    assert found.annotations["annotator_id"].null_count == found.annotations.num_rows
    for column, question, scale in (
        ("ans_quality", "fit", "1..4"),
        ("ans_real-0", "real-0", "1..3"),
        ("ans_real-1", "real-1", "1..3"),
    ):
        mine = answers(found, origin=f"import:geneval_human:{question}")
        given = raw[raw[column].notna()]
        assert mine["value"].tolist() == given[column].tolist()
        assert mine["lead_time_s"].tolist() == given["ans_ee"].tolist()
        assert set(mine["scale"]) == {scale}
    images = raw[["t2i_model", "prompt_id", "image_id"]].drop_duplicates()
    assert found.generations.num_rows == len(images) == 1200
    assert found.prompts.num_rows == raw["caption"].nunique() == 100


def test_imagereward_gives_6399_pairs_that_were_not_tied(public_data: Path) -> None:
    raw = json.loads((public_data / "imagereward_test" / "test.json").read_text())
    found = imported(public_data, "imagereward_test")
    assert (found.received, found.accepted) == (len(raw), len(raw)) == (466, 466)
    ranks = [pair for each in raw for pair in itertools.combinations(each["ranking"], 2)]
    untied = sum(a != b for a, b in ranks)
    assert untied == found.notes["untied"] == 6399
    compared = answers(found)
    assert len(compared) == len(ranks) == untied + 831
    assert (compared["value"] == 0).sum() == 831
    assert found.generations.num_rows == sum(len(each["generations"]) for each in raw) == 2720
    # The one ranked first wins against every image of a higher rank, whoever is named first.
    won = np.where(
        compared["value"] > 0, compared["generation_id"], compared["other_generation_id"]
    )
    wins = pd.Series(won[compared["value"] != 0]).value_counts()
    made = found.generations["generation_id"].to_pylist()
    ranked = [rank for each in raw for rank in each["ranking"]]
    beaten = [
        sum(rank < other for other in each["ranking"]) for each in raw for rank in each["ranking"]
    ]
    assert len(ranked) == len(made)
    assert [int(wins.get(name, 0)) for name in made] == beaten


def test_the_place_of_a_compared_image_says_nothing(public_data: Path) -> None:
    """Under a fair coin the share of winners that come first is .5 with a spread of .0063."""
    compared = answers(imported(public_data, "imagereward_test"))
    untied = compared.loc[compared["value"] != 0, "value"]
    assert abs((untied > 0).mean() - 0.5) < 4 * 0.0063
