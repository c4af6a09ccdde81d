"""Heat maps find what people pointed at, change nothing else, and are absent where nobody did."""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scipy.special import expit
from toy_pictures import COLOURS, ToyBundle, pair

from backbone.pictures import write_png
from data_contracts.errors import FlywheelError, ShapeError
from data_contracts.training import (
    AspectScorer,
    CritiqueBundle,
    HeatScorer,
    TokenMark,
    TrainingCritique,
)
from reward_models import heat_trainer
from reward_models.aspect_scorer import load_scorer
from reward_models.aspect_trainer import train_aspects
from reward_models.config import AspectConfig
from reward_models.critiques import map_shape, pointed_answers
from reward_models.heat import HeatHead, fit_heat
from reward_models.heat_report import heat_figures, hotter_share
from reward_models.sequences import read_sequences

CONFIG = AspectConfig(max_steps=2, batch_size=4, device="cpu", resamples=100, save_every=0)
SPOTS = 4  # quarters of a picture, a visual token each


def spotted(number):
    """Return a red picture with one blue quarter, *number* says which."""
    rng = np.random.default_rng(number)
    pixels = np.tile(np.array(COLOURS["red"]), (8, 8, 1))
    down, across = divmod(number % SPOTS, 2)
    pixels[4 * down : 4 * down + 4, 4 * across : 4 * across + 4] = COLOURS["blue"]
    return write_png((pixels + rng.integers(-3, 4, (8, 8, 3))).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True, kw_only=True)
class Pointing(ToyBundle):
    """Somebody pointed at the blue quarter of each spotted picture."""

    said: dict[str, list[TrainingCritique]] = field(default_factory=dict)

    def critiques(self, split):
        return self.said.get(split, [])

    def content(self, generation_id):
        if generation_id.startswith("spot"):
            return spotted(int(generation_id[4:]))
        return super().content(generation_id)


def spot_pair(number):
    return pair(number, rejected_id=f"spot{number}")


def critique(number, *, cells=None, aspect="aesthetics", name="c", **mark):
    cells = (number % SPOTS,) if cells is None else cells
    return TrainingCritique(
        critique_id=f"{name}{number}", prompt_id=f"p{number}", generation_id=f"spot{number}",
        aspect=aspect, marks=(TokenMark(cells=cells, grid=(2, 2), **mark),),
    )  # fmt: skip


def pointing(said=True):
    train, unseen = range(120), range(200, 224)
    return Pointing(
        train=[spot_pair(i) for i in train],
        validation=[spot_pair(i) for i in unseen],
        said={"train": [critique(i) for i in train], "validation": [critique(i) for i in unseen]}
        if said
        else {},
    )


@pytest.fixture(scope="module")
def trained(backbone):
    return train_aspects(pointing(), backbone=backbone, config=CONFIG)


def digests(folder):
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def test_unseen_pictures_are_hot_where_people_would_point(trained):
    assert trained.heat.head.aspects == ("aesthetics", "overall")
    assert trained.heat.answers == 120
    found = trained.heat.report["aesthetics"]
    assert found.answers == 24
    assert found.heat.low > 0.9
    # Each quarter was pointed at as often as any: the same map for all says nothing.
    assert found.mean_map.mean == pytest.approx(0.5)
    assert found.over_mean_map.low > 0.3
    maps = trained.scorer.heat_maps(["a disc p7"] * 24, [spotted(300 + i) for i in range(24)])
    assert {m.shape for m in maps["overall"]} == {(2, 2)}
    hottest = np.array([m.argmax() for m in maps["overall"]])
    assert (hottest == np.arange(24) % SPOTS).mean() > 0.7
    assert isinstance(trained.scorer, HeatScorer)


