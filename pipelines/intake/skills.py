"""The door for skills: an expert's guidance, written in TOML or delivered as Parquet.

A TOML file holds one skill, or several under `[[skill]]`. Nothing of a skill's text is ever said
in a message: it is what somebody wrote.
"""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from data_contracts.conditioning import Skill
from data_contracts.conform import conform
from data_contracts.contract import load_contract
from data_contracts.errors import ContractError, SensitivityError
from data_contracts.ids import SkillId
from data_contracts.schemas import SKILL
from pipelines.intake.parquet_rows import rows_up_to
from pipelines.stores.enforcer import refuse

MAX_BYTES: Final = 8 << 20  # of a file
MAX_UNPACKED: Final = 16 << 20  # of a Parquet file in memory: the longest texts allowed, twice
MAX_SKILLS: Final = 1000  # of a file
_AT_ONCE: Final = 16  # rows of Parquet between two looks at MAX_UNPACKED


class _Written(BaseModel):
    """What a person writes; the digest follows from the text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    skill_id: str
    tenant_id: str
    project_id: str | None = None
    text: str
    created_at: datetime | None = None


def read_skills(file: Path, *, now: datetime) -> pa.Table:
    """Read the skills in *file* and hold them to their contract.

    White space around a text that was written in TOML is left out.

    Args:
        file: `.toml` or `.parquet`.
        now: the moment of reading, with a time zone.

    Raises:
        ContractError: not such a file, too large, a field that is missing or unknown, or a row
            that breaks the contract: an id twice, a text that is empty or too long.
    """
    if file.suffix not in (".toml", ".parquet"):
        raise ContractError(f"skills: {file.name} is neither TOML nor Parquet; write one of them")
    try:
        size = file.stat().st_size
    except OSError as error:
        raise ContractError(
            f"skills: {file.name} cannot be read ({error.strerror}); check the path"
        ) from None
    if size > MAX_BYTES:
        raise ContractError(
            f"skills: {file.name} has {size:,} bytes, at most {MAX_BYTES:,} are allowed; split it"
        )
    table = _from_toml(file) if file.suffix == ".toml" else _from_parquet(file)
    _refuse_many(file, table.num_rows)
    check_skills(table, now=now)
    return table


def check_skills(skills: pa.Table, *, now: datetime) -> None:
    """Do nothing if *skills* (SKILL schema) keep their contract.

    Raises:
        ContractError: a row breaks it, has a text with nothing to read, or a digest that is not
            its text's; skills are named by id.
    """
    refuse(skills, load_contract("skill"), now=now)
    rows = skills.select(["skill_id", "text", "digest"]).to_pylist()
    _refuse(
        [row["skill_id"] for row in rows if not row["text"].strip()],
        "have a text with nothing to read; write one or leave them out",
    )
    _refuse(
        [row["skill_id"] for row in rows if row["digest"] != text_digest(row["text"])],
        "have a digest that is not their text's; deliver them again",
    )


def check_unchanged(skills: pa.Table, earlier: Iterable[pa.Table]) -> None:
    """Do nothing if every skill that was known before is what it was.

    So the text that a generation was made under can always be found by its skill_id.

    Raises:
        ContractError: an id has another text, or belongs to somebody else, than before.
    """
    identity = ("skill_id", "tenant_id", "project_id", "digest")
    now = {row["skill_id"]: row for row in skills.select(list(identity)).to_pylist()}
    changed = {
        row["skill_id"]
        for table in earlier
        for row in table.select(list(identity)).to_pylist()
        if row["skill_id"] in now and row != now[row["skill_id"]]
    }
    _refuse(
        sorted(changed),
        "were known with another text, tenant or project; give what is new an id of its own",
    )


def check_use(generations: pa.Table, skills: pa.Table) -> None:
    """Do nothing if every skill that *generations* name is there and theirs to use.

    Raises:
        ContractError: a generation names a skill that is unknown.
        SensitivityError: a generation of another tenant or project uses a skill.
    """
    known = {row["skill_id"]: row for row in skills.to_pylist()}
    columns = ("generation_id", "tenant_id", "project_id", "skill_id")
    used = [row for row in generations.select(list(columns)).to_pylist() if row["skill_id"]]
    unknown = [row for row in used if row["skill_id"] not in known]
    if unknown:
        raise ContractError(
            f"generations: {len(unknown)} name a skill that is unknown (first: generation "
            f"{unknown[0]['generation_id']}, skill {unknown[0]['skill_id']}); deliver their "
            "skills with them"
        )
    foreign = [row for row in used if not _may_use(row, known[row["skill_id"]])]
    if foreign:
        raise SensitivityError(
            f"generations: {len(foreign)} use a skill of another tenant or project (first: "
            f"generation {foreign[0]['generation_id']}, skill {foreign[0]['skill_id']}); a skill "
            "serves its own tenant, and one project of it where it names one"
        )


def skills_by_id(skills: pa.Table) -> dict[str, Skill]:
    """Return the skills of a table by id."""
    rows = skills.select(["skill_id", "text"]).to_pylist()
    return {r["skill_id"]: Skill(skill_id=SkillId(r["skill_id"]), text=r["text"]) for r in rows}


def text_digest(text: str) -> str:
    """Return the SHA-256 of a skill's text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _may_use(generation: dict[str, Any], skill: dict[str, Any]) -> bool:
    return generation["tenant_id"] == skill["tenant_id"] and skill["project_id"] in (
        None,
        generation["project_id"],
    )


def _from_toml(file: Path) -> pa.Table:
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError):
        # The parser's own message may quote the text; brackets in brackets may exceed its stack.
        raise ContractError(
            f"skills: {file.name} is not valid TOML; a skill has skill_id, tenant_id and text"
        ) from None
    several = written["skill"] if set(written) == {"skill"} else [written]
    rows = []
    for number, each in enumerate(several if isinstance(several, list) else [several]):
        try:
            told = _Written.model_validate(each).model_dump()
        except ValidationError as error:
            faults = error.errors(include_input=False, include_url=False)
            said = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults)
            raise ContractError(f"skills: {file.name}, skill {number}: {said}") from None
        text = told["text"].strip()
        rows.append(told | {"text": text, "digest": text_digest(text)})
    return conform(pa.Table.from_pylist(rows, schema=SKILL), SKILL, what="skills")


def _from_parquet(file: Path) -> pa.Table:
    try:
        with pq.ParquetFile(file) as parquet:
            _refuse_many(file, parquet.metadata.num_rows)
            known = [name for name in SKILL.names if name in parquet.schema_arrow.names]
            table = rows_up_to(parquet, known, most_bytes=MAX_UNPACKED, at_once=_AT_ONCE)
    except (pa.ArrowException, OSError):
        raise ContractError(f"skills: {file.name} is not whole Parquet; deliver it again") from None
    if table is None:
        raise ContractError(
            f"skills: {file.name} unpacks to more than the {MAX_UNPACKED:,} bytes allowed; split it"
        )
    return conform(table, SKILL, what="skills")


def _refuse_many(file: Path, rows: int) -> None:
    if rows > MAX_SKILLS:
        raise ContractError(
            f"skills: {file.name} holds {rows:,}, at most {MAX_SKILLS:,} are allowed; split it"
        )


def _refuse(ids: list[str], fault: str) -> None:
    if ids:
        counted = Counter(ids)
        named = ", ".join(list(counted)[:5])
        raise ContractError(f"skills: {len(counted)} {fault} ({named})")
