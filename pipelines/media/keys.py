"""What Label Studio's pages lack: keys, a way on and back, media that stay covered until asked for.

Its editor binds letters to answers but none to a field, and while the cursor is in one no letter
answers. Its last page leads nowhere. So the door adds one script of ours to its pages.
"""

from typing import Final

from annotation.interfaces.controls import UNCOVER_KEY, WRITE_KEY

PATH: Final = "/flywheel-keys.js"
SCRIPT: Final = f"""(() => {{
const root = document.documentElement;
const stream = ".lsf-root_mode_labelstream", ended = stream + " .ant-result-success";
const typing = here => here && /^(INPUT|TEXTAREA|SELECT)$/.test(here.tagName);
document.addEventListener("keydown", pressed => {{
    const field = document.querySelector(".fw textarea");
    const here = document.activeElement;
    if (pressed.ctrlKey || pressed.altKey || pressed.metaKey || pressed.isComposing) return;
    if (field && pressed.key === "Escape" && here === field) field.blur();
    else if (pressed.repeat || typing(here) || document.querySelector("[role=dialog]")) return;
    else if (field && pressed.key === "{WRITE_KEY}") field.focus();
    else if (document.querySelector(".fw") && pressed.key === "{UNCOVER_KEY}")
        root.toggleAttribute("data-fw-uncovered");
    else if (document.querySelector(ended) && pressed.key === "Enter") location.assign("/start");
    else return;
    pressed.preventDefault();
    pressed.stopPropagation();
}}, true);
// Beside their tasks a way back to all of them; after the last one a way on.
const way = document.createElement("a");
way.style.cssText = "position:fixed;left:320px;z-index:30;color:#1f6feb;"
    + "font:500 14px/20px system-ui,sans-serif;padding:6px 12px;border-radius:8px;display:none";
let task = "";
setInterval(() => {{
    if (!way.isConnected) document.body?.append(way);
    const done = document.querySelector(ended);
    way.style.display = document.querySelector(stream) ? "block" : "none";
    way.style.bottom = done ? "30vh" : "12px";
    way.style.left = done ? "calc(50% - 115px)" : "320px";
    way.style.outline = done ? "1px solid #1f6feb" : "none";
    way.href = done ? "/start" : "/progress";
    const says = done ? "Go on with what is left: Enter" : "All your work";
    if (way.textContent !== says) way.textContent = says;
    // Another task is covered again.
    const now = document.querySelector(".lsf-current-task__task-id")?.textContent ?? "";
    if (now !== task) root.removeAttribute("data-fw-uncovered");
    task = now;
}}, 100);
}})();
"""
_TAG: Final = f'<script src="{PATH}"></script>'.encode()
_END: Final = b"</head>"


def with_keys(page: bytes) -> bytes:
    """Return an HTML *page* that asks for the script, last in its head."""
    return page.replace(_END, _TAG + _END, 1)
