"""Between an edited version and its original only those decide who compared the two."""

import pyarrow as pa
import pytest

from annotation.results import edits_as_comparisons
from data_contracts.schemas import ANNOTATION, GENERATION, PROMPT
from pipelines.preferences.edited import EDITED, edited_candidates, edited_of
from pipelines.preferences.making import infer_preferences
from pipelines.preferences.pairs import CANDIDATE, PairSettings

EVERY = PairSettings(keep_undecided=True)
MORE = {"original_id": "before", "edited_id": "after"}


def answer(number, **row):
    base = {"annotation_id": f"an{number}", "task_id": f"t{number}", "annotator_id": f"r{number}",
            "generation_id": "before"}  # fmt: skip
    return base | row


def edit(number):
    return answer(number, kind="edit", other_generation_id="after", aspect="overall")


def rating(number, generation, stars):
    return answer(number, kind="rating", aspect="overall", value=float(stars), scale="1..5",
                  generation_id=generation)  # fmt: skip


def comparison(number, value):
    return answer(number, kind="comparison", other_generation_id="after", aspect="overall",
                  value=value, scale="-2..2")  # fmt: skip


def said(*rows):
    return pa.Table.from_pylist(list(rows), schema=ANNOTATION)


PROMPTS = pa.Table.from_pylist([{"prompt_id": "p", "text": "Which?"}], schema=PROMPT)
GENERATIONS = pa.Table.from_pylist(
    [{"generation_id": name, "tenant_id": "t", "project_id": "f", "prompt_id": "p",
      "model_release": "m", "modality": "text"} for name in ("before", "after", "other")],
    schema=GENERATION,
)  # fmt: skip
# An original that many hold for the best there is, a rival that nobody likes.
PRAISED = [rating(n, "before", 5) for n in range(10, 18)]
PRAISED += [rating(n, "other", 1) for n in range(20, 28)]


def pairs(rows, *, edited=True):
    table = said(*rows)
    made = infer_preferences(
        None, edits_as_comparisons(table), PROMPTS, GENERATIONS,
        edited=edited_of(table) if edited else None, settings=EVERY,
    )  # fmt: skip
    found = made.pairs.table.to_pylist()
    return {frozenset((row["chosen_id"], row["rejected_id"])): row for row in found}


TWO = frozenset(("before", "after"))


def test_praise_of_the_original_says_nothing_against_its_edited_version():
    rows = [*PRAISED, edit(1)]
    assert pairs(rows, edited=False)[TWO]["chosen_id"] == "before", "what the whole fit would say"
    pair = pairs(rows)[TWO]
    assert pair["chosen_id"] == "after"
    assert pair["probability"] == pytest.approx(pairs([edit(1)])[TWO]["probability"])
    assert 0.65 < pair["probability"] < 0.9, "one annotator's word"


def test_more_edits_are_surer_and_who_disagrees_takes_it_back():
    one, three = ([edit(n) for n in range(count)] for count in (1, 3))
    chances = [pairs([*PRAISED, *rows])[TWO]["probability"] for rows in (one, three)]
    assert chances[0] < chances[1] < 1
    torn = pairs([*PRAISED, *one, comparison(5, 1.0)])[TWO]
    assert torn["probability"] == pytest.approx(0.5, abs=0.1)


def test_every_other_pair_is_as_it_was():
    rows = [*PRAISED, edit(1)]
    before, after = pairs(rows, edited=False), pairs(rows)
    assert set(before) == set(after)
    assert {two: row for two, row in after.items() if two != TWO} == {
        two: row for two, row in before.items() if two != TWO
    }


def test_the_order_of_rows_does_not_matter():
    rows = [*PRAISED, edit(1), edit(2)]
    assert pairs(rows) == pairs(rows[::-1])


def test_each_edit_is_named_once():
    found = edited_of(said(edit(1), edit(2), comparison(3, 1.0), answer(4, kind="edit")))
    assert found.to_pylist() == [MORE]
    assert found.schema == EDITED


def test_edits_of_what_is_not_there_are_left_out():
    strange = pa.Table.from_pylist([{"original_id": "x", "edited_id": "y"}], schema=EDITED)
    found = edited_candidates(strange, said(edit(1)), GENERATIONS, settings=EVERY)
    assert found.equals(CANDIDATE.empty_table())
    half = pa.Table.from_pylist([{"original_id": "before", "edited_id": "y"}], schema=EDITED)
    assert edited_candidates(half, said(edit(1)), GENERATIONS, settings=EVERY).num_rows == 0
