"""The backbone on `Emu3ForConditionalGeneration`, tiny or real: same architecture, same code."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import (
    AutoTokenizer,
    Emu3ForConditionalGeneration,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
)

from backbone.grammar import VisualGrammar, read_grid
from backbone.picture_codec import PictureCodec
from backbone.protocol import Codes, Pixels
from backbone.tokens import (
    END_OF_FRAME,
    END_OF_LINE,
    EOS,
    IMAGE_END,
    Grid,
    text_prompt,
    token_ids,
    visual_prompt,
    visual_token,
)
from data_contracts.errors import FlywheelError, ShapeError

STUDIO_GRID: Final = Grid(height=8, width=8)
FILM_GRID: Final = Grid(frames=4, height=8, width=8)
Progress = Callable[[int], None]


def best_device() -> str:
    """Return "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


class Emu3Backbone:
    """A loaded Emu3 with its tokenizer; implements `backbone.protocol.Backbone`."""

    def __init__(
        self,
        model: Emu3ForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        *,
        grid: Grid = STUDIO_GRID,
        batch_size: int = 128,
    ) -> None:
        self.model = model.eval()
        self.codec = PictureCodec(model).eval()
        self.tokenizer = tokenizer
        self.grid = grid
        self.batch_size = batch_size
        self.ids = token_ids(tokenizer, model.config.vq_config.codebook_size)

    @classmethod
    def load(
        cls, folder: Path, *, grid: Grid = STUDIO_GRID, device: str | None = None
    ) -> "Emu3Backbone":
        """Load a checkpoint folder of the real architecture; safetensors only, no network.

        Raises:
            FlywheelError: *folder* is not such a checkpoint.
        """
        _require_emu3(folder)
        try:
            model, report = Emu3ForConditionalGeneration.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            backbone = cls(model, tokenizer, grid=grid)
        # Whatever a broken file makes transformers stumble over; not memory or interrupts.
        except (
            OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError,
            SafetensorError,
        ) as error:  # fmt: skip
            raise FlywheelError(
                f"{folder.name}: cannot be loaded as an Emu3 checkpoint "
                f"({type(error).__name__}); check that it is complete"
            ) from error
        # A missing weight would come up uninitialised and train silently to nonsense.
        if report["missing_keys"]:
            raise FlywheelError(
                f"{folder.name}: {len(report['missing_keys'])} weights are missing; "
                "the checkpoint is of another architecture or incomplete"
            )
        model.to(device or best_device())
        return backbone

    def of_frames(self, frames: int) -> "Emu3Backbone":
        """Return the same model, drawing films of so many frames; of one: pictures."""
        grid = replace(self.grid, frames=frames)
        return Emu3Backbone(self.model, self.tokenizer, grid=grid, batch_size=self.batch_size)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return next(self.model.parameters()).device

    def save(self, folder: Path) -> None:
        """Write safetensors, configuration and tokenizer into *folder*."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)

    # Pictures and films <-> codes -------------------------------------------------------

    @torch.inference_mode()
    def tokenise(self, pictures: Pixels) -> list[Codes]:
        """Turn n pictures or films into n code arrays of the grid's shape.

        Args:
            pictures: (n, height, width, 3); of a grid with frames (n, frames, height, width, 3).

        Raises:
            ShapeError: the size does not fit the grid.
        """
        size = self._size
        if pictures.shape[1:] != (*self.grid.shape[:-2], *size):
            raise ShapeError(
                f"media of shape {pictures.shape[1:]} do not fit the grid; "
                f"it takes {(*self.grid.shape[:-2], *size)}"
            )
        frames = pictures.reshape(-1, *size)
        codes = [np.empty((0, self.grid.height, self.grid.width), np.int64)]
        for start in range(0, len(frames), self.batch_size):
            # A flipped or cut view is as good as a copy to numpy, but not to torch.
            part = np.ascontiguousarray(frames[start : start + self.batch_size])
            raw = torch.from_numpy(part).to(self.device).permute(0, 3, 1, 2)
            codes.append(self.codec.codes(raw.float() / 127.5 - 1.0).cpu().numpy())
        return list(np.concatenate(codes).reshape(-1, *self.grid.shape))

    @torch.inference_mode()
    def decode(self, codes: Sequence[Codes]) -> Pixels:
        """Turn n code arrays into (n, height, width, 3) RGB, or films with frames in between."""
        frames = np.array(codes, np.int64).reshape(-1, self.grid.height, self.grid.width)
        parts = [np.empty((0, *self._size), np.uint8)]
        for start in range(0, len(frames), self.batch_size):
            batch = torch.from_numpy(frames[start : start + self.batch_size])
            values = self.codec.pictures(batch.to(self.device))
            rgb = ((values.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            parts.append(rgb.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts).reshape(-1, *self.grid.shape[:-2], *self._size)

    @property
    def _size(self) -> tuple[int, int, int]:
        """Return the shape of one picture or frame in pixels."""
        factor = self.model.model.vqmodel.spatial_scale_factor
        return self.grid.height * factor, self.grid.width * factor, 3

    def completion(self, codes: Codes) -> str:
        """Write a picture or film as the text that the model would have generated."""
        frames = codes.reshape(-1, *codes.shape[-2:])
        written = "".join(
            "".join("".join(visual_token(int(c)) for c in row) + END_OF_LINE for row in frame)
            + END_OF_FRAME
            for frame in frames
        )
        return written + IMAGE_END + EOS

    # Sequences --------------------------------------------------------------------------

    @torch.inference_mode()
    def sequence_logprobs(
        self, prompts: Sequence[str], completions: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """Return (n,) sums of log-probabilities of completion tokens, in nats.

        Raises:
            ShapeError: *prompts* and *completions* disagree on n.
        """
        if len(prompts) != len(completions):
            raise ShapeError(f"{len(prompts)} prompts but {len(completions)} completions")
        sums: list[npt.NDArray[np.float64]] = [np.empty(0)]
        for start in range(0, len(prompts), self.batch_size):
            part = slice(start, start + self.batch_size)
            sums.append(self._logprobs(prompts[part], completions[part]))
        return np.concatenate(sums)

    def _logprobs(
        self, prompts: Sequence[str], completions: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        heads = self.tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
        tails = self.tokenizer(list(completions), add_special_tokens=False)["input_ids"]
        length = max(len(h) + len(t) for h, t in zip(heads, tails, strict=True))
        ids = torch.full((len(heads), length), self.ids.pad)
        mask = torch.zeros_like(ids)
        scored = torch.zeros_like(ids, dtype=torch.bool)
        for i, (head, tail) in enumerate(zip(heads, tails, strict=True)):
            row = torch.tensor(head + tail)
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
            scored[i, len(head) : len(row)] = True
        logits = self.model(
            input_ids=ids.to(self.device), attention_mask=mask.to(self.device), use_cache=False
        ).logits[:, :-1]
        chosen = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None].to(self.device))
        return (chosen[..., 0].cpu() * scored[:, 1:]).sum(-1).double().numpy()

    def generate(
        self,
        texts: Sequence[str],
        *,
        seed: int,
        grammar: bool,
        temperature: float = 1.0,
        progress: Progress | None = None,
    ) -> list[Codes | None]:
        """Sample one picture or film a text; None where an unconstrained sample is malformed.

        The same texts, seed and batch size give the same media.
        """
        pictures: list[Codes | None] = []
        for start in range(0, len(texts), self.batch_size):
            prompts = [visual_prompt(t, self.grid) for t in texts[start : start + self.batch_size]]
            extra = self._grammar if grammar else None
            rows = self._sample(
                prompts, batch_seed(seed, start), self.grid.tokens + 3, temperature, extra
            )
            pictures += [read_grid(row, self.grid, self.ids) for row in rows]
            if progress is not None:
                progress(len(prompts))
        return pictures

    def write(self, texts: Sequence[str], *, seed: int, max_tokens: int) -> list[str]:
        """Sample one text answer a text, of at most *max_tokens* tokens."""
        answers: list[str] = []
        for start in range(0, len(texts), self.batch_size):
            prompts = [text_prompt(t) for t in texts[start : start + self.batch_size]]
            rows = self._sample(prompts, batch_seed(seed, start), max_tokens, 1.0, None)
            answers += self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        return answers

    def _grammar(self, prompt_length: int) -> LogitsProcessorList:
        rule = VisualGrammar(
            prompt_length=prompt_length,
            grid=self.grid,
            ids=self.ids,
            vocabulary=self.model.config.text_config.vocab_size,
        )
        return LogitsProcessorList([rule])

    @torch.inference_mode()
    def _sample(
        self,
        prompts: Sequence[str],
        seed: int,
        max_tokens: int,
        temperature: float,
        extra: Callable[[int], LogitsProcessorList] | None,
    ) -> list[list[int]]:
        batch = self.tokenizer(
            list(prompts),
            add_special_tokens=False,
            return_tensors="pt",
            padding=True,
            padding_side="left",
        )
        length = batch["input_ids"].shape[1]
        options: dict[str, Any] = {"logits_processor": extra(length)} if extra else {}
        with seeded(seed):
            out = self.model.generate(
                input_ids=batch["input_ids"].to(self.device),
                attention_mask=batch["attention_mask"].to(self.device),
                do_sample=True,
                temperature=temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=max_tokens,
                pad_token_id=self.ids.pad,
                eos_token_id=self.ids.eos,
                **options,
            )
        return [row.tolist() for row in out[:, length:].cpu()]


def _require_emu3(folder: Path) -> None:
    file = folder / "config.json"
    if not file.is_file():
        raise FlywheelError(
            f"{folder.name}: not a checkpoint folder (no config.json); "
            "give a folder saved by save_pretrained"
        )
    try:
        config = json.loads(file.read_text("utf-8"))
    except ValueError:
        config = None
    kind = config.get("model_type") if isinstance(config, dict) else None
    # transformers would build an Emu3 from any configuration, with a warning only.
    if kind != "emu3":
        raise FlywheelError(
            f"{folder.name}: config.json does not describe an Emu3 checkpoint; "
            "give a folder saved by save_pretrained"
        )


def batch_seed(seed: int, start: int) -> int:
    """Return the seed of the batch at *start*: no two batches of any two calls share a stream."""
    return int(np.random.SeedSequence([seed, start]).generate_state(1)[0])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block and leave the caller's random state untouched."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
