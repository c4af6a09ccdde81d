"""Five sets of judgements of texts, counted again from their raw rows."""

import gzip
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.aspects import ASPECT_TABLE
from data_contracts.contract import load_contract
from pipelines.intake.importers import Imported, importer
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = ["iiw_sxs", "lamp_writing", "llmbar", "llmfao", "pandalm_test"]


@cache
def imported(data: Path, name: str) -> Imported:
    return importer(name)(data / name)


def lines(file: Path) -> list[Any]:
    content = file.read_bytes()
    content = gzip.decompress(content) if file.suffix == ".gz" else content
    return [json.loads(line) for line in content.decode().split("\n") if line]


def quarantined(found: Imported) -> dict[str, int]:
    return dict(Counter(found.quarantined["reason"].to_pylist()))


def compared(found: Imported, origin: str) -> pd.DataFrame:
    """Comparisons with the texts of prompt, first and second, and the value for the first."""
    frame = found.annotations.to_pandas().query("kind == 'comparison'")
    frame = frame[frame["origin"] == origin]
    prompts = dict(zip(*(found.prompts[n].to_pylist() for n in ("prompt_id", "text")), strict=True))
    made = found.generations.to_pandas().set_index("generation_id")
    for place in ("generation_id", "other_generation_id"):
        rows = made.loc[frame[place]]
        words = [None if pd.isna(blob) else found.blobs[blob].decode() for blob in rows["blob"]]
        frame = frame.assign(
            **{f"{place}_words": words, f"{place}_model": rows["model_release"].tolist()},
            prompt=[prompts[each] for each in rows["prompt_id"]],
        )
    return frame


def wins(frame: pd.DataFrame, what: str) -> Counter[Any]:
    """Count (prompt, winner, loser) by *what*; a tie is counted under both in sorted order."""
    told: Counter[Any] = Counter()
    for row in frame.to_dict("records"):
        pair = [row[f"generation_id_{what}"], row[f"other_generation_id_{what}"]]
        if row["value"] == 0:
            told[(row["prompt"], "tie", *sorted(pair))] += 1
        else:
            told[(row["prompt"], abs(row["value"]), *pair[:: 1 if row["value"] > 0 else -1])] += 1
    return told


@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_contracts(public_data: Path, name: str) -> None:
    found = imported(public_data, name)
    for record in ("prompt", "generation", "annotation"):
        refuse(getattr(found, f"{record}s"), load_contract(record), now=NOW)
    assert set(found.generations["modality"].to_pylist()) == {"text"}
    made = set(found.generations["generation_id"].to_pylist())
    told = found.annotations.to_pandas()
    assert set(told["generation_id"]) | set(told["other_generation_id"].dropna()) <= made
    named = set(found.generations["blob"].drop_null().to_pylist())
    assert named == set(found.blobs)
    assert all(hashlib.sha256(words).hexdigest() == name for name, words in found.blobs.items())


def test_pandalm_keeps_every_answer_of_three_people(public_data: Path) -> None:
    """999 pairs, of which six hold the JSON value true where a text belongs."""
    raw = pd.DataFrame(json.loads((public_data / "pandalm_test" / "testset-v1.json").read_text()))
    texts = raw["response1"].map(type).eq(str) & raw["response2"].map(type).eq(str)
    kept = raw[texts]
    found = imported(public_data, "pandalm_test")
    expected: Counter[Any] = Counter()
    for row in kept.to_dict("records"):
        prompt = row["instruction"] + (f"\n\n{row['input']}" if row["input"] else "")
        pair = [row["response1"], row["response2"]]
        for each in ("annotator1", "annotator2", "annotator3"):
            if row[each] == 0:
                expected[(prompt, "tie", *sorted(pair))] += 1
            else:
                expected[(prompt, 2.0, *pair[:: 1 if row[each] == 1 else -1])] += 1
    frame = compared(found, "import:pandalm_test")
    assert wins(frame, "words") == expected
    assert len(frame) == 3 * len(kept) == 3 * 993
    assert frame["annotator_id"].value_counts().tolist() == [993] * 3
    assert found.prompts.num_rows == kept[["instruction", "input"]].drop_duplicates().shape[0]


def test_pandalm_machines_are_judges_beside_people(public_data: Path) -> None:
    """25 of gpt-3.5-turbo's verdicts are garbage; one of them is on a pair without a text."""
    folder = public_data / "pandalm_test"
    raw = pd.DataFrame(json.loads((folder / "testset-v1.json").read_text()))
    good = raw["response1"].map(type).eq(str) & raw["response2"].map(type).eq(str)
    known = set(raw.loc[good, "idx"])
    gpt = pd.DataFrame(json.loads((folder / "gpt-3.5-turbo-testset-v1.json").read_text()))
    panda = pd.DataFrame(json.loads((folder / "pandalm-7b-testset-v1.json").read_text()))
    found = imported(public_data, "pandalm_test")
    said = compared(found, "import:pandalm_test:machine")["annotator_id"].value_counts().to_dict()
    told = gpt["gpt_result"].isin(["1", "2", "Tie"])
    assert said == {
        "machine:gpt-3.5-turbo": int((told & gpt["idx"].isin(known)).sum()),
        "machine:pandalm-7b": int(panda["idx"].isin(known).sum()),
    }
    assert quarantined(found) == {
        "not_text": int((~good).sum()),
        "no_verdict": int((~told & gpt["idx"].isin(known)).sum()),
        "unknown_pair": 2 * int((~good).sum()),
    }
    assert found.received == len(raw) + len(gpt) + len(panda) == 2997
    assert found.accepted == 2997 - sum(quarantined(found).values())


