"""A bundle's generations as token sequences, each read, tokenised and stored once."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from backbone.emu3 import Emu3Backbone
from backbone.films import read_film
from backbone.grammar import written_ids
from backbone.media import modality_of
from backbone.pictures import stack_pngs
from backbone.protocol import Codes
from backbone.tokens import Grid, text_completion, text_prompt, visual_prompt
from data_contracts.conditioning import conditioned_text
from data_contracts.errors import FlywheelError, ShapeError
from data_contracts.ids import GenerationId, PromptId
from data_contracts.training import TrainingBundle

IntArray = npt.NDArray[np.int64]
Key = tuple[PromptId, GenerationId]

_PART: Final = 256  # pictures decoded at a time, to bound memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Prompt and completion tokens of n generations, one after another in one array."""

    tokens: npt.NDArray[np.int32]
    starts: IntArray  # (n + 1,) where each sequence begins
    prompt_lengths: IntArray  # (n,) tokens
    row_of: Mapping[Key, int]
    pad: int

    def lengths(self, rows: IntArray) -> IntArray:
        """Return the tokens of each row, prompt included."""
        counts: IntArray = self.starts[rows + 1] - self.starts[rows]
        return counts

    def completion_lengths(self, rows: IntArray) -> IntArray:
        """Return the tokens of each row's completion."""
        counts: IntArray = self.lengths(rows) - self.prompt_lengths[rows]
        return counts

    def rows(self, keys: Iterable[Key]) -> IntArray:
        """Look up where *keys* are stored.

        Raises:
            FlywheelError: a key was not read.
        """
        try:
            return np.array([self.row_of[key] for key in keys], np.int64)
        except KeyError as missing:
            raise FlywheelError(
                f"generation {missing.args[0][1]} was not read; read the sequences of its split too"
            ) from None

    def padded(self, rows: IntArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (k, longest) token ids, padded on the right, and where the completions are."""
        lengths = self.lengths(rows)
        ids = np.full((len(rows), int(lengths.max())), self.pad, np.int64)
        completion = np.zeros(ids.shape, np.bool_)
        for i, row in enumerate(rows):
            ids[i, : lengths[i]] = self.tokens[self.starts[row] : self.starts[row + 1]]
            completion[i, self.prompt_lengths[row] : lengths[i]] = True
        return torch.from_numpy(ids), torch.from_numpy(completion)

    def padded_marks(self, rows: IntArray, marks: npt.NDArray[np.bool_]) -> torch.Tensor:
        """Return (k, longest) of what *marks* says of every token; padding is unmarked."""
        lengths = self.lengths(rows)
        found = np.zeros((len(rows), int(lengths.max())), np.bool_)
        for i, row in enumerate(rows):
            found[i, : lengths[i]] = marks[self.starts[row] : self.starts[row + 1]]
        return torch.from_numpy(found)


def read_sequences(
    bundle: TrainingBundle, backbone: Emu3Backbone, *, splits: Sequence[str], max_length: int
) -> Sequences:
    """Read what the pairs of *splits* compare, as *backbone*'s tokens.

    One reading serves SFT, DPO and the reward model as long as they share the tokenizer, the
    picture tokens and *max_length*; turning media into tokens is the slow part.

    What was made under a skill is read with its guidance, which is never cut.

    Raises:
        FlywheelError: an unknown modality, broken media, a picture or film longer than
            *max_length*, or guidance and prompt that do not fit beside what answers them.
    """
    keys: dict[Key, None] = {}
    for pair in (pair for split in splits for pair in bundle.pairs(split)):
        keys[pair.prompt_id, pair.chosen_id] = None
        keys[pair.prompt_id, pair.rejected_id] = None
    skills = {key: bundle.skill(key[1]) for key in keys}
    return _read(
        {key: conditioned_text(bundle.prompt_text(key[0]), skills[key]) for key in keys},
        guided={key for key, skill in skills.items() if skill is not None},
        modality={g: bundle.modality(g) for _, g in keys},
        content=bundle.content,
        backbone=backbone,
        max_length=max_length,
    )


def read_answers(
    prompts: Sequence[str], contents: Sequence[bytes], backbone: Emu3Backbone, *, max_length: int
) -> Sequences:
    """Read answers that belong to no bundle: PNG is a picture, MP4 a film, anything else text.

    Raises:
        FlywheelError: broken media, or a picture or film longer than *max_length*.
        ShapeError: *prompts* and *contents* disagree on n.
    """
    if len(prompts) != len(contents):
        raise ShapeError(f"{len(prompts)} prompts but {len(contents)} contents")
    names = [GenerationId(str(i)) for i in range(len(contents))]
    media = dict(zip(names, contents, strict=True))
    return _read(
        {(PromptId(g), g): text for g, text in zip(names, prompts, strict=True)},
        modality={g: modality_of(media[g]) for g in names},
        content=media.__getitem__,
        backbone=backbone,
        max_length=max_length,
    )


def check_fits(texts: Sequence[str], backbone: Emu3Backbone, *, max_length: int) -> None:
    """Do nothing if every request of *texts* is read whole beside what *backbone* draws.

    `read_answers` cuts what is too long at its beginning, where a skill's guidance stands.

    Raises:
        FlywheelError: one would be cut.
    """
    heads = _tokenised([visual_prompt(text, backbone.grid) for text in texts], backbone)
    # Behind the picture come the ends of its last frame, of the image and of the text.
    needed = max(map(len, heads), default=0) + backbone.grid.tokens + 3
    if heads and needed > max_length:
        raise FlywheelError(
            f"skill and prompt take up to {needed} tokens with what answers them, but the reward "
            f"model reads {max_length}; train it with a larger max_length"
        )


def pack_sequences(rows: Mapping[Key, tuple[list[int], list[int]]], *, pad: int) -> Sequences:
    """Store prompts and completions, given as token ids, one after another."""
    lengths = [len(head) + len(tail) for head, tail in rows.values()]
    flat = [token for head, tail in rows.values() for part in (head, tail) for token in part]
    return Sequences(
        tokens=np.array(flat, np.int32),
        starts=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        prompt_lengths=np.array([len(head) for head, _ in rows.values()], np.int64),
        row_of={key: row for row, key in enumerate(rows)},
        pad=pad,
    )


def _read(
    prompts: Mapping[Key, str],
    *,
    guided: Collection[Key] = (),
    modality: Mapping[GenerationId, str],
    content: Callable[[GenerationId], bytes],
    backbone: Emu3Backbone,
    max_length: int,
) -> Sequences:
    _check(modality)
    codes = _codes(modality, content, backbone)
    requests = {
        key: visual_prompt(text, _grid(backbone, codes[key[1]]))
        if key[1] in codes
        else text_prompt(text)
        for key, text in prompts.items()
    }
    wanted = list(dict.fromkeys(requests.values()))
    heads = dict(zip(wanted, _tokenised(wanted, backbone), strict=True))
    tails = {g: written_ids(each, _grid(backbone, each), backbone.ids) for g, each in codes.items()}
    texts = [g for g, m in modality.items() if m == "text"]
    answers = _tokenised([text_completion(_utf8(g, content(g))) for g in texts], backbone)
    tails |= dict(zip(texts, answers, strict=True))
    rows = {
        key: _fitted(
            heads[requests[key]],
            tails[key[1]],
            key[1],
            modality[key[1]],
            max_length,
            whole=key in guided,
        )
        for key in prompts
    }
    return pack_sequences(rows, pad=backbone.ids.pad)


def _check(modality: Mapping[GenerationId, str]) -> None:
    odd = [g for g, m in modality.items() if m not in ("image", "text", "video")]
    if odd:
        raise FlywheelError(
            f"{len(odd)} generations are neither text, image nor video, first {odd[0]}; "
            "leave them out of the snapshot"
        )


def _grid(backbone: Emu3Backbone, codes: Codes) -> Grid:
    """Return the grid of what has these *codes*: a film's frames are its own."""
    return replace(backbone.grid, frames=len(codes) if codes.ndim == 3 else 1)


def _tokenised(texts: list[str], backbone: Emu3Backbone) -> list[list[int]]:
    if not texts:
        return []
    rows: list[list[int]] = backbone.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return rows


def _codes(
    modality: Mapping[GenerationId, str],
    content: Callable[[GenerationId], bytes],
    backbone: Emu3Backbone,
) -> dict[GenerationId, Codes]:
    """Return the codes of every picture, and of every film frame by frame."""
    pictures = [g for g, m in modality.items() if m == "image"]
    films = [g for g, m in modality.items() if m == "video"]
    frame_by_frame = backbone.of_frames(1)
    found: list[Codes] = []
    for start in range(0, len(pictures), _PART):
        part = [content(g) for g in pictures[start : start + _PART]]
        found += frame_by_frame.tokenise(stack_pngs(part))
    for start in range(0, len(films), _PART // 4):
        shown = [read_film(content(g)) for g in films[start : start + _PART // 4]]
        sizes = {film.shape[1:] for film in shown}
        if len(sizes) > 1:
            raise FlywheelError(
                f"films of {len(sizes)} sizes cannot be read together; keep them apart"
            )
        frames = np.stack(frame_by_frame.tokenise(np.concatenate(shown)))
        found += np.split(frames, np.cumsum([len(film) for film in shown])[:-1])
    return dict(zip([*pictures, *films], found, strict=True))


def _utf8(generation: GenerationId, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FlywheelError(
            f"generation {generation}: neither PNG, MP4 nor UTF-8 text; store it as one of them"
        ) from None


def _fitted(
    head: list[int],
    tail: list[int],
    generation: GenerationId,
    modality: str,
    max_length: int,
    *,
    whole: bool,
) -> tuple[list[int], list[int]]:
    """Cut a sequence to *max_length*: a prompt keeps its end, a text answer its beginning.

    A *whole* prompt is refused rather than cut: its beginning is the guidance of a skill.

    A text prompt keeps at most half, whatever answers it, so that both sides of a pair see the
    same prompt. A picture or film is never cut. The first token marks the beginning and stays.
    """
    room = max_length - len(tail) if modality != "text" else max_length // 2
    if room < 2:
        raise FlywheelError(
            f"generation {generation}: {modality} of {len(tail)} tokens does not fit "
            f"max_length {max_length}; raise max_length"
        )
    if len(head) > room and whole:
        raise FlywheelError(
            f"generation {generation}: its skill and prompt take {len(head)} tokens, but "
            f"max_length {max_length} leaves {room} for them; raise max_length"
        )
    if len(head) > room:
        head = head[:1] + head[1 - room :]
    return head, tail[: max_length - len(head)]
