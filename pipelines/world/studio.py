"""The simulated studio: prompts, users and annotators around whatever policy is released.

It stands where a product would: it asks the released policy for pictures, shows them, and hands
over raw rows. It alone knows the truth, and hands it out for scoring only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.schemas import GENERATION, PROMPT
from pipelines.intake.skills import skills_by_id
from pipelines.settings import WheelSettings
from pipelines.world.annotators import Crew, answer_tasks, draw_crew
from pipelines.world.event_log import visits_to_events
from pipelines.world.medium import Media, Medium, medium_of
from pipelines.world.pointing import point_at
from pipelines.world.skills import SkillIds, followed, guided_truth, studio_skills
from pipelines.world.truth import Truth
from pipelines.world.users import (
    GRID_SIZE,
    Population,
    Shown,
    Visits,
    draw_population,
    simulate_visits,
)

TENANT: Final = "t_studio"
PROJECT: Final = "p_feed"
_EPOCH: Final = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioSettings:
    """How large the studio is."""

    prompts: int = 320  # asked in one turn of the wheel
    turns: int = 2  # grids a prompt: the second is for users who ask again
    users: int = 1500
    sessions: int = 9000
    mocker_share: float = 0.12
    mockery: float = 0.5  # share of downloads that are mockery
    bot_share: float = 0.01
    annotators: int = 12
    answers_per_task: int = 3
    pointing: float = 0.0  # share of ratings after which annotators point at what is wrong
    heldout_prompts: int = 300
    modality: str = "image"  # or video
    skills: tuple[str, ...] = ()  # files of conf/skills; some users work under each


class Studio:
    """One studio with its people, the same in every turn of the wheel; all drawn from *seed*."""

    def __init__(self, settings: StudioSettings, *, seed: int) -> None:
        self.settings = settings
        self.seed = seed
        self.medium: Medium = medium_of(settings.modality)
        self.skills = studio_skills(settings.skills, now=_EPOCH)
        self.guidance = skills_by_id(self.skills)
        asked, held_out = _split_requests(
            self.medium.requests(), settings.heldout_prompts, self._rng("split")
        )
        self._asked = asked
        self.heldout_texts = self._texts(held_out, self._rng("held-out headers"))
        self.population: Population = draw_population(
            settings.users,
            mocker_share=settings.mocker_share,
            bot_share=settings.bot_share,
            rng=self._rng("users"),
        )
        if settings.skills:
            # About equally many users, and prompts, work under each skill and under none.
            rng, kinds = self._rng("skills of users"), len(settings.skills) + 1
            drawn = rng.integers(kinds, size=settings.users)
            self.population = replace(self.population, skill=drawn)
        self.crew: Crew = draw_crew(settings.annotators, rng=self._rng("annotators"))

    def _rng(self, what: str, turn: int = 0) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.seed}|{what}|{turn}".encode()).digest()
        return np.random.default_rng(np.frombuffer(digest, np.uint64))

    def prompts(self, turn: int) -> pa.Table:
        """Return the prompts that users type in this turn of the wheel."""
        rng = self._rng("prompts", turn)
        count = min(self.settings.prompts, len(self._asked))
        chosen = rng.choice(len(self._asked), size=count, replace=False)
        texts = self._texts([self._asked[i] for i in chosen], rng)
        ids = [_id("q", self.seed, turn, k) for k in range(len(texts))]
        return pa.table(
            {
                "prompt_id": ids,
                "text": texts,
                "conditioning": pa.nulls(len(ids), PROMPT.field("conditioning").type),
                "previous_turns": pa.nulls(len(ids), PROMPT.field("previous_turns").type),
            },
            schema=PROMPT,
        )

    def asked_under(self, turn: int, prompts: int) -> list[str | None]:
        """Return under which skill each of a turn's *prompts* is asked; None: under none."""
        return [self._skill_names[k] for k in self._skill_of_prompts(turn, prompts)]

    @property
    def _skill_names(self) -> tuple[str | None, ...]:
        return (None, *self.settings.skills)

    def _skill_of_prompts(self, turn: int, prompts: int) -> npt.NDArray[np.int64]:
        shares = np.arange(prompts) % len(self._skill_names)
        return self._rng("skills of prompts", turn).permutation(shares)

    def sampling_seed(self, turn: int) -> int:
        """Return the seed that the product samples with in this turn of the wheel."""
        return int(self._rng("sampling", turn).integers(2**31))

    def generations_per_prompt(self) -> int:
        """Return how many pictures each prompt needs: one grid a turn."""
        return GRID_SIZE * self.settings.turns

    def generations(
        self,
        turn: int,
        prompts: pa.Table,
        *,
        digests: Sequence[str],
        model_release: str,
        seed: int,
    ) -> pa.Table:
        """Describe what was sampled for *prompts*, `generations_per_prompt` each in a row.

        Args:
            turn: of the wheel.
            prompts: as asked.
            digests: of the pictures' blobs, in order of prompt, grid, place.
            model_release: which policy drew them.
            seed: it was sampled with.
        """
        each = self.generations_per_prompt()
        n = prompts.num_rows * each
        under = [s for s in self.asked_under(turn, prompts.num_rows) for _ in range(each)]
        # One a second, all done when the first user comes.
        created = [_EPOCH + timedelta(days=7 * turn, seconds=k - n) for k in range(n)]
        return pa.table(
            {
                "generation_id": [_id("g", self.seed, turn, k) for k in range(n)],
                "tenant_id": [TENANT] * n,
                "project_id": [PROJECT] * n,
                "prompt_id": np.repeat(prompts["prompt_id"].to_numpy(zero_copy_only=False), each),
                "parent_generation_id": pa.nulls(n, pa.string()),
                "session_id": pa.nulls(n, pa.string()),
                "turn": np.tile(np.repeat(np.arange(each // GRID_SIZE), GRID_SIZE), n // each),
                "model_release": [model_release] * n,
                "modality": [self.medium.modality] * n,
                "blob": list(digests),
                "seed": np.full(n, seed),
                "skill_id": pa.array(under, pa.string()),
                "created_at": created,
            },
            schema=GENERATION,
        )

    def visit(
        self, turn: int, generations: pa.Table, pictures: Media, truth: Truth
    ) -> tuple[pa.Table, Visits]:
        """Let the users loose on *generations*; *truth* is what `truth` says of *pictures*.

        Returns:
            The events in the contract's schema, and the visits with what was meant.
        """
        grids = np.arange(len(pictures)).reshape(-1, self.settings.turns, GRID_SIZE)
        visits = simulate_visits(
            self.population,
            Shown(
                overall=truth.overall,
                night=self.medium.night(pictures),
                grids=grids,
                skill=self._skill_of_prompts(turn, len(grids)) if self.settings.skills else None,
            ),
            sessions=self.settings.sessions,
            mockery=self.settings.mockery,
            rng=self._rng("visits", turn),
        )
        events = visits_to_events(
            visits,
            generation_ids=generations["generation_id"].to_numpy(zero_copy_only=False).astype(str),
            tenant_id=TENANT,
            project_id=PROJECT,
            batch=f"{self.seed}_{turn}",
            start=_EPOCH + timedelta(days=7 * turn),
            rng=self._rng("event times", turn),
        )
        return events, visits

    def annotate(
        self,
        turn: int,
        tasks: pa.Table,
        generations: pa.Table,
        pictures: Media,
        texts: Sequence[str],
    ) -> pa.Table:
        """Let the annotators answer *tasks*; texts[i] is what pictures[i] was asked for."""
        known = self.values(generations, pictures, texts)
        answers = answer_tasks(
            tasks,
            known,
            self.crew,
            answers_per_task=self.settings.answers_per_task,
            batch=f"{self.seed}_{turn}",
            start=_EPOCH + timedelta(days=7 * turn + 6),
            rng=self._rng("answers", turn),
        )
        if not self.settings.pointing:
            return answers
        flaws = self.medium.flaws(pictures, [self.medium.parse(text) for text in texts])
        pointed = point_at(
            answers,
            dict(zip(generations["generation_id"].to_pylist(), flaws, strict=True)),
            self.crew,
            films=self.medium.frames > 1,
            share=self.settings.pointing,
            rng=self._rng("pointing", turn),
        )
        return pa.concat_tables([answers, pointed])

    def values(
        self, generations: pa.Table, pictures: Media, texts: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """Return what each is truly worth, in [0, 1]: aspect -> generation_id -> value."""
        known = "skill_id" in generations.column_names
        skills = generations["skill_id"].to_pylist() if known else None
        truth = self.truth(pictures, texts, skills)
        ids = generations["generation_id"].to_pylist()
        aspects = truth.aspects | {"overall": truth.overall / 100.0}
        return {
            aspect: dict(zip(ids, values.tolist(), strict=True))
            for aspect, values in aspects.items()
        }

    def truth(self, pictures: Media, texts: Sequence[str], skills: SkillIds | None = None) -> Truth:
        """Judge pictures[i], or films, against the prompt texts[i]; for scoring only.

        Args:
            pictures: n pictures or films.
            texts: n prompts as typed, without guidance.
            skills: the n skills that they were made under; None: all without.
        """
        truth = self.medium.truth(pictures, texts)
        if skills is None:
            return truth
        return guided_truth(truth, followed(self.medium, pictures, skills))

    def _texts(self, requests: Sequence[Any], rng: np.random.Generator) -> list[str]:
        headers = rng.integers(len(self.medium.headers), size=len(requests))
        return [r.text(self.medium.headers[h]) for r, h in zip(requests, headers, strict=True)]

    def user_id(self, index: int) -> str:
        """Return the id under which user *index* appears in events."""
        return f"u{index:05d}"


def studio_of(settings: WheelSettings) -> Studio:
    """Return the studio around the wheel of *settings*."""
    told = settings.studio.model_dump()
    told["turns"] = told.pop("grids")
    return Studio(StudioSettings(**told), seed=settings.seed)


def _split_requests(
    requests: Sequence[Any], held_out: int, rng: np.random.Generator
) -> tuple[list[Any], list[Any]]:
    """Split *requests* so that no two that mean the same fall on different sides."""
    by_meaning: dict[tuple[str, ...], list[Any]] = {}
    for request in requests:
        by_meaning.setdefault(request.meaning, []).append(request)
    groups = [by_meaning[key] for key in sorted(by_meaning)]
    order = rng.permutation(len(groups))
    kept = [groups[i][0] for i in order[:held_out]]
    asked = [request for i in order[held_out:] for request in groups[i]]
    return asked, kept


def _id(prefix: str, seed: int, turn: int, index: int) -> str:
    digest = hashlib.sha256(f"{prefix}|{seed}|{turn}|{index}".encode()).hexdigest()
    return f"{prefix}_{digest[:12]}"
