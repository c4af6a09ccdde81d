"""`flywheel skills`: would these files of skills be taken in?"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson


def skills(
    files: Annotated[list[Path], typer.Argument(help="TOML or Parquet files of skills.")],
    as_json: AsJson = False,
) -> None:
    """Check files of skills as a delivery's are, all together; list ids, owners and digests.

    Nothing is written, and no text is shown.

    Example: flywheel skills conf/skills/at-night.toml conf/skills/by-day.toml
    """
    from datetime import UTC, datetime

    import pyarrow as pa

    from pipelines.commands.reply import in_columns, reply, spaced
    from pipelines.intake.skills import check_skills, read_skills

    now = datetime.now(UTC)
    found = pa.concat_tables([read_skills(file, now=now) for file in files])
    check_skills(found, now=now)
    told = [
        {
            **{name: row[name] for name in ("skill_id", "tenant_id", "project_id", "digest")},
            "characters": len(row["text"]),
        }
        for row in found.to_pylist()
    ]
    rows = [
        [
            each["skill_id"],
            each["tenant_id"],
            each["project_id"] or "all",
            spaced(each["characters"]),
            each["digest"][:12],
        ]
        for each in told
    ]
    reply(
        {"skills": told},
        in_columns(["skill", "tenant", "project", "characters", "text"], rows),
        as_json=as_json,
    )
