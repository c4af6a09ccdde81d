"""The report as one page that needs nothing else: no network, no script, no other file."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipelines.report import comparisons, evidence, looks, measures, running
from pipelines.report.looks import ARMS, Ink
from pipelines.report.model import Demo, parse_demo
from pipelines.report.standing import featured, in_order, title_of
from pipelines.report.verdict import bracket, give_verdict, number, turns_in_words


def render_report(demo: Mapping[str, Any]) -> str:
    """Render the content of `demo.json` as self-contained HTML; same input, same text.

    Raises:
        ContractError: *demo* is not a report; names every refused field.
    """
    return render_parsed(parse_demo(demo))


def render_parsed(demo: Demo) -> str:
    """Render a report that was already read."""
    return _environment().get_template("page.html.j2").render(_content(demo))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipelines.report", "templates"),
        autoescape=True,  # prompts, remarks and details are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["duration"] = _duration
    environment.filters["quiet_intervals"] = _quiet_intervals
    environment.globals["bracket"] = bracket
    return environment


def _content(demo: Demo) -> dict[str, Any]:
    lead = featured(demo)
    own, others = running.decisions(demo)
    return {
        "demo": demo,
        "palette": _palette(),
        "verdict": give_verdict(demo),
        "tiles": measures.tiles(demo),
        "lead": {"name": lead.name, "title": title_of(demo, lead.name)},
        "turned": turns_in_words(
            max((row.turn for arm in demo.arms for row in arm.turns), default=0)
        ),
        "arms": [
            {
                "name": arm.name,
                "title": title_of(demo, arm.name),
                "explains": arm.explains or ARMS[arm.name].explains,
                "glyph": ARMS[arm.name].glyph,
            }
            for arm in in_order(demo.arms)
        ],
        "quality": measures.quality(demo),
        "pictures": _pictures(demo),
        "media": _media(demo),
        "comparison_plots": comparisons.comparison_plots(demo),
        "comparisons": comparisons.comparison_rows(demo),
        "held": measures.held_plots(demo),
        "intents": evidence.intents(demo),
        "drops": evidence.drops(demo),
        "agreement": evidence.agreement(demo),
        "skills": evidence.skills(demo),
        "skill_ids": evidence.skill_ids(demo),
        "little": evidence.agrees_little(demo),
        "decisions": own,
        "other_decisions": others,
        "curves": running.curve_plots(demo),
        "stages": running.time_stages(demo),
        "bars": running.time_bars(demo),
    }


def _media(demo: Demo) -> str:
    """Say what was drawn: pictures, or films."""
    studio = demo.settings.get("studio")
    films = isinstance(studio, dict) and studio.get("modality") == "video"
    return "films" if films else "pictures"


def _pictures(demo: Demo) -> list[dict[str, Any]]:
    order = list(ARMS)
    return [
        {
            "prompt": row.prompt,
            "arms": [
                {
                    "name": drawn.name,
                    "title": title_of(demo, drawn.name),
                    "glyph": ARMS[drawn.name].glyph,
                    "images": [
                        (image, drawn.overall[place] if place < len(drawn.overall) else None)
                        for place, image in enumerate(drawn.images)
                    ],
                }
                for drawn in sorted(row.arms, key=lambda drawn: order.index(drawn.name))
            ],
        }
        for row in demo.pictures
    ]


def _palette() -> list[tuple[str, Ink]]:
    named = [(f"arm-{name}", look.ink) for name, look in ARMS.items()]
    stages = [(f"stage-{place}", ink) for place, ink in enumerate(looks.STAGES)]
    return [*named, *stages, ("mocker", looks.MOCKER), ("honest", looks.HONEST)]


def _quiet_intervals(sentence: str) -> Markup:
    return Markup(re.sub(r"\[[^\]]*\]", r'<span class="ci">\g<0></span>', str(escape(sentence))))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