@pytest.mark.parametrize(
    ("origin", "files"),
    [
        ("import:llmfao", ["crowd-comparisons.csv"]),
        ("import:llmfao:machine", ["gpt3-crowd-comparisons.csv", "gpt4-crowd-comparisons.csv"]),
    ],
)
def test_llmfao_keeps_every_vote(public_data: Path, origin: str, files: list[str]) -> None:
    folder = public_data / "llmfao"
    raw = pd.concat([pd.read_csv(folder / file) for file in files])
    texts = {each["id"]: each["text"] for each in lines(folder / "prompts.jsonl")}
    expected: Counter[Any] = Counter()
    for row in raw.to_dict("records"):
        prompt, pair = texts[row["prompt"]], [row["left"], row["right"]]
        if row["winner"] == "tie":
            expected[(prompt, "tie", *sorted(pair))] += 1
        else:
            expected[(prompt, 2.0, *pair[:: 1 if row["winner"] == "left" else -1])] += 1
    frame = compared(imported(public_data, "llmfao"), origin)
    assert wins(frame, "model") == expected
    models = imported(public_data, "llmfao").generations.to_pandas()
    by_id = models.set_index("generation_id")["model_release"]
    assert Counter(by_id.loc[frame["shown_left"]]) == Counter(raw["left"])


def test_llmfao_counts_are_those_of_the_source(public_data: Path) -> None:
    folder = public_data / "llmfao"
    raw = pd.read_csv(folder / "crowd-comparisons.csv")
    found = imported(public_data, "llmfao")
    crowd = compared(found, "import:llmfao")
    assert (crowd["annotator_id"].nunique(), len(crowd)) == (raw["worker"].nunique(), 5529)
    assert found.received == found.accepted == 5529 + 2 * 1326
    sides = pd.concat([raw[["prompt", side]].set_axis(["prompt", "model"], axis=1)
                       for side in ("model_x", "model_y")]).drop_duplicates()  # fmt: skip
    assert found.generations.num_rows == len(sides)
    results = {
        (each["prompt"], each["model"]): each["result"] for each in lines(folder / "results.jsonl")
    }
    words = [results[pair] for pair in sides.itertuples(index=False, name=None)]
    assert set(found.blobs.values()) == {each.encode() for each in words}
    assert found.notes["empty_answers"] == sum(not each.strip() for each in words) == 22


def test_llmbar_keeps_both_verdicts_of_every_judge(public_data: Path) -> None:
    """566 pairs, of which one has two equal answers; eight verdicts speak of it."""
    folder = public_data / "llmbar"
    items = pd.DataFrame(lines(folder / "items.jsonl.gz"))
    raw = pd.read_csv(folder / "judgements.csv.gz").merge(items, on=["subset", "item"])
    equal = raw["output_1"] == raw["output_2"]
    found = imported(public_data, "llmbar")
    frame = compared(found, "import:llmbar:machine")
    expected: Counter[Any] = Counter()
    for row in raw[~equal].to_dict("records"):
        pair = [row["output_1"], row["output_2"]]
        for each in ("winner", "winner_swapped"):
            if row[each] == row[each]:
                expected[(row["input"], 2.0, *pair[:: 1 if row[each] == 1 else -1])] += 1
    assert wins(frame, "words") == expected
    judges = (
        raw[~equal].groupby(["judge", "strategy"])[["winner", "winner_swapped"]].count().sum(axis=1)
    )
    told = frame["annotator_id"].value_counts()
    assert {f"machine:{judge}/{way}": n for (judge, way), n in judges.items()} == told.to_dict()
    assert quarantined(found) == {"same_answer": 1, "unknown_pair": int(equal.sum())}
    assert found.received == 566 + 10228


def test_llmbar_shows_each_pair_in_both_orders(public_data: Path) -> None:
    found = imported(public_data, "llmbar")
    frame = compared(found, "import:llmbar:machine")
    first = (frame["shown_left"] == frame["generation_id"]).mean()
    assert abs(first - 0.5) < 0.01
    assert frame["shown_left"].isin([*frame["generation_id"], *frame["other_generation_id"]]).all()


def test_llmbar_gold_labels_are_marked_and_apart(public_data: Path) -> None:
    items = pd.DataFrame(lines(public_data / "llmbar" / "items.jsonl.gz"))
    items = items[items["output_1"] != items["output_2"]]
    frame = compared(imported(public_data, "llmbar"), "import:llmbar:gold")
    expected = Counter(
        (row["input"], 2.0, *[row["output_1"], row["output_2"]][:: 1 if row["label"] == 1 else -1])
        for row in items.to_dict("records")
    )
    assert wins(frame, "words") == expected
    assert frame["is_gold"].all()
    everything = imported(public_data, "llmbar").annotations.to_pandas()
    assert everything["is_gold"].eq(True).sum() == len(frame) == 565