def test_without_critiques_every_byte_is_as_before_and_there_is_no_map(backbone, tmp_path, trained):
    """A bundle that knows no critiques, one without any, and one with: the scores do not differ."""
    plain = ToyBundle(
        train=[pair(i) for i in range(8)], validation=[pair(100 + i) for i in range(4)]
    )
    without = Pointing(train=plain.train, validation=plain.validation)
    assert not isinstance(plain, CritiqueBundle)
    for name, bundle in (("plain", plain), ("without", without), ("said", pointing())):
        run = train_aspects(bundle, backbone=backbone, config=CONFIG)
        (tmp_path / name).mkdir()
        run.scorer.save(tmp_path / name)
        assert (run.heat is None) == (name != "said")
    assert digests(tmp_path / "plain") == digests(tmp_path / "without")
    assert not any("heat" in name for name in digests(tmp_path / "plain"))
    silent = train_aspects(pointing(said=False), backbone=backbone, config=CONFIG)
    (tmp_path / "silent").mkdir()
    silent.scorer.save(tmp_path / "silent")
    heated = digests(tmp_path / "said")
    assert {n: d for n, d in heated.items() if "heat" not in n} == digests(tmp_path / "silent")
    with pytest.raises(FlywheelError, match="no heat maps"):
        silent.scorer.heat_maps([], [])
    assert silent.scorer.heat_aspects == ()


def test_maps_survive_a_folder_and_damage_is_refused(trained, tmp_path):
    trained.scorer.save(tmp_path)
    loaded = load_scorer(tmp_path, device="cpu")
    assert isinstance(loaded, AspectScorer)
    told = ["a disc p1", "hello"], [spotted(1), b"world"]
    before, after = trained.scorer.heat_maps(*told), loaded.heat_maps(*told)
    for one, other in zip(before["overall"], after["overall"], strict=True):
        np.testing.assert_array_equal(one, other)
    assert [m.shape for m in after["overall"]] == [(2, 2), (0, 2)]  # a text has no visual tokens
    (tmp_path / "heat.safetensors").write_bytes(b"not weights")
    with pytest.raises(FlywheelError, match="no readable heat head"):
        HeatHead.load(tmp_path)


def test_of_many_answers_and_tokens_some_are_drawn_by_lot(trained, monkeypatch):
    bundle, backbone, sizes = pointing(), trained.scorer.backbone, []
    sequences = read_sequences(bundle, backbone, splits=["train", "validation"], max_length=64)

    def counted(known, shares):
        sizes.append(known.shape)
        return fit_heat(known, shares)

    monkeypatch.setattr(heat_trainer, "fit_heat", counted)
    monkeypatch.setattr(heat_trainer, "_VALUES", 120 * 97)
    config = CONFIG.model_copy(update={"heat_answers": 60})
    found, everywhere = heat_trainer.learn_heat(bundle, backbone, sequences, config)
    assert everywhere == ()
    assert found.answers == len(found.critiques) == 60
    assert sizes[0][1] == 97  # three depths of 32, and the likelihood
    assert 90 < sizes[0][0] < 150  # of 240 tokens
    assert found.report["overall"].heat.mean > 0.7


ALL = tuple(range(SPOTS))


def test_an_aspect_that_people_pointed_everywhere_for_has_no_map_and_stops_nothing(backbone):
    """Physics is wrong everywhere in each picture, aesthetics in one quarter."""
    said = {
        split: [c for i in rows for c in (critique(i), critique(i, cells=ALL, name="e",
                                                                aspect="physical_plausibility"))]
        for split, rows in (("train", range(120)), ("validation", range(200, 224)))
    }  # fmt: skip
    run = train_aspects(replace(pointing(), said=said), backbone=backbone, config=CONFIG)
    assert run.everywhere == ("physical_plausibility",)
    assert run.heat.head.aspects == ("aesthetics", "overall")
    assert run.heat.report["aesthetics"].heat.low > 0.9
    assert "e1" in run.heat.critiques  # "overall" learned from it


def test_where_people_pointed_everywhere_whatever_for_there_is_no_map_at_all(backbone):
    said = {"train": [critique(i, cells=ALL) for i in range(120)]}
    run = train_aspects(replace(pointing(), said=said), backbone=backbone, config=CONFIG)
    assert run.heat is None
    assert run.everywhere == ("aesthetics", "overall")
    assert run.scorer.heat_aspects == ()


def test_of_several_people_a_token_has_the_share_that_pointed_there(backbone):
    said = [critique(1, cells=(0,), name="a"), critique(1, cells=(0, 3), name="b"),
            critique(1, cells=(2,), name="c", aspect="overall")]  # fmt: skip
    bundle = Pointing(train=[spot_pair(1)], said={"train": said})
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    [found] = pointed_answers(bundle, sequences, split="train", backbone=backbone)
    assert found.shares["aesthetics"].tolist() == [1.0, 0.0, 0.0, 0.5]
    np.testing.assert_allclose(found.shares["overall"], [2 / 3, 0, 1 / 3, 1 / 3])
    assert found.critiques == ("a1", "b1", "c1")


