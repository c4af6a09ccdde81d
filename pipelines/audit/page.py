"""The auditor's page: what learned from one person, self-contained, ids and counts alone."""

from datetime import datetime
from pathlib import Path

from pipelines.auditing import PersonTrace
from pipelines.report.environment import page_environment


def write_page(file: Path, found: PersonTrace, *, person: str, zone: str, at: datetime) -> None:
    """Write the page; it appears whole or not at all.

    Args:
        file: where to.
        found: what the zone's files say of *person*.
        person: a user id or an annotator id.
        zone: name of the zone's folder.
        at: when the files were read.
    """
    learned = [model for model in found.models if model.learned]
    page = (
        page_environment("pipelines.audit")
        .get_template("person.html.j2")
        .render(
            person=person,
            zone=zone,
            at=f"{at:%Y-%m-%d %H:%M} UTC",
            found=found,
            learned=learned,
            others=[model for model in found.models if not model.learned],
            standing=[m for m in learned if any(p.startswith("release/") for p in m.pointers)],
            training=sum(each.training for each in found.snapshots),
        )
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".tmp")
    fresh.write_text(page, "utf-8")
    fresh.replace(file)
