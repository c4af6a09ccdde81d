"""Skills come in from TOML and Parquet; bad ones are refused by id, and never quoted."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import ContractError, SensitivityError
from data_contracts.schemas import SKILL
from pipelines.intake.skills import (
    MAX_BYTES,
    check_unchanged,
    check_use,
    read_skills,
    skills_by_id,
    text_digest,
)

NOW = datetime(2026, 2, 1, tzinfo=UTC)
SECRET = "wear the unreleased hat"


def row(name="hats", text=SECRET, tenant="acme", project=None, **other):
    told = {"skill_id": name, "tenant_id": tenant, "project_id": project, "text": text}
    return told | {"digest": text_digest(text), "created_at": None} | other


def table(*rows):
    return pa.Table.from_pylist(list(rows), schema=SKILL)


def generations(**told):
    columns = {"generation_id": "g1", "tenant_id": "acme", "project_id": "p1", "skill_id": "hats"}
    return pa.Table.from_pylist([columns | told], schema=pa.schema([(n, pa.string())
                                                                    for n in columns]))  # fmt: skip


def written(tmp_path, content, name="skills.toml"):
    file = tmp_path / name
    file.write_text(content, "utf-8")
    return file


def toml(name="hats", text=SECRET, head=""):
    return f'{head}\nskill_id = "{name}"\ntenant_id = "acme"\ntext = """\n{text}\n"""\n'


def test_a_file_of_one_skill_is_read_with_the_digest_of_its_text(tmp_path):
    found = read_skills(written(tmp_path, toml()), now=NOW)
    assert found.equals(table(row()))
    assert skills_by_id(found)["hats"].text == SECRET  # the white space around it is gone


def test_several_skills_and_parquet_are_the_same(tmp_path):
    several = toml("a", head="[[skill]]") + toml("b", head="[[skill]]")
    found = read_skills(written(tmp_path, several), now=NOW)
    pq.write_table(found, tmp_path / "skills.parquet")
    assert found["skill_id"].to_pylist() == ["a", "b"]
    assert read_skills(tmp_path / "skills.parquet", now=NOW).equals(found)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (toml("a", head="[[skill]]") + toml("a", head="[[skill]]"), r"skill a\).*unique|repeated"),
        (toml(text=""), r"1 have a text with nothing to read.*\(hats\)"),
        (toml(text=SECRET * 100), r"skill hats\): text .*2000"),
        (toml() + 'colour = "red"', "colour: Extra inputs"),
        ('skill_id = "hats"', "tenant_id: Field required; text: Field required"),
        (toml(name="two words"), "skill_id"),
        (f"text = {SECRET}", "not valid TOML"),
        ('skill_id = 7\ntenant_id = "a"\ntext = "b"', "skill_id: Input should be a valid string"),
    ],
    ids=["twice", "empty", "long", "unknown", "missing", "no-id", "no-toml", "no-string"],
)
def test_bad_input_is_one_sentence_without_what_was_written(tmp_path, content, says):
    with pytest.raises(ContractError, match=f"(?s){says}") as refused:
        read_skills(written(tmp_path, content), now=NOW)
    assert "unreleased" not in str(refused.value)


def test_other_files_and_large_ones_are_not_opened(tmp_path):
    with pytest.raises(ContractError, match="neither TOML nor Parquet"):
        read_skills(written(tmp_path, "{}", "skills.json"), now=NOW)
    with pytest.raises(ContractError, match="at most"):
        read_skills(written(tmp_path, "#" * (MAX_BYTES + 1)), now=NOW)
    with pytest.raises(ContractError, match="cannot be read"):
        read_skills(tmp_path / "none.toml", now=NOW)
    with pytest.raises(ContractError, match="not whole Parquet"):
        read_skills(written(tmp_path, "PAR", "skills.parquet"), now=NOW)


def test_a_parquet_of_too_many_or_too_long_is_refused_before_it_is_read(tmp_path, monkeypatch):
    long = table(row(text="x" * 100_000)).take(pa.array([0] * 1000))  # 100 MB, stored once
    file = tmp_path / "skills.parquet"
    pq.write_table(long, file)
    assert file.stat().st_size < MAX_BYTES
    with pytest.raises(ContractError, match="unpacks to more than the 16,777,216 bytes allowed"):
        read_skills(file, now=NOW)
    pq.write_table(table(row()).take(pa.array([0] * 1001)), file)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(ContractError, match="holds 1,001, at most 1,000 are allowed"):
        read_skills(file, now=NOW)


def test_brackets_in_brackets_are_one_sentence(tmp_path):
    with pytest.raises(ContractError, match="is not valid TOML; a skill has") as refused:
        read_skills(written(tmp_path, "a = " + "[" * 5000), now=NOW)
    assert "\n" not in str(refused.value)


def test_a_digest_that_is_not_the_texts_is_refused(tmp_path):
    pq.write_table(table(row(digest="0" * 64)), tmp_path / "skills.parquet")
    with pytest.raises(ContractError, match=r"digest that is not their text's.*\(hats\)"):
        read_skills(tmp_path / "skills.parquet", now=NOW)


@pytest.mark.parametrize("changed", [{"text": "another"}, {"tenant": "b"}, {"project": "p"}])
def test_an_id_keeps_its_text_and_its_owner(changed):
    check_unchanged(table(row()), [table(row()), table(row("other", "x"))])
    with pytest.raises(ContractError, match=r"give what is new an id of its own \(hats\)"):
        check_unchanged(table(row(**changed)), [table(row("other", "x")), table(row())])


def test_a_skill_serves_its_tenant_and_its_one_project():
    check_use(generations(), table(row()))
    check_use(generations(), table(row(project="p1")))
    check_use(generations(skill_id=None, tenant_id="b"), table(row()))


@pytest.mark.parametrize("skill", [row(tenant="b"), row(project="p2")], ids=["tenant", "project"])
def test_anybody_else_is_denied(skill):
    with pytest.raises(SensitivityError, match=r"generation g1, skill hats\).*its own tenant"):
        check_use(generations(), table(skill))


def test_an_unknown_skill_is_named_with_its_generation():
    with pytest.raises(ContractError, match=r"generation g1, skill hats\); deliver their skills"):
        check_use(generations(), table(row("other")))
