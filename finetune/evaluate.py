"""Measures a policy against the one released last; nothing here trains or decides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backbone.emu3 import Emu3Backbone
from backbone.pictures import write_png
from backbone.protocol import Codes
from backbone.tokens import image_prompt
from data_contracts.errors import FlywheelError, ShapeError
from data_contracts.training import Scorer
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray
from reward_models.watch import Progress

Samples = list[list[Codes | None]]  # by prompt; None where a sample is malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A candidate beside the champion (the policy released last), on the same prompts.

    Everything is measured on unconstrained samples: a grammar would hide broken ones. NaN means
    that it could not be measured.
    """

    prompts: int
    samples: int  # of each policy for each prompt
    win_rate: Interval  # candidate against champion, a tie counts half
    score_gain: Interval  # candidate's mean score less champion's, where both are well-formed
    candidate_validity: float  # share of well-formed samples
    champion_validity: float
    candidate_diversity: float  # share of differing tokens among one prompt's samples
    champion_diversity: float
    kl: float  # nats a token from the champion, on the candidate's own samples


def measure_policy(
    candidate: Emu3Backbone,
    champion: Emu3Backbone,
    *,
    scorer: Scorer,
    prompt_texts: Sequence[str],
    samples: int,
    seed: int,
    resamples: int = 2000,
    progress: Progress | None = None,
) -> Measured:
    """Sample both policies on the same prompts and compare what they made.

    Raises:
        FlywheelError: no prompts or no samples.
    """
    if not prompt_texts or samples < 1:
        raise FlywheelError("a policy is measured on at least one prompt and one sample")
    total = 2 * len(prompt_texts) * samples

    def second_half(done: int, _: int) -> None:
        if progress:
            progress(total // 2 + done, total)

    new = sample_policy(
        candidate,
        prompt_texts,
        samples=samples,
        seed=seed,
        grammar=False,
        progress=(lambda done, _: progress(done, total)) if progress else None,
    )
    old = sample_policy(
        champion, prompt_texts, samples=samples, seed=seed, grammar=False, progress=second_half
    )
    rng = np.random.default_rng(seed)
    new_scores = score_samples(candidate, scorer, prompt_texts, new)
    old_scores = score_samples(champion, scorer, prompt_texts, old)
    return Measured(
        prompts=len(prompt_texts),
        samples=samples,
        win_rate=paired_bootstrap(win_shares(new_scores, old_scores), rng=rng, resamples=resamples),
        score_gain=_score_gain(new_scores, old_scores, rng, resamples),
        candidate_validity=validity_share(new),
        champion_validity=validity_share(old),
        candidate_diversity=diversity(new),
        champion_diversity=diversity(old),
        kl=kl_per_token(candidate, champion, prompt_texts, new),
    )


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


def diversity(samples: Samples) -> float:
    """Return how much two samples for one prompt differ: the mean share of differing tokens.

    0 when all are alike. Malformed samples are left out; NaN where no prompt has two well-formed.

    Example:
        >>> one, other = np.array([[1, 2]]), np.array([[1, 3]])
        >>> diversity([[one, other], [one, None]])
        0.5
    """
    shares = []
    for row in samples:
        kept = [codes.ravel() for codes in row if codes is not None]
        if len(kept) > 1:
            stack = np.stack(kept)
            differs = (stack[:, None] != stack[None]).mean(-1)
            shares.append(differs.sum() / (len(kept) * (len(kept) - 1)))
    return float(np.mean(shares)) if shares else float("nan")


def score_samples(
    backbone: Emu3Backbone, scorer: Scorer, prompt_texts: Sequence[str], samples: Samples
) -> FloatArray:
    """Return (prompts, samples) scores; a malformed sample scores minus infinity.

    Raises:
        ShapeError: another number of prompts than of rows.
    """
    if len(prompt_texts) != len(samples):
        raise ShapeError(f"{len(prompt_texts)} prompts but samples for {len(samples)}")
    scores = np.full((len(samples), len(samples[0]) if samples else 0), -np.inf)
    places = [(i, j) for i, row in enumerate(samples) for j, c in enumerate(row) if c is not None]
    if places:
        codes = [c for row in samples for c in row if c is not None]
        media = [write_png(picture) for picture in backbone.decode(codes)]
        found = scorer.score([prompt_texts[i] for i, _ in places], media)
        scores[tuple(np.array(places).T)] = found
    return scores


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
    made = [
        (text, codes)
        for text, row in zip(prompt_texts, samples, strict=True)
        for codes in row
        if codes is not None
    ]
    if not made:
        return float("nan")
    prompts = [image_prompt(text, candidate.grid) for text, _ in made]
    texts = [candidate.completion(codes) for _, codes in made]
    ratio = candidate.sequence_logprobs(prompts, texts) - reference.sequence_logprobs(
        prompts, texts
    )
    tokens = candidate.grid.tokens + 3  # end of frame, end of image, end of text
    return float(ratio.sum() / (len(made) * tokens))


def _score_gain(
    candidate: FloatArray, champion: FloatArray, rng: np.random.Generator, resamples: int
) -> Interval:
    """Compare mean scores over prompts for which both have a well-formed sample."""
    difference = _means(candidate) - _means(champion)
    both = ((candidate > -np.inf).any(1)) & ((champion > -np.inf).any(1))
    if not both.any():
        return Interval(mean=float("nan"), low=float("nan"), high=float("nan"))
    return paired_bootstrap(difference[both], rng=rng, resamples=resamples)


def _means(scores: FloatArray) -> FloatArray:
    """Return (prompts,) mean scores of well-formed samples; NaN where there is none."""
    fine = scores > -np.inf
    count = fine.sum(1)
    total = np.where(fine, scores, 0.0).sum(1)
    means: FloatArray = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means
