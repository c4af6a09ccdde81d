"""An edit's answer: read as a generation of its own, or refused with a reason."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.interfaces import interface_named
from annotation.results import Assignment, ResultRefused, edited_version_of, rows_of_answer
from annotation.results.edits import MOST_CHARACTERS

INTERFACE = interface_named("edit_text")
BEFORE = "The disc \U0001f4a1 are red.\n"
AFTER = "The disc \U0001f4a1 is red.\n"


def given_to(annotator="ann-1", *, before=BEFORE, **more):
    told = {
        "task_id": "task_1", "annotator_id": annotator, "user_id": 7, "left_id": "g_1",
        "right_id": None, "is_gold": False, "tenant_id": "studio",
        "data": {"only": before, "prompt": "Which colour?"},
    }  # fmt: skip
    return Assignment(**(told | more))


def part(name, kind, **value):
    return {"id": name, "from_name": name, "to_name": "only", "type": kind, "origin": "manual",
            "value": value}  # fmt: skip


def edited(text=AFTER):
    return part("edited", "textarea", text=[text])


def why(*codes):
    return part("why", "choices", choices=list(codes))


def refusal(code):
    return part("overall", "choices", choices=[code])


def answer(*parts):
    return {"id": 3, "completed_by": 7, "updated_by": 7, "result": list(parts), "lead_time": 9.0,
            "updated_at": "2026-01-01T00:00:00Z"}  # fmt: skip


def read(*parts, to=None):
    return rows_of_answer(answer(*parts), to or given_to(), INTERFACE)


def version(text=AFTER, to=None):
    return edited_version_of(answer(edited(text)), to or given_to())


def test_an_edit_names_both_versions_and_says_why():
    rows = {row["annotation_id"]: row for row in read(edited(), why("dull", "clumsy_wording"))}
    assert list(rows) == ["ls-3-edited", "ls-3-why-clumsy_wording", "ls-3-why-dull"]
    edit = rows["ls-3-edited"]
    assert (edit["kind"], edit["aspect"]) == ("edit", "overall")
    assert (edit["generation_id"], edit["other_generation_id"]) == ("g_1", version().generation_id)
    said = rows["ls-3-why-dull"]
    assert (said["kind"], said["aspect"], said["reason_code"], said["generation_id"]) == (
        "comment", "aesthetics", "dull", "g_1",
    )  # fmt: skip


def test_no_row_holds_what_was_written():
    rows = read(edited(), why("dull"))
    assert not [row for row in rows if AFTER.strip() in str(row)]


def test_why_may_be_left_out():
    assert [row["kind"] for row in read(edited())] == ["edit"]


@pytest.mark.parametrize(("code", "kept"), [("declined", None), ("cannot_judge", "cannot_judge")])
def test_who_declines_is_held_to_nothing_that_stood_in_the_field(code, kept):
    """The field holds the unchanged text from the start, and the browser sends it along."""
    [row] = read(edited(BEFORE), why("dull"), refusal(code))
    assert (row["kind"], row["reason_code"]) == ("declined", kept)


def test_the_same_words_of_the_same_person_are_the_same_generation():
    name = version().generation_id
    assert version().generation_id == name
    others = [
        version("The disc is green."), version(to=given_to("ann-2")),
        version(to=given_to(task_id="task_2")), version(to=given_to(tenant_id="other")),
    ]  # fmt: skip
    assert len({name, *(each.generation_id for each in others)}) == 5


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_text_is_kept_as_it_was_written_but_for_how_lines_end(text):
    before = f"{text.strip()} before"
    found = version(f"x{text}", to=given_to(before=before))
    assert found.text == f"x{text}".replace("\r\n", "\n").replace("\r", "\n")
    assert found.digest == sha256(found.text.encode()).hexdigest()


REFUSED = {
    "unchanged": [edited(BEFORE)],
    "that is unchanged": [edited(f"  {BEFORE.replace(chr(10), chr(13) + chr(10))} ")],
    "without text": [edited(" \n\t ")],
    "more than 100000 characters": [edited("x" * (MOST_CHARACTERS + 1))],
    "not Unicode": [edited("half \ud83d")],
    "not one text": [part("edited", "textarea", text=["one", "two"])],
    "is not one text": [part("edited", "textarea", text=[7])],
    "no edited version": [why("dull")],
    "1 reason codes": [edited(), why("ugly")],
    "a choice of none": [edited(), part("why", "choices", choices="dull")],
    "two results for edited": [edited(), edited()],
    "a control that the interface does not have": [edited(), part("comment", "textarea", text="x")],
    "a region": [edited(), part("only_span", "labels", start=0, end=2, labels=["dull"])],
    "does not offer": [refusal("left_much")],
}


@pytest.mark.parametrize("says", REFUSED)
def test_what_the_interface_could_not_mean_is_refused_without_quoting_it(says):
    with pytest.raises(ResultRefused, match=says) as refused:
        read(*REFUSED[says])
    assert "disc" not in str(refused.value)


def test_the_longest_text_is_taken():
    assert len(version("x" * MOST_CHARACTERS).text) == MOST_CHARACTERS


def test_nobody_edits_what_they_were_not_asked_to():
    with pytest.raises(ResultRefused, match="nobody asked to edit"):
        read(edited(), to=given_to(tenant_id=None))