def test_iiw_keeps_every_verdict_with_its_strength(public_data: Path) -> None:
    raw = pd.read_csv(public_data / "iiw_sxs" / "iiw_sxs.csv")
    found = imported(public_data, "iiw_sxs")
    assert (found.received, found.accepted) == (len(raw), len(raw)) == (2060, 2060)
    expected: Counter[Any] = Counter()
    for row in raw.to_dict("records"):
        pair = row["comparison"].split(" vs ")
        prompt = f"Describe the image {row['image']} of {row['source']}."
        if row["verdict"] == "Neutral":
            expected[(prompt, "tie", *sorted(pair))] += 1
            continue
        winner, how = row["verdict"].split(" is ")
        loser = pair[1 - pair.index(winner)]
        expected[(prompt, {"m": 1.0, "s": 2.0}[how[0]], winner, loser)] += 1
    told: Counter[Any] = Counter()
    for name in ("comprehensiveness", "specificity", "hallucination", "tldr", "human_like"):
        frame = compared(found, f"import:iiw_sxs:{name}")
        assert len(frame) == 412
        told += wins(frame, "model")
    assert told == expected
    aspects = Counter(found.annotations["aspect"].to_pylist())
    assert aspects == {"prompt_alignment": 3 * 412, "aesthetics": 2 * 412}


def test_iiw_has_no_text_for_212_rivals(public_data: Path) -> None:
    folder = public_data / "iiw_sxs"
    found = imported(public_data, "iiw_sxs")
    assert found.generations["blob"].null_count == 212
    raw = [
        each
        for name in ("IIW-400", "DCI_Test", "DOCCI_Test")
        for each in lines(folder / f"{name}.jsonl")
    ]
    texts = {
        each[key].encode() for each in raw for key in ("IIW", "IIW-P5B", "DOCCI") if key in each
    }
    assert set(found.blobs.values()) <= texts
    silent = found.generations.to_pandas().query("blob.isna()")["model_release"]
    assert Counter(silent) == {"GPT-4V": 100, "DCI": 112}


def test_lamp_edits_lead_from_the_passage_before_to_the_one_after(public_data: Path) -> None:
    raw = lines(public_data / "lamp_writing" / "reannotation_edits.jsonl.gz")
    found = imported(public_data, "lamp_writing")
    assert (found.received, found.accepted) == (len(raw), len(raw)) == (150, 150)
    made = found.generations.to_pandas().set_index("generation_id")
    words = {name: found.blobs[blob].decode() for name, blob in made["blob"].items()}
    edits = found.annotations.to_pandas().query("kind == 'edit'")
    pairs = [(words[a], words[b]) for a, b in
             edits[["generation_id", "other_generation_id"]].itertuples(index=False)]  # fmt: skip
    assert pairs == [(each["preedit"], each["postedit"]) for each in raw]
    parents = made.loc[edits["other_generation_id"], "parent_generation_id"].tolist()
    assert parents == edits["generation_id"].tolist()
    assert edits["annotator_id"].value_counts().tolist() == [50, 50, 50]


def test_lamp_spans_lie_where_the_writer_edited(public_data: Path) -> None:
    raw = lines(public_data / "lamp_writing" / "reannotation_edits.jsonl.gz")
    found = imported(public_data, "lamp_writing")
    made = found.generations.to_pandas().set_index("generation_id")["blob"]
    spans = found.annotations.to_pandas().query("kind == 'region'")
    given = [(each["preedit"], one) for each in raw for one in each["fine_grained_edits"]]
    assert spans["text"].tolist() == [one["editedText"] for _, one in given]
    codes = {
        code for each in ASPECT_TABLE if each.name == "aesthetics" for code in each.reason_codes
    }
    assert set(spans["reason_code"]) <= codes
    placed = [before.count(one["originalText"]) == 1 for before, one in given]
    assert spans["geometry"].notna().tolist() == placed
    for row, (before, one) in zip(spans.to_dict("records"), given, strict=True):
        assert found.blobs[made[row["generation_id"]]].decode() == before
        at = json.loads(row["geometry"] or "null") if isinstance(row["geometry"], str) else None
        assert at is None or before[at["start"] : at["end"]] == one["originalText"]


def test_lamp_scores_are_ratings_before_and_after(public_data: Path) -> None:
    raw = lines(public_data / "lamp_writing" / "reannotation_edits.jsonl.gz")
    found = imported(public_data, "lamp_writing")
    rated = found.annotations.to_pandas().query("kind == 'rating'")
    scores = [float(each["creativity_scores"][n]) for n in (0, 1) for each in raw]
    assert rated["value"].tolist() == scores
    assert set(rated["scale"]) == {"1..10"}
    # Why the first is taken for the passage before: the second is never lower.
    assert all(int(first) <= int(second) for first, second in (e["creativity_scores"] for e in raw))
