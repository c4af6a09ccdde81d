"""Conditioning: the one place that says which text a policy reads of a prompt under a skill."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_contracts.ids import SkillId


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """An expert's guidance; one id has one text for ever."""

    skill_id: SkillId
    text: str


def conditioned_text(prompt: str, skill: Skill | None) -> str:
    r"""Return what policies, reward models and annotators read: guidance, a new line, the prompt.

    Without a skill it is the prompt itself, byte for byte. What is read stays plain text: names of
    structure tokens in it are taken apart where it becomes tokens, whoever wrote them.

    Example:
        >>> conditioned_text("a red disc", Skill(skill_id=SkillId("at-night"), text="At night"))
        'At night\na red disc'
        >>> conditioned_text("a red disc", None)
        'a red disc'
    """
    return prompt if skill is None else f"{skill.text}\n{prompt}"


def conditioned_texts(prompts: Sequence[str], skills: Sequence[Skill | None]) -> list[str]:
    """Condition prompts[i] by skills[i]; equal lengths."""
    return [conditioned_text(p, s) for p, s in zip(prompts, skills, strict=True)]
