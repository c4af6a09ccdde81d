"""An annotator's own page: what waits for them, what they have done, where to begin."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote

import sqlalchemy as sa

from pipelines.labelling.feedback import Feedback, Miss
from pipelines.labelling.ledger import ANNOTATORS, PROJECTS
from pipelines.stores.catalogue_tables import transaction

PROGRESS: Final = "/progress"
_MODALITIES: Final = {"image": "pictures", "video": "films", "text": "texts"}
_FORMS: Final = {
    "pair": "Compare two {}",
    "blind": "Compare two {}, verdict only",
    "critique": "Rate {} one by one",
    "edit": "Make {} better",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Your work</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 44rem;
  margin: 3rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin-bottom: .25rem; }}
p {{ color: #57606a; margin-top: 0; }}
a.work {{ display: block; color: inherit; text-decoration: none; border: 1px solid #d0d7de;
  border-radius: 10px; padding: .9rem 1.1rem; margin: .8rem 0; }}
a.work:hover, a.work:focus {{ border-color: #1f6feb; outline: none; }}
.what {{ font-weight: 600; }}
.left {{ float: right; color: #1f6feb; font-weight: 600; }}
.done .left {{ color: #1a7f37; }}
h2 {{ font-size: 1.1rem; margin: 2.4rem 0 .25rem; }}
.bars {{ display: grid; grid-template-columns: max-content 1fr max-content; gap: .4rem .8rem;
  align-items: center; margin: .6rem 0 1.2rem; }}
.bars progress {{ margin: 0; accent-color: #1a7f37; }}
.miss {{ border: 1px solid #d0d7de; border-radius: 10px; padding: .8rem 1.1rem; margin: .8rem 0; }}
.miss p {{ margin: 0 0 .4rem; }} .miss b {{ color: #1f2328; }}
.miss .sides {{ display: flex; gap: .8rem; }} .miss figure {{ margin: 0; }}
.miss img {{ width: 9rem; max-width: 100%; border-radius: 6px; display: block;
  image-rendering: pixelated; }} .miss figcaption {{ color: #57606a; font-size: .85rem; }}
progress {{ width: 100%; height: .6rem; accent-color: #1f6feb; margin-top: .5rem; }}
</style></head><body>
<h1>{greeting}</h1><p>{sentence}</p>
{streams}
{feedback}
</body></html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One annotator's work with one interface."""

    interface: str
    project_id: int
    given: int
    answered: int

    @property
    def left(self) -> int:
        """Return how many wait."""
        return self.given - self.answered

    @property
    def place(self) -> str:
        """Return where its next task is."""
        return f"/projects/{self.project_id}/data?labeling=1"


def in_order(streams: Sequence[Stream]) -> list[Stream]:
    """Return *streams* as people take them: what waits first, quick questions before slow ones."""
    forms = list(_FORMS)
    return sorted(
        streams,
        key=lambda each: (not each.left, forms.index(each.interface.split("_")[0]), each.interface),
    )


def next_place(streams: Sequence[Stream]) -> str:
    """Return where the next task is; their own page, if none waits."""
    return next((each.place for each in in_order(streams) if each.left), PROGRESS)


def projects_of_account(ledger: sa.Engine, user_id: int) -> list[tuple[str, int]]:
    """Return (interface, labelling project) of the account *user_id*."""
    query = (
        sa.select(PROJECTS.c.interface, PROJECTS.c.project_id)
        .join(ANNOTATORS, ANNOTATORS.c.annotator_id == PROJECTS.c.annotator_id)
        .where(ANNOTATORS.c.user_id == user_id)
        .order_by(PROJECTS.c.interface)
    )
    with transaction(ledger, writes=False) as connection:
        return [(row.interface, row.project_id) for row in connection.execute(query)]


def progress_page(streams: Sequence[Stream], feedback: Feedback | None = None) -> str:
    """Return the page as HTML; it names no other person, no generation and no model."""
    left, done = (sum(getattr(each, name) for each in streams) for name in ("left", "answered"))
    greeting = f"{left} left for you" if left else "Nothing waits for you"
    sentence = (
        f"You have answered {done}. Enter begins; keys and guidelines are on every page."
        if left
        else f"You have answered {done}. Come back later."
    )
    shown = [
        _card(each, first=place == 0)
        for place, each in enumerate(in_order([s for s in streams if s.given]))
    ]
    return _PAGE.format(greeting=greeting, sentence=sentence, streams="\n".join(shown),
                        feedback=_told(feedback or Feedback()))  # fmt: skip


def _told(feedback: Feedback) -> str:
    if not feedback.answers:
        return ""
    bars = "".join(
        f"<span>{escape(aspect.replace('_', ' '))}</span>"
        f'<progress max="{answers}" value="{right}"></progress><span>{right} of {answers}</span>'
        for aspect, right, answers in feedback.aspects
    )
    misses = "".join(_missed(each) for each in feedback.misses)
    introduced = (
        "<p>Where you and the known answer differ, the latest first. Look again; if you "
        "still disagree, tell whoever leads the work: the known answer may be wrong.</p>"
    )
    return (
        "<h2>Questions whose answer was known</h2>"
        f"<p>{feedback.right} of {feedback.answers} as expected. Some of your questions are of "
        "this kind; they are told here some time later, so take every question as it comes.</p>"
        f'<div class="bars">{bars}</div>{introduced if misses else ""}{misses}'
    )


def _missed(miss: Miss) -> str:
    form, _, modality = miss.interface.partition("_")
    sides = {"only": ""} if form == "critique" else {"left": "A", "right": "B"}
    pictures = "".join(
        f'<figure><img src="/media/{quote(miss.assignment_id)}/{side}" alt="{name or "shown"}">'
        f"<figcaption>{name}</figcaption></figure>"
        for side, name in sides.items()
        if modality == "image"
    )
    aspect = miss.aspect.replace("_", " ")
    return (
        f'<div class="miss"><p>{escape(miss.prompt)}</p><p>{escape(aspect)}: you said '
        f"<b>{escape(miss.said)}</b>, expected was <b>{escape(miss.expected)}</b></p>"
        f'<div class="sides">{pictures}</div></div>'
    )


def _card(stream: Stream, *, first: bool) -> str:
    """Return a link to the stream's next task; Enter follows the *first*."""
    form, _, modality = stream.interface.partition("_")
    what = _FORMS[form].format(_MODALITIES[modality])
    left = f"{stream.left} left" if stream.left else "done"
    state = "work" if stream.left else "work done"
    focused = " autofocus" if first else ""
    return (
        f'<a class="{state}" href="{stream.place}"{focused}>'
        f'<span class="left">{escape(left)}</span><span class="what">{escape(what)}</span>'
        f'<progress max="{stream.given}" value="{stream.answered}"></progress></a>'
    )
