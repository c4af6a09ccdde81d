"""What is drawn in Chromium on known pixels ends on exactly the tokens that cover them."""

import pytest
from answering import assignments, rows_in
from browsing import FRAMES, RATE, Seat, film, picture, png

from annotation.results import critiques
from pipelines.labelling.ledger import open_ledger
from pipelines.labelling.planning import Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.sync import annotations_of, sync_answers
from pipelines.stores import open_stores

pytestmark = [pytest.mark.slow, pytest.mark.browser]  # a browser and a real server: minutes
GRID = 8  # tokens a side
PROMPT = "two red 💡 discs left of a blue square"
TEXT = "A red 💡 disc rests on the floor."


@pytest.fixture
def seat_at(browser, studio_root, lead):
    """Open one pair of *modality* at its annotator's seat."""

    def open_seat(turn, modality, blob=None):
        sides = [
            Shown(generation_id=f"{turn}_{side}", modality=modality, blob=blob, frames=FRAMES,
                  fps=RATE, text=TEXT if modality == "text" else None)
            for side in "xy"
        ]  # fmt: skip
        ledger = open_ledger(studio_root)
        question = Question(task_id=turn, prompt=PROMPT, first=sides[0], other=sides[1])
        plan_assignments(ledger, turn, [question], overlap=1)
        push_assignments(studio_root, lead)
        [task] = assignments(ledger, turn)
        seat = Seat(browser, studio_root, task)
        seat.open_task()
        return seat

    return open_seat


@pytest.fixture
def read_back(studio_root, lead):
    """Submit, sync, and return the critiques of the seat's task by reason."""

    def read(seat):
        seat.press("1")
        seat.submit()
        seat.close()
        assert seat.errors == []
        sync_answers(studio_root, lead)
        ledger = open_ledger(studio_root)
        assert rows_in(ledger, seat.task.turn), "the answer was accepted"
        table = critiques(annotations_of(ledger, seat.task.turn), rows=GRID, columns=GRID)
        return {row["reason_code"]: row for row in table.to_pylist()}

    return read


def token(row, column):
    return row * GRID + column


@pytest.mark.parametrize("size", [32, 512])
def test_a_box_and_a_brush_cover_their_tokens_and_no_neighbour(
    studio_root, seat_at, read_back, size
):
    """Tokens of a grid of 8 x 8 on a picture of the studio's size, and of a product's.

    The box is drawn just inside tokens (5, 2) and (5, 3) of A; the stroke, 15 pixels of the
    screen wide, runs along the middle of row 1 of B from column 4 to column 6.
    """
    blob = open_stores(studio_root).blobs.put(png(picture(size=size)))
    seat = seat_at(f"drawn-{size}", "image", blob)
    seat.press("Shift+A")
    seat.draw(".fw-left", (2.05 / GRID, 5.05 / GRID), (3.95 / GRID, 5.95 / GRID))
    seat.press("Alt+C")
    seat.page.locator(".fw-right [aria-label=brush-tool]").click()
    seat.draw(".fw-right", (4.5 / GRID, 1.5 / GRID), (6.5 / GRID, 1.5 / GRID))
    seat.page.wait_for_timeout(300)
    found = read_back(seat)
    assert found["missing_object"]["tokens"] == [token(5, 2), token(5, 3)]
    assert found["missing_object"]["generation_id"] == seat.task.left_id
    assert found["extra_object"]["tokens"] == [token(1, 4), token(1, 5), token(1, 6)]
    assert found["extra_object"]["generation_id"] == seat.task.right_id


def test_a_segment_covers_the_frames_it_was_dragged_over(studio_root, seat_at, read_back):
    """From the middle of the third frame to that of the eleventh: frames 2 .. 10 from nought."""
    seat = seat_at("drawn-film", "video", open_stores(studio_root).blobs.put(film()))
    seat.press("Shift+O")
    seat.mark_frames(".fw-left", 3, 11)
    [found] = read_back(seat).values()
    assert found["frames"] == [2, 11]
    assert found["generation_id"] == seat.task.left_id


def test_marked_words_are_characters_whatever_stands_before_them(seat_at, read_back):
    """An astral character before them is two units for a browser, one for us."""
    seat = seat_at("drawn-text", "text")
    seat.press("Alt+Shift+A")
    seat.mark(".fw-words", "discs")
    seat.press("Shift+A")
    seat.mark(".fw-left", "rests")
    found = read_back(seat)
    assert PROMPT[slice(*found[None]["prompt_characters"])] == "discs"
    assert TEXT[slice(*found["missing_object"]["characters"])] == "rests"
