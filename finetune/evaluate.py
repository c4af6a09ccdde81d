"""Samples policies and scores what they made; nothing here trains, compares or decides."""

from collections.abc import Mapping, Sequence

import numpy as np

from backbone.emu3 import Emu3Backbone
from backbone.media import write_media
from backbone.protocol import Codes
from backbone.tokens import visual_prompt
from data_contracts.errors import ShapeError
from data_contracts.training import AspectScorer, Scorer
from finetune.measured import Drawn
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray
from reward_models.watch import Progress

Samples = list[list[Codes | None]]  # by prompt; None where a sample is malformed


def sample_policy(
    backbone: Emu3Backbone,
    prompt_texts: Sequence[str],
    *,
    samples: int,
    seed: int,
    grammar: bool,
    progress: Progress | None = None,
) -> Samples:
    """Draw *samples* pictures for each prompt; the same arguments give the same pictures."""
    texts = [text for text in prompt_texts for _ in range(samples)]
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, len(texts))

    flat = backbone.generate(texts, seed=seed, grammar=grammar, progress=count)
    return [flat[i * samples : (i + 1) * samples] for i in range(len(prompt_texts))]


def validity_share(samples: Samples) -> float:
    """Return the share of well-formed samples; NaN without any sample."""
    flat = [codes is not None for row in samples for codes in row]
    return float(np.mean(flat)) if flat else float("nan")


def diversities(samples: Samples) -> FloatArray:
    """Return (prompts,) how much two samples for each differ: mean shares of differing tokens.

    0 when all are alike. Malformed samples are left out; NaN with less than two well-formed.

    Example:
        >>> one, other = np.array([[1, 2]]), np.array([[1, 3]])
        >>> diversities([[one, other], [one, None]])
        array([0.5, nan])
    """
    found = np.full(len(samples), np.nan)
    for place, row in enumerate(samples):
        kept = [codes.ravel() for codes in row if codes is not None]
        if len(kept) > 1:
            stack = np.stack(kept)
            differs = (stack[:, None] != stack[None]).mean(-1)
            found[place] = differs.sum() / (len(kept) * (len(kept) - 1))
    return found


def draw(backbone: Emu3Backbone, samples: Samples) -> Drawn:
    """Return the samples as PNG, films as MP4, None where malformed."""
    codes = [c for row in samples for c in row if c is not None]
    media = iter([write_media(drawn) for drawn in backbone.decode(codes)] if codes else [])
    return [[None if c is None else next(media) for c in row] for row in samples]


def score_drawn(
    scorer: Scorer, prompt_texts: Sequence[str], drawn: Drawn
) -> Mapping[str, FloatArray]:
    """Return (prompts, samples) scores by aspect; a malformed sample scores minus infinity.

    A scorer of one number scores the aspect "overall".

    Raises:
        ShapeError: another number of prompts than of rows.
    """
    if len(prompt_texts) != len(drawn):
        raise ShapeError(f"{len(prompt_texts)} prompts but samples for {len(drawn)}")
    places = [(i, j) for i, row in enumerate(drawn) for j, c in enumerate(row) if c is not None]
    texts = [prompt_texts[i] for i, _ in places]
    media = [c for row in drawn for c in row if c is not None]
    if isinstance(scorer, AspectScorer):
        found = scorer.score_aspects(texts, media)
    else:
        found = {"overall": scorer.score(texts, media) if media else []}
    scores = {}
    for aspect, values in found.items():
        scores[aspect] = np.full((len(drawn), len(drawn[0]) if drawn else 0), -np.inf)
        if places:
            scores[aspect][tuple(np.array(places).T)] = values
    return scores


def score_samples(
    backbone: Emu3Backbone, scorer: Scorer, prompt_texts: Sequence[str], samples: Samples
) -> FloatArray:
    """Return (prompts, samples) scores; a malformed sample scores minus infinity.

    Raises:
        ShapeError: another number of prompts than of rows.
    """
    return score_drawn(scorer, prompt_texts, draw(backbone, samples))["overall"]


def win_shares(candidate: FloatArray, champion: FloatArray) -> FloatArray:
    """Return (prompts,) how often a candidate's sample beats a champion's; a tie counts half.

    Every sample of one meets every sample of the other for the same prompt.

    Raises:
        ShapeError: other numbers of prompts.

    Example:
        >>> win_shares(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]]))
        array([0.875])
    """
    if len(candidate) != len(champion):
        raise ShapeError(
            f"candidate has scores for {len(candidate)} prompts, champion for {len(champion)}"
        )
    mine, theirs = candidate[:, :, None], champion[:, None, :]
    unknown = np.isnan(mine) | np.isnan(theirs)
    wins = np.where(unknown, np.nan, (mine > theirs) + 0.5 * (mine == theirs))
    shares: FloatArray = wins.mean((1, 2))
    return shares


def paired_bootstrap(
    differences: FloatArray,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the mean of (prompts,) paired differences with its interval over prompts.

    NaN in, NaN out: a prompt that could not be measured is not dropped in silence.
    """
    return cluster_bootstrap(differences, rng=rng, resamples=resamples, level=level)


def kl_per_token(
    candidate: Emu3Backbone,
    reference: Emu3Backbone,
    prompt_texts: Sequence[str],
    samples: Samples,
) -> float:
    """Estimate how far *candidate* moved from *reference*, in nats a token.

    The mean log-ratio over the candidate's own well-formed samples; close to 0 it can come out
    slightly negative by chance. NaN without a well-formed sample.
    """
    _, ratios = log_ratios(candidate, reference, prompt_texts, samples)
    return float(ratios.mean()) if len(ratios) else float("nan")


def log_ratios(
    candidate: Emu3Backbone,
    reference: Emu3Backbone,
    prompt_texts: Sequence[str],
    samples: Samples,
) -> tuple[list[str], FloatArray]:
    """Return, for each of the k well-formed samples, its prompt and (k,) log-ratios a token."""
    made = [
        (text, codes)
        for text, row in zip(prompt_texts, samples, strict=True)
        for codes in row
        if codes is not None
    ]
    if not made:
        return [], np.empty(0)
    prompts = [visual_prompt(text, candidate.grid) for text, _ in made]
    texts = [candidate.completion(codes) for _, codes in made]
    ratio = candidate.sequence_logprobs(prompts, texts) - reference.sequence_logprobs(
        prompts, texts
    )
    tokens = candidate.grid.tokens + 3  # end of frame, end of image, end of text
    return [text for text, _ in made], ratio / tokens
