"""Copies in a de-noising: merged they change nothing, unmerged they are told everywhere."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from annotator_crowd import crowd
from small_studio import studio, write_studio

from pipelines.denoising import DenoiseSettings, denoise
from pipelines.denoising.copies import copy_warning
from pipelines.denoising.page import render_page


def test_many_copies_move_the_pairs_no_further_than_one():
    """Three who copy one honest annotator's answers change nothing once they are one voice."""
    w = studio(prompts=15, rated=0.0)
    one, many = crowd(copies=1), crowd(copies=4)
    settings = DenoiseSettings(all_pairs=True)
    first = denoise(None, w.generations, one, settings=settings)
    second = denoise(None, w.generations, many, settings=settings)
    assert first.pairs["probability"].equals(second.pairs["probability"])
    assert second.figures["voices"] == [{"voice": "z0", "annotators": [f"z{n}" for n in range(4)]}]
    # Agreement is of everybody: four who say the same raise it.
    alpha = [made.figures["agreement"][0]["alpha"] for made in (first, second)]
    assert alpha[1] > alpha[0]
    assert second.figures["suspected"]["annotators"] == 0
    assert copy_warning(second.figures) is None


@pytest.fixture(scope="module")
def taken_over():
    """Sixty generations with twenty honest annotators and six copies who gave most answers."""
    w = studio(prompts=15, rated=0.0)
    w.annotations = crowd(copies=6, honest=20, each=12)
    return w


def test_copies_who_took_over_are_in_the_figures_and_lead_the_page(taken_over):
    w = taken_over
    made = denoise(None, w.generations, w.annotations)
    suspected = made.figures["suspected"]
    assert suspected["annotators"] == 6
    assert suspected["share_of_answers"] == 0.6
    assert suspected["groups"] == [{"members": 6, "annotators": [f"z{n}" for n in range(6)]}]
    assert suspected["pairs"] == len(suspected["rows"]) == 15
    dropped = {row["reason"]: row["rows"] for row in made.figures["drops"]}
    assert dropped["suspected_copy"] == 360
    rows = made.annotators.to_pylist()
    marked = {row["annotator_id"] for row in rows if row["may_be_copy"]}
    assert marked == {f"z{n}" for n in range(6)}
    page = render_page(made.figures)
    headline = page[page.index('class="headline"') : page.index("</h1>")]
    assert "6 annotators answer so alike" in headline
    assert "60 % of all answers" in headline
    assert "z0, z1, z2, z3, z4, z5" in page
    assert "too many to be judged" in page


def test_the_command_line_warns_and_the_pairs_are_written(flywheel, taken_over, tmp_path):
    words = write_studio(taken_over, tmp_path)
    for more in ([], ["--dry-run"]):
        code, out, _ = flywheel("denoise", *words, "--out", tmp_path / "o", *more)
        assert code == 0
        assert "look first: 6 annotators answer so alike" in out
    written = pq.read_table(tmp_path / "o" / "suspects.parquet")
    assert written.num_rows == 15
    assert written.schema.field("merged").type == pa.bool_()
