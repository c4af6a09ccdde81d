import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.world.diversity import layout_distance
from pipelines.world.prompts import every_request
from pipelines.world.scenes import STANDING, Thing, draw_scene, paint

REQUESTS = every_request()


def squares(*columns: int, sky: str = "day", colour: str = "red", speckles: int = 0) -> np.ndarray:
    things = [Thing(colour=colour, shape="square", x=x, y=STANDING) for x in columns]
    rng = np.random.default_rng(0)
    return paint(things, sky=sky, speckles=speckles, holes=0, rng=rng)[None]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(squares(0), squares(0, sky="night"), 0.5, id="only the sky differs"),
        # 4 pixel columns of 12 are shared: (0 + 2/3) / 2.
        pytest.param(squares(0), squares(1), 1 / 3, id="half a square aside"),
        pytest.param(squares(0), squares(4, sky="night"), 1.0, id="nothing in common"),
        pytest.param(squares(0), squares(0, 4), 0.25, id="one square more"),
        pytest.param(squares(2), squares(2, colour="blue"), 0.0, id="colour is not free"),
        pytest.param(squares(2), squares(2, speckles=5), 0.0, id="dirt is no diversity"),
        pytest.param(squares(), squares(), 0.0, id="two empty pictures"),
    ],
)
def test_counts_the_sky_and_the_places(first, second, expected):
    assert layout_distance(first, second) == pytest.approx([expected])


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_is_a_distance(seed):
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(REQUESTS), size=12)
    drawn = np.stack([draw_scene(REQUESTS[i], care=0.3, rng=rng) for i in picks])
    a, b, c = drawn[:4], drawn[4:8], drawn[8:]
    there, back = layout_distance(a, b), layout_distance(b, a)
    np.testing.assert_array_equal(there, back)
    np.testing.assert_array_equal(layout_distance(a, a), 0.0)
    assert there.min() >= 0
    assert there.max() <= 1
    assert (layout_distance(a, c) <= there + layout_distance(b, c) + 1e-12).all()
