"""A token's size in bytes, for single bytes and for whatever was merged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from annotation.results import text_mask
from backbone.byte_sizes import byte_sizes
from backbone.tokens import build_tokenizer, plain
from data_contracts.errors import ShapeError

LINES = ["two red discs left of a blue square", "ein größerer roter Kreis", "💡 red discs 💡"] * 20


def merged():
    """A byte-level BPE that has learned words, some of which end inside a character."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(LINES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


SINGLE, MERGED = build_tokenizer(4), merged()


@pytest.mark.parametrize("tokenizer", [SINGLE, MERGED], ids=["bytes", "merged"])
@given(text=st.text(max_size=60))
def test_sizes_add_up_to_the_text_and_cut_it_where_tokens_do(tokenizer, text):
    text = plain(text)
    ids, sizes = byte_sizes(tokenizer, text)
    assert len(ids) == len(sizes)
    assert sum(sizes) == len(text.encode())


@pytest.mark.parametrize("tokenizer", [SINGLE, MERGED], ids=["bytes", "merged"])
def test_a_marked_word_is_its_tokens_and_no_others(tokenizer):
    """What the masked tokens hold is the word, and at most the space that was merged with it."""
    text = "💡 red discs 💡"
    ids, sizes = byte_sizes(tokenizer, text)
    mask = text_mask(text, [text.index("discs"), text.index("discs") + 5], sizes)
    held = tokenizer.decode([each for each, here in zip(ids, mask, strict=True) if here])
    assert held.strip() == "discs"
    assert (len(ids) == len(text.encode())) == (tokenizer is SINGLE)


def test_other_tokenizers_are_refused():
    words = Tokenizer(models.WordLevel({"red": 0, "[UNK]": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ShapeError, match="byte-level"):
        byte_sizes(PreTrainedTokenizerFast(tokenizer_object=words), "red blue")
    with pytest.raises(ShapeError, match="structure tokens"):
        byte_sizes(SINGLE, "<|image token|>")
