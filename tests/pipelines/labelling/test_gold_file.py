"""A file of known answers becomes questions, whatever turn made the generations."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.queue import task_row
from data_contracts.errors import ContractError, FlywheelError
from data_contracts.labels import GENERAL
from data_contracts.schemas import GENERATION, PROMPT
from pipelines.cli import run
from pipelines.labelling.gold_file import read_gold
from pipelines.stores import open_stores
from pipelines.stores.asset_tables import write_asset_table

HEAD = "generation_id,other_generation_id,aspect,value\n"


@pytest.fixture
def stores(tmp_path):
    """Two turns with a prompt and two generations each: g1, g2 and g3, g4."""
    opened = open_stores(tmp_path)
    opened.catalogue.register("delivery", "delivery", [], label=GENERAL)
    [blob] = opened.blobs.put_many([b"\x89PNG\r\n\x1a\n"])
    for turn in (1, 2):
        prompt = {"prompt_id": f"p{turn}", "text": f"text {turn}"}
        made = [
            {"generation_id": f"g{2 * turn - 1 + n}", "tenant_id": "t", "project_id": "p",
             "prompt_id": f"p{turn}", "model_release": "m", "modality": "image", "blob": blob}
            for n in range(2)
        ]  # fmt: skip
        for name, schema, rows in (
            ("prompts", PROMPT, [prompt]),
            ("generations", GENERATION, made),
        ):
            filled = [{field: row.get(field) for field in schema.names} for row in rows]
            write_asset_table(
                opened, f"artifacts/{name}", pa.Table.from_pylist(filled, schema=schema),
                partition=f"turn-00{turn}", parents=["delivery"], by="test", at=datetime.now(UTC),
            )  # fmt: skip
    return opened


def written(tmp_path, *lines, name="gold.csv"):
    file = tmp_path / name
    file.write_text(HEAD + "".join(f"{line}\n" for line in lines))
    return file


def test_pairs_and_ratings_of_every_turn_are_found_with_the_queues_own_identity(stores, tmp_path):
    file = written(tmp_path, "g2,g1,overall,-1", "g3,,aesthetics,4", "g3,,overall,2")
    rated, pair = sorted(read_gold(file, stores), key=lambda each: each.question.interface)
    assert pair.question.task_id == task_row("comparison", "p1", "g1", "g2", "overall")["task_id"]
    assert (pair.question.prompt, pair.question.interface) == ("text 1", "pair_image")
    assert pair.answers == {"overall": 1.0}, "seen from the smaller id"
    assert rated.answers == {"aesthetics": 4.0, "overall": 2.0}
    assert rated.question.prompt == "text 2"
    assert pair.source == rated.source == "file"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("g9,g1,overall,1", "1 generations are not in this zone .g9."),
        ("g1,g3,overall,1", "not of one prompt"),
        ("g1,,beauty,1", "unknown aspect"),
        ("g1,,aesthetics,6", "6 is not between 1 and 5"),
        ("g1,g2,overall,3", "3 is not between -2 and 2"),
    ],
)
def test_what_cannot_be_is_one_sentence(stores, tmp_path, line, says):
    with pytest.raises(FlywheelError, match=says) as refused:
        read_gold(written(tmp_path, line), stores)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [("value", ["a secret remark"], "numbers"), ("aspect", [{"secret": 1}], "text"),
     ("generation_id", [["secret"]], "text")],
)  # fmt: skip
def test_a_column_of_another_type_is_named_and_not_quoted(stores, tmp_path, name, column, kind):
    rows = {"generation_id": ["g1"], "aspect": ["aesthetics"], "value": [3.0], name: column}
    pq.write_table(pa.table(rows), tmp_path / "known.parquet")
    with pytest.raises(ContractError) as refused:
        read_gold(tmp_path / "known.parquet", stores)
    said = f"known.parquet: column {name} holds something else than {kind}; correct it"
    assert str(refused.value) == said
    assert refused.value.__suppress_context__, "no traceback quotes it either"


def test_text_in_the_value_of_a_csv_is_one_sentence_of_the_command(stores, tmp_path, capsys):
    file = written(tmp_path, "g1,,aesthetics,a secret remark")
    assert run(["annotate", "gold", str(file), "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "gold.csv: column value" in said
    assert "secret" not in said


def test_a_file_of_another_kind_is_one_sentence(stores, tmp_path):
    with pytest.raises(FlywheelError, match="comes as"):
        read_gold(written(tmp_path, name="gold.xlsx"), stores)
    (tmp_path / "gold.parquet").write_bytes(b"no parquet")
    with pytest.raises(FlywheelError, match="no readable parquet"):
        read_gold(tmp_path / "gold.parquet", stores)
