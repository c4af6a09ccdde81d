"""The studio's product: it asks the released policy for media and delivers what happened."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from backbone.media import write_media
from backbone.protocol import Backbone
from data_contracts.conditioning import conditioned_texts
from pipelines.world.medium import Media
from pipelines.world.studio import Studio
from pipelines.world.truth import Truth
from pipelines.world.users import Visits

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a delivery holds, and beside it what only the studio knows."""

    prompts: pa.Table
    skills: pa.Table | None  # None: nobody works under one
    generations: pa.Table
    media: dict[str, bytes]
    events: pa.Table
    visits: Visits  # truth: what was meant
    quality: Truth  # truth: how good each generation is


def serve(
    studio: Studio,
    turn: int,
    policy: Backbone,
    *,
    release: str,
    progress: Progress | None = None,
) -> Served:
    """Sample the turn's prompts with *policy* and let the users react.

    Args:
        studio: prompts and people.
        turn: of the wheel, from 1.
        policy: the policy released last.
        release: its checkpoint id, carried by every generation.
        progress: called with the number of pictures just made.
    """
    prompts = studio.prompts(turn)
    each = studio.generations_per_prompt()
    texts = np.repeat(prompts["text"].to_numpy(zero_copy_only=False), each).tolist()
    seed = studio.sampling_seed(turn)
    under = [name for name in studio.asked_under(turn, prompts.num_rows) for _ in range(each)]
    read = conditioned_texts(texts, [None if s is None else studio.guidance[s] for s in under])
    codes = policy.generate(read, seed=seed, grammar=True, progress=progress)
    pictures: Media = policy.decode([c for c in codes if c is not None])
    contents = [write_media(picture) for picture in pictures]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    generations = studio.generations(
        turn, prompts, digests=digests, model_release=release, seed=seed
    )
    truth = studio.truth(pictures, texts, under)
    events, visits = studio.visit(turn, generations, pictures, truth)
    return Served(
        prompts=prompts,
        skills=studio.skills if studio.skills.num_rows else None,
        generations=generations,
        media=dict(zip(digests, contents, strict=True)),
        events=events,
        visits=visits,
        quality=truth,
    )
