import torch
from hypothesis import given
from hypothesis import strategies as st

from backbone.grammar import VisualGrammar, allowed_tokens, read_grid, written_ids
from backbone.tokens import Grid, Ids

GRID = Grid(height=2, width=3)
IDS = Ids(
    pad=0, bos=1, eos=2, image_end=3, end_of_line=4, end_of_frame=5, visual=(9, 8, 7, 6, 10)
)  # not in order of the codebook: a token's id is not its code
VOCABULARY = 12
codes = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=2, max_size=2)


def spell(rows: list[list[int]]) -> list[int]:
    body = [t for row in rows for t in [*(IDS.visual[c] for c in row), IDS.end_of_line]]
    return [*body, IDS.end_of_frame, IDS.image_end, IDS.eos]


def test_a_grid_is_spelled_row_by_row():
    """Two rows of three tokens, each with its end, then end of frame, of image, of sequence."""
    assert spell([[0, 1, 2], [3, 4, 0]]) == [9, 8, 7, 4, 6, 10, 9, 4, 5, 3, 2]
    found = read_grid([9, 8, 7, 4, 6, 10, 9, 4, 5, 3, 2], GRID, IDS)
    assert found is not None
    assert found.tolist() == [[0, 1, 2], [3, 4, 0]]


@given(rows=codes)
def test_every_grid_is_allowed_and_read_back(rows):
    tokens = spell(rows)
    assert all(t in allowed_tokens(k, GRID, IDS) for k, t in enumerate(tokens))
    found = read_grid(tokens, GRID, IDS)
    assert found is not None
    assert found.tolist() == rows
    assert written_ids(found, GRID, IDS) == tokens


@given(data=st.data())
def test_whatever_the_grammar_allows_is_a_grid(data):
    tokens = [data.draw(st.sampled_from(allowed_tokens(k, GRID, IDS))) for k in range(11)]
    assert read_grid(tokens, GRID, IDS) is not None
    assert tokens[-1] == IDS.eos
    assert allowed_tokens(11, GRID, IDS) == (IDS.pad,)


@given(rows=codes, data=st.data())
def test_one_token_out_of_place_is_no_picture(rows, data):
    tokens = spell(rows)
    place = data.draw(st.integers(0, GRID.tokens + 1))
    wrong = set(range(VOCABULARY)) - set(allowed_tokens(place, GRID, IDS))
    tokens[place] = data.draw(st.sampled_from(sorted(wrong)))
    assert read_grid(tokens, GRID, IDS) is None


@given(rows=codes, cut=st.integers(0, GRID.tokens + 1))
def test_a_cut_off_picture_is_no_picture(rows, cut):
    assert read_grid(spell(rows)[:cut], GRID, IDS) is None


@given(rows=codes, place=st.integers(0, GRID.tokens))
def test_a_token_too_many_or_too_few_is_no_picture(rows, place):
    tokens = spell(rows)
    assert read_grid(tokens[:place] + tokens[place + 1 :], GRID, IDS) is None
    assert read_grid([*tokens[:place], IDS.pad, *tokens[place:]], GRID, IDS) is None


@given(step=st.integers(0, 14))
def test_masking_keeps_the_allowed_scores_and_no_other(step):
    rule = VisualGrammar(prompt_length=5, grid=GRID, ids=IDS, vocabulary=VOCABULARY)
    scores = torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(step))
    masked = rule(torch.zeros(2, 5 + step, dtype=torch.long), scores)
    allowed = sorted(allowed_tokens(step, GRID, IDS))
    assert torch.equal(masked[:, allowed], scores[:, allowed])
    assert masked.isfinite().sum() == 2 * len(allowed)


FILM = Grid(frames=3, height=2, width=3)
frames = st.lists(codes, min_size=3, max_size=3)


def spell_film(shown: list[list[list[int]]]) -> list[int]:
    """Each frame as a picture's body with its end; image end and end of text once."""
    return [t for rows in shown for t in spell(rows)[:-2]] + [IDS.image_end, IDS.eos]


@given(shown=frames)
def test_every_film_is_allowed_and_read_back(shown):
    tokens = spell_film(shown)
    assert len(tokens) == FILM.tokens + 3 == 3 * 9 + 2
    assert all(t in allowed_tokens(k, FILM, IDS) for k, t in enumerate(tokens))
    found = read_grid(tokens, FILM, IDS)
    assert found is not None
    assert found.tolist() == shown
    assert written_ids(found, FILM, IDS) == tokens


@given(shown=frames, data=st.data())
def test_one_token_out_of_place_is_no_film(shown, data):
    tokens = spell_film(shown)
    place = data.draw(st.integers(0, FILM.tokens + 2))
    wrong = set(range(VOCABULARY)) - set(allowed_tokens(place, FILM, IDS))
    tokens[place] = data.draw(st.sampled_from(sorted(wrong)))
    assert read_grid(tokens, FILM, IDS) is None


@given(shown=frames)
def test_a_picture_is_no_film_and_a_film_no_picture(shown):
    assert read_grid(spell(shown[0]), FILM, IDS) is None
    assert read_grid(spell_film(shown), GRID, IDS) is None
