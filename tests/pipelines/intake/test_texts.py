"""The text door: UTF-8 with something to read, within the cap; the text is never quoted."""

import pytest

from data_contracts.errors import FlywheelError
from pipelines.intake.texts import check_text


def test_a_text_comes_back_as_it_is_written():
    assert (
        check_text("Zwei rote Scheiben \U0001f4a1\n".encode()) == "Zwei rote Scheiben \U0001f4a1\n"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"secret \xff", "not UTF-8"), (b" \n\t", "white space"), (b"", "white space"),
     (b"secret" * 9, "at most 50 allowed")],
)  # fmt: skip
def test_what_is_no_text_is_refused_in_one_sentence(content, says):
    with pytest.raises(FlywheelError, match=says) as refused:
        check_text(content, max_bytes=50)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
