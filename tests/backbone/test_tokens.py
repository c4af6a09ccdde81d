from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from backbone.tokens import (
    BOS,
    EOS,
    IMAGE_START,
    IMAGE_TOKEN,
    PLACEHOLDER,
    Grid,
    build_tokenizer,
    plain,
    text_completion,
    token_ids,
    visual_prompt,
    visual_token,
)

TOKENIZER = build_tokenizer(16)
TEXTS = ["two red discs", "a red disc on a red square"]
WORDY = build_tokenizer(16, TEXTS)
SPECIAL = frozenset(TOKENIZER.added_tokens_decoder)
GRID = Grid(height=2, width=3)
# Pieces from which names of structure tokens can be put together.
PIECES = ["<|", "|>", "<", "|", "image", PLACEHOLDER, BOS, EOS, IMAGE_TOKEN, visual_token(3), " "]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    TOKENIZER.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def ids_of(tokenizer: object, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@given(text=st.text())
def test_any_text_comes_back_byte_for_byte(loaded, text):
    for tokenizer in (TOKENIZER, loaded, WORDY):
        ids = ids_of(tokenizer, text)
        assert tokenizer.decode(ids).encode() == text.encode()


@given(text=st.text(alphabet=st.characters(exclude_characters="<", codec="utf-8")))
def test_text_is_one_token_a_byte(loaded, text):
    assert len(ids_of(TOKENIZER, text)) == len(text.encode())
    assert ids_of(TOKENIZER, text) == ids_of(loaded, text)


def test_words_met_while_it_was_built_are_one_token_each():
    assert len(ids_of(WORDY, "two red discs on a red square")) == 7


def test_no_more_words_are_learned_than_asked_for():
    assert len(build_tokenizer(16, TEXTS, words=3).get_vocab()) == 256 + 3 + 9 + 16


@settings(max_examples=200)
@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=2)).map("".join))
def test_no_text_smuggles_in_a_structure_token(text):
    assert SPECIAL.isdisjoint(ids_of(TOKENIZER, plain(text)))
    assert frozenset(WORDY.added_tokens_decoder).isdisjoint(ids_of(WORDY, plain(text)))
    prompt = [i for i in ids_of(TOKENIZER, visual_prompt(text, GRID)) if i in SPECIAL]
    assert TOKENIZER.convert_ids_to_tokens(prompt) == [BOS, IMAGE_START, IMAGE_TOKEN]
    answer = [i for i in ids_of(TOKENIZER, text_completion(text)) if i in SPECIAL]
    assert TOKENIZER.convert_ids_to_tokens(answer) == [EOS]


@given(text=st.text())
def test_taking_names_apart_twice_is_taking_them_apart_once(text):
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("text", ["a < b | c > d", "|>", "<b>", "100 % <", "émoji 🙂"])
def test_text_without_names_of_tokens_is_left_as_it_is(text):
    assert plain(text) == text


def test_a_prompt_says_its_size_as_rows_by_columns():
    assert visual_prompt("a disc", GRID) == f"{BOS}a disc{IMAGE_START}2*3{IMAGE_TOKEN}"


def test_the_vocabulary_is_bytes_then_structure_then_pictures():
    """256 bytes + 9 structure tokens + 16 codebook entries."""
    assert len(TOKENIZER.get_vocab()) == 256 + 9 + 16
    ids = token_ids(TOKENIZER, 16)
    assert ids.visual == tuple(range(265, 281))
    assert len({ids.pad, ids.bos, ids.eos, ids.image_end, ids.end_of_line, ids.end_of_frame}) == 6
