"""Every importer says what is missing, and quarantines and counts what it cannot read."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiny_sets import SETS, write

from data_contracts.contract import load_contract
from data_contracts.errors import ContractError, FlywheelError
from pipelines.intake.importers import PUBLIC_SETS, Imported, importer
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ROWS = {
    "agiqa3k": 2, "copilot_cups": 8, "fetv": 4, "geneval_human": 15, "iiw_sxs": 2, "imagenhub": 6,
    "imagereward_test": 2, "lamp_writing": 2, "llmbar": 6, "llmfao": 4, "obd_small": 8,
    "pandalm_test": 6,
}  # fmt: skip
# By set: the file with the judgements, a column of it, and by reason how a cell goes wrong.
DAMAGE = {
    "agiqa3k": ("data.csv", "mos_align", {
        "off_scale": ("3.5,0.75\nDALLE", "5.5,0.75\nDALLE"),
        "unnamed": ("sd1.5_normal_000", "sd"),
        "repeated": ("DALLE2_normal_000", "sd1.5_normal_000"),
    }),
    "copilot_cups": ("cups_events.csv.gz", "StateName", {
        "unknown_state": ("Replay", "Dreaming"),
        "unknown_time": ("16:05:02", "25:05:02"),
        "unknown_suggestion": ('"""x = 1"""', "x = 1"),
        "off_scale": ('Accepted,Classes,"""x = 1""",0.25', 'Accepted,Classes,"""x = 1""",1.25'),
        "unnamed": ("Classes", ""),
    }),
    "fetv": ("fetv_human_ratings.csv", "alignment", {
        "off_scale": ("4,3,2", "4,3,9"),
        "unknown_prompt": ("cogvideo,0", "cogvideo,7"),
        "unnamed": ("human1,cogvideo", ",cogvideo"),
        "unknown_attribute": ("color", "smell"),
    }),
    "geneval_human": ("geneval_annotations_clean.csv", "ans_count-0", {
        "off_scale": ("4.0,3.0", "5.0,3.0"),
        "unknown_prompt": ("sdv2,1,", "sdv2,9,"),
        "unnamed": ("sdv2,1,1", "sdv2,1,"),
        "not_counted": ("2.0,1.0", "2.0,"),
        "unknown_place": ("neither_y", "behind"),
        "unknown_time": ("12.5", "soon"),
    }),
    "iiw_sxs": ("iiw_sxs.csv", "verdict", {
        "unknown_verdict": ("IIW is marginally", "GPT is marginally"),
        "unknown_question": ("Hallucination", "Colour"),
        "unknown_source": ("DOCCI,IIW", "COCO,IIW"),
        "unnamed": ("IIW vs DOCCI", "IIW"),
        "repeated": ("Hallucination", "Specificity"),
    }),
    "imagenhub": ("imagenhub_ratings.csv", "PQ", {
        "off_scale": ("0.5,1.0", "0.7,1.0"),
        "unnamed": ("rater2", ""),
    }),
    "imagereward_test": ("test.json", "ranking", {
        "no_ranking": ("[1, 2, 2]", "[1, 2]"),
        "unnamed": ('"id": "1"', '"id": ""'),
        "repeated": ('"id": "1"', '"id": "0"'),
        "not_text": ('"a disc"', "3"),
    }),
    "lamp_writing": ("reannotation_edits.jsonl.gz", "creativity_scores", {
        "off_scale": ('["3", "5"]', '["3", "11"]'),
        "unknown_reason": ("Cliche", "Boring"),
        "not_edited": ("Rain fell, W2.", "Rain fell like rain."),
        "unnamed": ('"writer": "W2"', '"writer": ""'),
        "repeated": ("W2_1", "W1_1"),
        "unparsable": ('"instruction"', '"instructed"'),
    }),
    "llmbar": ("judgements.csv.gz", "winner", {
        "unknown_winner": ("1.0,2.0", "3.0,2.0"),
        "unknown_pair": ("Natural,1,GPT", "Natural,7,GPT"),
        "unnamed": ("Falcon,CoT", "Falcon,"),
        "repeated": ("Natural,1,GPT-4", "Natural,0,GPT-4"),
    }),
    "llmfao": ("crowd-comparisons.csv", "winner", {
        "unknown_winner": ("left,6", "middle,6"),
        "unknown_prompt": ("8,1,2,left,5", "9,1,2,left,5"),
        "unknown_answer": ("8,1,2,left,5", "8,1,3,left,5"),
        "compared_with_itself": ("8,1,2,left,5", "8,1,1,left,5"),
        "unnamed": ("left,6", "left,"),
    }),
    "obd_small": ("bts_men.csv.gz", "propensity_score", {
        "off_scale": ("1,0,0.5", "1,0,0"),
        "unknown_item": ("00:00,0,", "00:00,5,"),
        "unknown_position": (",1,2,1,", ",1,4,1,"),
        "unknown_click": ("1,0,0.5", "1,2,0.5"),
        "unknown_time": ("2019-11-24", "2019-13-24"),
    }),
    "pandalm_test": ("testset-v1.json", "annotator2", {
        "unknown_winner": ('"annotator2": 2', '"annotator2": 3'),
        "not_text": ('"response1": "1"', '"response1": true'),
        "same_answer": ('"response2": "no"', '"response2": "0"'),
        "unnamed": ("bloom-7b_llama-7b", "bloom"),
        "repeated": ('"idx": 1', '"idx": 0'),
    }),
}  # fmt: skip
CASES = [
    (name, reason, *change)
    for name, (_, _, faults) in DAMAGE.items()
    for reason, change in faults.items()
]


def read(tmp_path: Path, name: str, files: dict[str, str]) -> Imported:
    return importer(name)(write(tmp_path / name, files))


def test_every_set_but_the_two_first_is_damaged_here() -> None:
    assert set(SETS) == set(DAMAGE) == set(ROWS) == set(PUBLIC_SETS) - {"dsg_tifa160", "hh_rlhf"}


@pytest.mark.parametrize("name", SETS)
def test_a_sound_set_is_accepted_whole(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, name, SETS[name]())
    assert (found.received, found.accepted) == (ROWS[name], ROWS[name])
    for record in ("prompt", "generation", "annotation", "event"):
        refuse(getattr(found, f"{record}s"), load_contract(record), now=NOW)
    again = read(tmp_path, name, SETS[name]())
    assert again.annotations.equals(found.annotations)
    assert again.events.equals(found.events)


@pytest.mark.parametrize(("name", "reason", "old", "new"), CASES)
def test_a_bad_row_is_quarantined_and_counted(
    tmp_path: Path, name: str, reason: str, old: str, new: str
) -> None:
    file = DAMAGE[name][0]
    files = SETS[name]()
    assert old in files[file]
    found = read(tmp_path, name, files | {file: files[file].replace(old, new, 1)})
    refused = found.quarantined["reason"].to_pylist()
    assert reason in refused
    assert found.accepted == ROWS[name] - len(refused)
    # Only verdicts on a pair that is gone go with it.
    assert set(refused) <= {reason, "unknown_pair"}
    for record in ("prompt", "generation", "annotation", "event"):
        refuse(getattr(found, f"{record}s"), load_contract(record), now=NOW)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_missing_column_is_named(tmp_path: Path, name: str) -> None:
    file, column, _ = DAMAGE[name]
    files = SETS[name]()
    files[file] = files[file].replace(column, "other")
    with pytest.raises(ContractError, match=rf"{file}: column .*{column}.* missing"):
        read(tmp_path, name, files)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_missing_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    files = SETS[name]()
    del files[DAMAGE[name][0]]
    with pytest.raises(FlywheelError, match="cannot be read: No such file"):
        read(tmp_path, name, files)


PACKED = [name for name in DAMAGE if DAMAGE[name][0].endswith((".gz", ".json"))]
PLAIN = [name for name in DAMAGE if DAMAGE[name][0].endswith(".csv")]


@pytest.mark.parametrize("name", PACKED)
def test_a_file_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / name, SETS[name]())
    file = folder / DAMAGE[name][0]
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(FlywheelError, match="cannot be read to its end; send it again"):
        importer(name)(folder)


@pytest.mark.parametrize("name", PLAIN)
def test_a_row_cut_off_is_quarantined(tmp_path: Path, name: str) -> None:
    file = DAMAGE[name][0]
    files = SETS[name]()
    whole = files[file].rstrip("\n")
    found = read(tmp_path, name, files | {file: whole[: whole.rindex("\n") + 6]})
    assert found.quarantined["reason"].to_pylist() == ["unparsable"]
    assert found.received == ROWS[name]


def test_a_machine_that_gave_no_verdict_is_quarantined(tmp_path: Path) -> None:
    files = SETS["pandalm_test"]()
    file = "gpt-3.5-turbo-testset-v1.json"
    found = read(tmp_path, "pandalm_test", files | {file: files[file].replace("Tie", "garbage", 1)})
    assert found.quarantined["reason"].to_pylist() == ["no_verdict"]
    assert found.notes["machine_verdicts"] == 3


def test_a_verdict_that_was_not_given_is_no_answer(tmp_path: Path) -> None:
    files = SETS["llmbar"]()
    file = "judgements.csv.gz"
    found = read(tmp_path, "llmbar", files | {file: files[file].replace("1.0,2.0", "1.0,", 1)})
    assert (found.accepted, found.notes["verdicts_not_given"]) == (6, 1)


RULE = {
    "enough": ("", "", 15),
    "one more than counted": ("sdv2,0,1,2.0", "sdv2,0,1,3.0", 14),
    "one more where at least is asked": ("sdv2,1,1,2.0", "sdv2,1,1,3.0", 15),
    "too few": ("sdv2,1,1,2.0", "sdv2,1,1,0.0", 14),
    "another colour": ("sdv2,1,1,2.0,,red|white", "sdv2,1,1,2.0,,blue|white", 14),
    "the other side": ("sdv2,2,1,2.0,1.0,red|white,,left", "sdv2,2,1,2.0,1.0,red|white,,right", 14),
    "not shown": ("sdv2,2,1,2.0,1.0", "sdv2,2,1,2.0,0.0", 14),
}


@pytest.mark.parametrize("case", RULE)
def test_geneval_shows_what_was_asked(tmp_path: Path, case: str) -> None:
    """Counting prompts ask for exactly so many, others for at least; colours may be several."""
    old, new, right = RULE[case]
    files = SETS["geneval_human"]()
    file = "geneval_annotations_clean.csv"
    assert old in files[file]
    found = read(tmp_path, "geneval_human", files | {file: files[file].replace(old, new, 1)})
    assert found.notes["shown_right"] == right
