"""Skills of the simulated studio: guidance of which the pixels tell whether it was followed.

No prompt says anything of the sky, and base draws either as often: so a policy that draws nights
under one skill, days under the other and both without has read the guidance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from data_contracts.errors import FlywheelError
from data_contracts.schemas import SKILL
from pipelines.intake.skills import check_skills, read_skills
from pipelines.settings import conf_folder
from pipelines.world.medium import Bools, Floats, Media, Medium
from pipelines.world.truth import Truth

SkillIds = Sequence[str | None]
_FOLLOWS: Final[Mapping[str, Callable[[Medium, Media], Bools]]] = {
    "at-night": lambda medium, media: medium.night(media),
    "by-day": lambda medium, media: ~medium.night(media),
}


def studio_skills(names: Sequence[str], *, now: datetime) -> pa.Table:
    """Read the studio's skills *names* from conf/skills; SKILL rows in the order of *names*.

    Raises:
        ContractError: a file breaks the contract of skills.
        FlywheelError: the studio cannot tell from the pixels whether a skill was followed.
    """
    unknown = [name for name in names if name not in _FOLLOWS]
    if unknown:
        raise FlywheelError(
            f"studio.skills: {unknown[0]} is none of the studio's ({', '.join(_FOLLOWS)})"
        )
    files = [conf_folder() / "skills" / f"{name}.toml" for name in names]
    found = pa.concat_tables([SKILL.empty_table(), *(read_skills(f, now=now) for f in files)])
    check_skills(found, now=now)
    return found


def followed(medium: Medium, media: Media, skills: SkillIds) -> Floats:
    """Return (n,) 1 where media[i] follows the guidance of skills[i], 0 where not, NaN without."""
    found = np.full(len(media), np.nan)
    for name in sorted({each for each in skills if each is not None}):
        rows = np.flatnonzero([each == name for each in skills])
        found[rows] = _FOLLOWS[name](medium, media[rows])
    return found


def guided_truth(truth: Truth, follows: Floats) -> Truth:
    """Return *truth* where guidance counts as much as the prompt: alignment is the mean of both.

    Args:
        truth: of n media against their prompts.
        follows: (n,) as `followed` says.
    """
    both = (truth.prompt_alignment + follows) / 2
    return replace(
        truth, prompt_alignment=np.where(np.isnan(follows), truth.prompt_alignment, both)
    )
