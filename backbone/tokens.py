"""One vocabulary for text, pictures and films: bytes and words, structure tokens, visual tokens.

Text is byte-level, so that any real text works; words met often become one token, as in Emu3's
own tokenizer. Names of the structure tokens are Emu3's own, so that the real checkpoints'
tokenizers follow the same path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD: Final = "<|endoftext|>"
BOS: Final = "<|extra_203|>"
EOS: Final = "<|extra_204|>"
IMAGE_START: Final = "<|image start|>"
IMAGE_TOKEN: Final = "<|image token|>"
IMAGE_END: Final = "<|image end|>"
END_OF_LINE: Final = "<|extra_200|>"
END_OF_FRAME: Final = "<|extra_201|>"
PLACEHOLDER: Final = "<image>"
_STRUCTURE: Final = (
    PAD, BOS, EOS, IMAGE_START, IMAGE_TOKEN, IMAGE_END, END_OF_LINE, END_OF_FRAME, PLACEHOLDER,
)  # fmt: skip


def visual_token(code: int) -> str:
    """Return the name of codebook entry *code*, as in Emu3."""
    return f"<|visual token {code:06d}|>"


def build_tokenizer(
    codebook_size: int, texts: Sequence[str] = (), *, words: int = 256
) -> PreTrainedTokenizerFast:
    """Build a byte-level tokenizer with structure tokens and *codebook_size* visual tokens.

    Args:
        codebook_size: visual tokens.
        texts: where frequent words are learned from (byte-pair encoding); none: every byte is
            a token of its own.
        words: at most so many merges of bytes are learned.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=len(alphabet) + words, initial_alphabet=alphabet, show_progress=False
        ),
    )
    special = [*_STRUCTURE, *(visual_token(k) for k in range(codebook_size))]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The size of a picture in visual tokens, or of a film: one that has more than one frame."""

    height: int
    width: int
    frames: int = 1

    @property
    def frame_tokens(self) -> int:
        """Return how many tokens one frame takes, ends of lines included, without its own end."""
        return self.height * (self.width + 1)

    @property
    def tokens(self) -> int:
        """Return how many tokens stand before the end of the last frame."""
        return self.frames * (self.frame_tokens + 1) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the codes: (height, width), or (frames, height, width) of a film."""
        rows_and_columns = (self.height, self.width)
        return rows_and_columns if self.frames == 1 else (self.frames, *rows_and_columns)

    @property
    def meta(self) -> str:
        """Return the size as it is written into prompts; a film's begins with its frames."""
        return "*".join(str(size) for size in self.shape)


def visual_prompt(text: str, grid: Grid) -> str:
    """Return the text that asks for a picture or film of *text*, up to where its tokens begin.

    Names of structure tokens in *text* are taken apart, so that nobody can smuggle them in.
    """
    return f"{BOS}{plain(text)}{IMAGE_START}{grid.meta}{IMAGE_TOKEN}"


def text_prompt(text: str) -> str:
    """Return the text that asks for a text answer to *text*."""
    return f"{BOS}{plain(text)}"


def text_completion(text: str) -> str:
    """Return an answer as the model would write it, with its end."""
    return f"{plain(text)}{EOS}"


def plain(text: str) -> str:
    """Take the names of structure tokens in *text* apart; other text is left as it is."""
    return text.replace("<|", "< |").replace(PLACEHOLDER, "< image>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """Token ids that grammar and decoding need."""

    pad: int
    bos: int
    eos: int
    image_end: int
    end_of_line: int
    end_of_frame: int
    visual: tuple[int, ...]  # by codebook entry


def token_ids(tokenizer: PreTrainedTokenizerBase, codebook_size: int) -> Ids:
    """Look up the ids of the structure and visual tokens in any Emu3 tokenizer."""
    vocabulary = tokenizer.get_vocab()
    return Ids(
        pad=vocabulary[PAD],
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        image_end=vocabulary[IMAGE_END],
        end_of_line=vocabulary[END_OF_LINE],
        end_of_frame=vocabulary[END_OF_FRAME],
        visual=tuple(vocabulary[visual_token(k)] for k in range(codebook_size)),
    )
