"""Keys that Label Studio lacks: into the field of an interface, and out of it, without a mouse.

Its editor binds letters to answers but none to a field, and while the cursor is in one no letter
answers. So the door adds one script of ours to its pages.
"""

from typing import Final

from annotation.interfaces.controls import WRITE_KEY

PATH: Final = "/flywheel-keys.js"
SCRIPT: Final = f"""document.addEventListener("keydown", pressed => {{
    const field = document.querySelector(".fw textarea");
    const here = document.activeElement;
    if (!field || pressed.ctrlKey || pressed.altKey || pressed.metaKey || pressed.isComposing)
        return;
    if (pressed.key === "Escape" && here === field) field.blur();
    else if (pressed.key === "{WRITE_KEY}" && !pressed.repeat
        && !(here && /^(INPUT|TEXTAREA|SELECT)$/.test(here.tagName))
        && !document.querySelector("[role=dialog]")) field.focus();
    else return;
    pressed.preventDefault();
    pressed.stopPropagation();
}}, true);
"""
_TAG: Final = f'<script src="{PATH}"></script>'.encode()
_END: Final = b"</head>"


def with_keys(page: bytes) -> bytes:
    """Return an HTML *page* that asks for the script, last in its head."""
    return page.replace(_END, _TAG + _END, 1)
