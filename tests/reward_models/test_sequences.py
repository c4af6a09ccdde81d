"""Generations become tokens once; prompts keep their end, answers their beginning."""

from dataclasses import replace

import numpy as np
import pytest
from toy_pictures import ToyBundle, pair, picture, red_beats_blue

from backbone.films import read_film, write_film
from backbone.pictures import stack_pngs
from backbone.tokens import visual_prompt
from data_contracts.errors import FlywheelError, ShapeError
from reward_models.sequences import read_answers, read_sequences

TEXTS = {"good": "yes", "bad": "no way"}
TALK = ToyBundle(train=[pair(0, chosen_id="good", rejected_id="bad")], texts=TEXTS)


def read(bundle, backbone, max_length=64):
    return read_sequences(bundle, backbone, splits=["train"], max_length=max_length)


def text_of(backbone, sequences, row):
    start, end = sequences.starts[row : row + 2]
    return backbone.tokenizer.decode(sequences.tokens[start:end])


def test_a_text_is_its_bytes_between_two_marks(backbone):
    """Prompt "a disc p0" is 9 bytes and a mark; "yes" is 3 bytes and a mark."""
    sequences = read(TALK, backbone)
    assert sequences.prompt_lengths.tolist() == [10, 10]
    assert sequences.lengths(np.array([0, 1])).tolist() == [14, 17]
    assert text_of(backbone, sequences, 0) == "<|extra_203|>a disc p0yes<|extra_204|>"


def test_a_picture_is_what_the_model_would_have_written(backbone):
    bundle = red_beats_blue(count=1)
    sequences = read(bundle, backbone)
    codes = backbone.tokenise(stack_pngs([bundle.content("red0")]))[0]
    written = visual_prompt("a disc p0", backbone.grid) + backbone.completion(codes)
    assert text_of(backbone, sequences, sequences.row_of["p0", "red0"]) == written


def test_a_film_is_its_frames_as_the_model_would_have_written_them(backbone):
    films = [stack_pngs([picture(colour, k) for k in range(n)]) for colour, n in
             (("red", 2), ("blue", 3), ("red", 2))]  # fmt: skip
    contents = [*(write_film(film) for film in films), picture("blue", 0), b"yes"]
    mixed = read_answers(["a disc p0"] * 5, contents, backbone, max_length=64)
    for row, film in enumerate(films):
        of_film = backbone.of_frames(len(film))
        [codes] = of_film.tokenise(read_film(contents[row])[None])
        written = visual_prompt("a disc p0", of_film.grid) + of_film.completion(codes)
        assert written.count("<|extra_201|>") == len(film)
        assert text_of(backbone, mixed, row) == written
    still = text_of(backbone, read(red_beats_blue(count=1), backbone), 1)
    assert text_of(backbone, mixed, 3) == still
    assert text_of(backbone, mixed, 4) == text_of(backbone, read(TALK, backbone), 0)


def test_a_long_prompt_keeps_its_end_and_a_long_answer_its_beginning(backbone):
    bundle = replace(TALK, texts={"good": "abcdefghijkl", "bad": "z"})
    sequences = read(bundle, backbone, max_length=12)
    assert text_of(backbone, sequences, 0) == "<|extra_203|>sc p0abcdef"
    assert text_of(backbone, sequences, 1) == "<|extra_203|>sc p0z<|extra_204|>"


def test_shared_generations_are_stored_once(backbone):
    once = {"prompt_id": "p0"}
    bundle = ToyBundle(train=[pair(0, **once), pair(0, **once, rejected_id="blue1")])
    assert len(read(bundle, backbone).prompt_lengths) == 3


def test_padding_is_on_the_right_and_marks_completions(backbone):
    sequences = read(TALK, backbone)
    ids, completion = sequences.padded(np.array([0, 1]))
    assert ids.shape == (2, 17)
    assert (ids[0, 14:] == backbone.ids.pad).all()
    assert completion.sum(1).tolist() == [4, 7]
    assert sequences.completion_lengths(np.array([0, 1])).tolist() == [4, 7]


def test_answers_without_a_bundle_read_the_same(backbone):
    bundle = red_beats_blue(count=1)
    mixed = read_answers(
        ["a disc p0", "a disc p0"], [b"yes", picture("red", 0)], backbone, max_length=64
    )
    assert text_of(backbone, mixed, 0) == text_of(backbone, read(TALK, backbone), 0)
    assert text_of(backbone, mixed, 1) == text_of(backbone, read(bundle, backbone), 0)


def test_refuses_what_cannot_be_read(backbone):
    with pytest.raises(FlywheelError, match="neither text, image nor video, first red0"):
        read(replace(red_beats_blue(), modalities={"red0": "sound"}), backbone)
    with pytest.raises(FlywheelError, match="not an MP4 film"):
        read(replace(red_beats_blue(), modalities={"red0": "video"}), backbone)
    with pytest.raises(FlywheelError, match="does not fit max_length 10"):
        read(red_beats_blue(), backbone, max_length=10)
    with pytest.raises(FlywheelError, match="neither PNG, MP4 nor UTF-8"):
        read_answers(["p"], [b"\xff\xfe"], backbone, max_length=64)
    with pytest.raises(ShapeError):
        read_answers(["p"], [], backbone, max_length=64)
    with pytest.raises(FlywheelError, match="generation red9 was not read"):
        read(red_beats_blue(count=2), backbone).rows([("p9", "red9")])
