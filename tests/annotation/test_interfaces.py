"""Interfaces: from the aspects and one taxonomy, with keys that do not collide."""

import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from annotation.interfaces import (
    INTERFACES,
    build_interface,
    default_taxonomy,
    interface_named,
    read_taxonomy,
)
from annotation.interfaces.controls import EDITED, OVERALL, UNCOVER_KEY, WHY
from annotation.interfaces.style import STYLE
from annotation.interfaces.taxonomy import TAXONOMY_FILE
from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import FlywheelError
from data_contracts.vocabulary import MODALITIES

EDITOR_KEYS = set("behruv")  # brush, eraser, pan, rectangle, unselect, move


def elements(interface, kind):
    return list(ET.fromstring(interface.config).iter(kind))


@pytest.mark.parametrize("name", INTERFACES)
def test_keys_are_given_once_and_none_is_the_editors(name):
    interface = interface_named(name)
    keys = [e.get("hotkey") for kind in ("Choice", "Label", "Rating")
            for e in elements(interface, kind)]  # fmt: skip
    assert None not in keys
    assert [key for key, count in Counter(keys).items() if count > 1] == []
    assert EDITOR_KEYS & set(keys) == set()


@pytest.mark.parametrize("name", INTERFACES)
def test_what_is_stored_are_codes_of_the_taxonomy(name):
    interface = interface_named(name)
    asked = [e for e in elements(interface, "Choices") if e.get("name") == WHY]
    stored = {
        e.get("alias") for e in (*elements(interface, "Label"), *(c for e in asked for c in e))
    }
    reasons = {r.code for r in interface.reasons}
    assert {s for s in stored if not s.startswith("unmet_")} == reasons
    aspects = {a.name for a in ASPECT_TABLE if interface.modality in a.modalities}
    assert {r.aspect for r in interface.reasons} <= aspects


@pytest.mark.parametrize("modality", MODALITIES)
def test_blind_work_names_no_policy_and_asks_for_nothing_to_draw(modality):
    interface = build_interface("blind", modality)
    assert elements(interface, "Label") == elements(interface, "TextArea") == []
    assert interface.reasons == ()
    assert set(re.findall(r'"\$(\w+)"', interface.config)) <= {
        "prompt", "warning", "left", "right", "fps",
    }  # fmt: skip


def test_a_pair_offers_two_ties_no_judgement_and_to_decline():
    verdicts = [e for e in elements(interface_named("pair_image"), "Choices")
                if e.get("name") == "overall"]  # fmt: skip
    assert [c.get("alias") for c in verdicts[0]] == [
        "left_much", "left", "both_good", "both_bad", "right", "right_much",
        "cannot_judge", "declined",
    ]  # fmt: skip


def test_an_edit_shows_the_text_twice_and_offers_to_decline():
    """Beside the text to be edited a field that holds it already; why, and two ways to refuse."""
    interface = interface_named("edit_text")
    [field] = elements(interface, "TextArea")
    shown = {e.get("name"): e.get("value") for e in elements(interface, "Text")}
    assert (field.get("name"), field.get("value"), shown["only"]) == (EDITED, "$only", "$only")
    asked = {e.get("name"): e for e in elements(interface, "Choices")}
    assert set(asked) == {WHY, OVERALL}
    assert [c.get("alias") for c in asked[OVERALL]] == ["cannot_judge", "declined"]
    assert asked[WHY].get("choice") == "multiple"
    assert interface.aspects == ()


def test_an_edit_says_beforehand_that_a_reason_is_needed_and_lets_people_decline_without():
    interface = interface_named("edit_text")
    said = [e.get("value") for e in elements(interface, "Header")]
    assert "Why? Pick at least one" in said
    assert any("With a reason Ctrl+Enter submits" in each for each in said)
    assert "nothing is sent without" in interface.guidelines
    assert not [e for e in elements(interface, "Choices") if e.get("required")]


