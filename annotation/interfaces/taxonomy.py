"""The taxonomy: why people say what they say, read from one file and held to the aspects."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.aspects import ASPECT_TABLE, Aspect
from data_contracts.errors import FlywheelError
from data_contracts.vocabulary import MODALITIES

TAXONOMY_FILE: Final = Path(__file__).with_name("taxonomy.toml")


class Reason(BaseModel):
    """Why an aspect is good or bad, in a word that annotators read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    aspect: str
    says: str = Field(min_length=1, max_length=24)
    means: str = Field(min_length=1, max_length=160)
    modalities: tuple[str, ...] = MODALITIES


@cache
def default_taxonomy() -> tuple[Reason, ...]:
    """Return the taxonomy that the house ships."""
    return read_taxonomy(TAXONOMY_FILE)


def read_taxonomy(file: Path) -> tuple[Reason, ...]:
    """Read a taxonomy, held to the table of aspects.

    Raises:
        FlywheelError: not readable, a field is unknown or missing, a code stands twice, or an
            aspect or code is not in the table of aspects.
    """
    try:
        written = tomllib.loads(file.read_text("utf-8"))
        reasons = tuple(Reason.model_validate(each) for each in written.get("reason", []))
    except OSError as error:
        raise FlywheelError(
            f"{file.name}: cannot be read ({error.strerror}); check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FlywheelError(f"{file.name}: not valid TOML: {error}") from None
    except ValidationError as error:
        fault = error.errors()[0]
        raise FlywheelError(
            f"{file.name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; correct it there"
        ) from None
    _check(reasons, file.name)
    return reasons


def aspects_named(names: Sequence[str], modality: str) -> tuple[Aspect, ...]:
    """Return the aspects of these names, in their order.

    Raises:
        FlywheelError: a name is unknown, stands twice, or means nothing for *modality*.
    """
    table = {aspect.name: aspect for aspect in ASPECT_TABLE}
    unknown = [name for name in names if name not in table]
    if unknown:
        raise FlywheelError(
            f"interface: unknown aspect {', '.join(unknown)}; use {', '.join(table)}"
        )
    absent = [name for name in names if modality not in table[name].modalities]
    if absent:
        raise FlywheelError(f"interface: {modality} has no {', '.join(absent)}; leave it out")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise FlywheelError(f"interface: aspect {', '.join(twice)} stands twice; name it once")
    return tuple(table[name] for name in names)


def _check(reasons: Sequence[Reason], name: str) -> None:
    table = {aspect.name: aspect for aspect in ASPECT_TABLE}
    twice = sorted(code for code, n in Counter(r.code for r in reasons).items() if n > 1)
    if twice:
        raise FlywheelError(f"{name}: code {', '.join(twice)} stands twice; give each code once")
    unknown = sorted({r.aspect for r in reasons} - set(table))
    if unknown:
        raise FlywheelError(f"{name}: unknown aspect {', '.join(unknown)}; use {', '.join(table)}")
    strangers = sorted(r.code for r in reasons if r.code not in table[r.aspect].reason_codes)
    if strangers:
        raise FlywheelError(
            f"{name}: code {', '.join(strangers)} is not one of its aspect's in "
            "data_contracts/aspects.py; add it there or correct it"
        )
    said = Counter((r.says, m) for r in reasons for m in r.modalities)
    alike = sorted({says for (says, _), count in said.items() if count > 1})
    if alike:
        raise FlywheelError(f"{name}: {', '.join(alike)} is said by two codes; word one otherwise")