@pytest.mark.parametrize(
    "mark", [{"cells": (4,)}, {"cells": (-1,)}, {"frames": (0, 2)}, {"cells": (), "frames": (1, 1)}]
)
def test_a_mark_outside_its_generation_is_refused_by_id(mark, backbone):
    bundle = Pointing(train=[spot_pair(1)], said={"train": [critique(1, **mark)]})
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    with pytest.raises(FlywheelError, match="critique c1: its mark does not lie in the 4 visual"):
        pointed_answers(bundle, sequences, split="train", backbone=backbone)


def test_a_mark_of_another_grid_is_refused(backbone):
    wrong = replace(critique(1), marks=(TokenMark(cells=(0,), grid=(4, 1)),))
    bundle = Pointing(train=[spot_pair(1)], said={"train": [wrong]})
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    with pytest.raises(FlywheelError, match="critique c1"):
        pointed_answers(bundle, sequences, split="train", backbone=backbone)


def test_frames_of_a_film_are_marked_whole_and_cells_in_their_frames():
    from backbone.tokens import Grid
    from reward_models.critiques import _mask

    grid = Grid(height=1, width=2)
    whole = _mask(TokenMark(frames=(1, 3)), 8, grid, "c")
    assert whole.tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    both = _mask(TokenMark(cells=(1,), grid=(1, 2), frames=(0, 2)), 8, grid, "c")
    assert both.tolist() == [0, 1, 0, 1, 0, 0, 0, 0]
    assert map_shape(8, grid) == (4, 1, 2)
    assert map_shape(2, grid) == (1, 2)


def test_fit_finds_the_direction_that_people_point_by_and_keeps_their_rate():
    """One of five features decides; one token in twenty is pointed at; one feature never varies."""
    rng = np.random.default_rng(0)
    known = rng.normal(size=(40_000, 5)).astype(np.float32) * [1, 10, 1, 1, 0]
    chance = expit(1.5 * known[:, 0] - 3.6)
    share = (rng.random(len(known)) < chance).astype(float)
    unsaid = np.where(rng.random(len(known)) < 0.5, np.nan, share)
    head = fit_heat(known.astype(np.float32), {"overall": unsaid})
    said = head.chances(known.astype(np.float32))["overall"]
    assert head.card.converged["overall"]
    assert np.corrcoef(said, chance)[0, 1] > 0.97
    assert head.weight[0, 0] > 10 * np.abs(head.weight[0, 1:]).max()
    assert head.weight[0, 4] == 0
    assert said.mean() == pytest.approx(share.mean(), rel=0.3)


def test_fit_refuses_an_aspect_with_nothing_to_tell_apart():
    with pytest.raises(FlywheelError, match="in overall people pointed at everything"):
        fit_heat(np.ones((3, 2), np.float32), {"overall": np.ones(3)})


def test_hotter_share_by_hand_and_on_any_scale():
    """Pointed at .5 and 2 of heats 1, 2, 2: 1.5 of pointed against 1.5 of others.

    Pairs: (heat 2, sure) beats .5 of heat 1 and ties 1 x heat 2: .5 + .5 = 1;
    (heat 1, half) ties .5 of heat 1: .5 * .25 = .125; in all 1.125 of 1.5 * 1.5.
    """
    heat, share = np.array([1.0, 2.0, 2.0]), np.array([0.5, 1.0, 0.0])
    assert hotter_share(heat, share) == pytest.approx(1.125 / 2.25)
    assert hotter_share(np.exp(heat), share) == hotter_share(heat, share)
    assert hotter_share(-heat, share) == pytest.approx(1 - hotter_share(heat, share))
    with pytest.raises(ShapeError, match="some are pointed at and some are not"):
        hotter_share(heat, np.ones(3))


def test_answers_that_are_pointed_at_everywhere_are_left_out():
    def figures(shares):
        maps = [np.arange(3.0)] * len(shares)
        return heat_figures(maps, maps, maps, shares, rng=np.random.default_rng(0), resamples=100)

    assert figures([np.ones(3)]) is None
    found = figures([np.ones(3), np.array([0.0, 0.0, 1.0])])
    assert (found.answers, found.heat.mean, found.over_surprise.mean) == (1, 1.0, 0.0)