def test_a_taxonomy_of_more_reasons_than_keys_is_one_sentence():
    more = [r.model_copy(update={"code": f"{r.code}_{n}"}) for r in default_taxonomy()
            for n in range(2)]  # fmt: skip
    with pytest.raises(FlywheelError, match="reasons want keys") as refused:
        build_interface("edit", "text", taxonomy=more)
    assert "\n" not in str(refused.value)


def test_every_code_of_the_table_is_said_in_the_taxonomy():
    table = {code for aspect in ASPECT_TABLE for code in aspect.reason_codes}
    assert {r.code for r in default_taxonomy()} == table


def test_only_the_named_aspects_are_asked():
    interface = build_interface("pair", "image", aspects=["aesthetics"])
    names = {e.get("name") for e in elements(interface, "Choices")}
    assert names == {"overall", "aspect_aesthetics"}


@pytest.mark.parametrize(
    ("form", "modality", "aspects", "says"),
    [
        ("pair", "image", ["beauty"], "unknown aspect beauty"),
        ("pair", "image", ["temporal_consistency"], "image has no temporal_consistency"),
        ("pair", "image", ["aesthetics", "aesthetics"], "stands twice"),
        ("duel", "image", None, "there is no duel of image"),
        ("pair", "smell", None, "there is no pair of smell"),
        ("edit", "image", None, "there is no edit of image"),
        ("pair", "video", [a.name for a in ASPECT_TABLE], "6 aspects want keys"),
    ],
)
def test_a_wrong_interface_is_one_sentence(form, modality, aspects, says):
    with pytest.raises(FlywheelError, match=says) as refused:
        build_interface(form, modality, aspects=aspects)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("code = \"dull\"", "code = \"crowded\""), "code crowded stands twice"),
        (("aspect = \"safety\"", "aspect = \"mood\""), "unknown aspect mood"),
        (("code = \"dull\"", "code = \"drab\""), "code drab is not one of its aspect's"),
        (("says = \"Dull\"", "says = \"Noise\""), "Noise is said by two codes"),
        (("says = \"Dull\"", "words = \"Dull\""), "says: Field required"),
        (("[[reason]]", "[[reason"), "not valid TOML"),
    ],
)  # fmt: skip
def test_a_wrong_taxonomy_is_one_sentence(tmp_path, change, says):
    file = tmp_path / "taxonomy.toml"
    file.write_text(TAXONOMY_FILE.read_text("utf-8").replace(*change))
    with pytest.raises(FlywheelError, match=says) as refused:
        read_taxonomy(file)
    assert "\n" not in str(refused.value)


def test_markup_survives_what_xml_would_read(tmp_path):
    file = tmp_path / "taxonomy.toml"
    file.write_text(TAXONOMY_FILE.read_text("utf-8").replace('"Dull"', "'<b> & \"'"))
    interface = build_interface("pair", "image", taxonomy=read_taxonomy(file))
    assert '<b> & "' in {e.get("value") for e in elements(interface, "Label")}


@pytest.mark.parametrize("name", INTERFACES)
def test_the_style_sheet_arrives_as_it_was_written(name):
    """Label Studio hands it on as it is: an escaped selector selects nothing."""
    config = interface_named(name).config
    assert "&gt;" not in config.split("</Style>")[0]
    assert ET.fromstring(config).find("Style").text == STYLE


@pytest.mark.parametrize("name", INTERFACES)
def test_a_warning_covers_all_that_is_shown_and_leaves_what_was_asked_in_view(name):
    interface = interface_named(name)
    covered = {
        e.get("name")
        for place in elements(interface, "View")
        if place.get("className") == "fw-shown"
        for e in place.iter()
        if e.get("value", "").startswith("$")
    }
    sides = {"pair": {"left", "right"}, "blind": {"left", "right"}, "critique": {"only"},
             "edit": {"only", EDITED}}[interface.form]  # fmt: skip
    assert covered == sides
    assert UNCOVER_KEY not in {e.get("hotkey") for kind in ("Choice", "Label", "Rating")
                               for e in elements(interface, kind)}  # fmt: skip
