"""What every room may ask of a backbone, whichever architecture stands behind it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from backbone.tokens import Grid

Codes = npt.NDArray[np.int64]  # (height, width) codebook entries, or (frames, height, width)
Pixels = npt.NDArray[np.uint8]  # (n, height, width, 3), or (n, frames, height, width, 3)


class Backbone(Protocol):
    """One transformer for text, pictures and films: tokenise, score, generate, decode.

    It draws what its grid says: pictures, or films where the grid has more than one frame.
    """

    @property
    def grid(self) -> Grid: ...

    def tokenise(self, pictures: Pixels) -> list[Codes]:
        """Turn n pictures, or n films, into codebook entries."""
        ...

    def completion(self, codes: Codes) -> str:
        """Write a picture or film as the text that the model would have generated."""
        ...

    def sequence_logprobs(
        self, prompts: Sequence[str], completions: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """Return (n,) log-probabilities of each completion after its prompt, in nats."""
        ...

    def generate(
        self,
        texts: Sequence[str],
        *,
        seed: int,
        grammar: bool,
        temperature: float = 1.0,
        progress: Callable[[int], None] | None = None,
    ) -> list[Codes | None]:
        """Sample one picture or film a text; None where an unconstrained sample is malformed."""
        ...

    def write(self, texts: Sequence[str], *, seed: int, max_tokens: int) -> list[str]:
        """Sample one text answer a text."""
        ...

    def decode(self, codes: Sequence[Codes]) -> Pixels:
        """Turn codebook entries into pictures or films."""
        ...

    def save(self, folder: Path) -> None:
        """Write safetensors, configuration and tokenizer into *folder*."""
        ...
