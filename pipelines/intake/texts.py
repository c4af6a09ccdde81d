"""The text door: what is said to be a text is one before anybody reads it."""

from typing import Final

from data_contracts.errors import FlywheelError

MAX_BYTES: Final = 4 << 20


def check_text(content: bytes, *, max_bytes: int = MAX_BYTES) -> str:
    """Check that *content* is UTF-8 within the cap, with something to read; return the text.

    Raises:
        FlywheelError: above the cap, no UTF-8, or nothing but white space.
    """
    if len(content) > max_bytes:
        raise FlywheelError(f"text refused: {len(content):,} bytes, at most {max_bytes:,} allowed")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise FlywheelError("text refused: not UTF-8") from None
    if not text.strip():
        raise FlywheelError("text refused: nothing but white space")
    return text
