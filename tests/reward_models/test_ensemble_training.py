"""One member is the model as before; several share a folder and are asked for a lower bound."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from toy_pictures import picture, red_beats_blue

from data_contracts.errors import FlywheelError
from pipelines.judging.result import aspect_result, save_aspects
from reward_models.aspect_scorer import load_scorer
from reward_models.aspect_trainer import train_aspects
from reward_models.config import AspectConfig
from reward_models.disagreement import disagreement_figures
from reward_models.ensemble import EnsembleCard, EnsembleScorer
from reward_models.ensemble_trainer import train_ensemble
from reward_models.watch import TrainingStopped, Watch

CONFIG = AspectConfig(
    max_steps=2, batch_size=2, learning_rate=1e-2, head_learning_rate=1e-1, device="cpu",
    resamples=100, save_every=1, members=2, lower_bound=2.0,
)  # fmt: skip
TOLD = ["a disc p1", "a disc p2"], [picture("red", 1), picture("blue", 2)]


def digests(folder):
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in folder.rglob("*")
        if f.is_file()
    }


@pytest.fixture(scope="module")
def two(backbone):
    return train_ensemble(red_beats_blue(), backbone=backbone, config=CONFIG)


def test_a_single_member_is_todays_model_to_the_byte(backbone, tmp_path):
    config = CONFIG.model_copy(update={"members": 1})
    alone = train_ensemble(red_beats_blue(), backbone=backbone, config=config)
    plain = train_aspects(red_beats_blue(), backbone=backbone, config=config)
    for name in ("alone", "plain"):
        (tmp_path / name).mkdir()
    save_aspects(alone, tmp_path / "alone")
    plain.scorer.save(tmp_path / "plain")
    assert digests(tmp_path / "alone") == digests(tmp_path / "plain")
    assert alone.members[0].report == plain.report
    assert "ensemble" not in aspect_result(alone)


def test_two_members_share_a_folder_and_give_their_lower_bound(two, tmp_path):
    save_aspects(two, tmp_path)
    loaded = load_scorer(tmp_path, device="cpu")
    assert isinstance(loaded, EnsembleScorer)
    said = np.array([member.scorer.score(*TOLD) for member in two.members])
    assert (said[0] != said[1]).any()
    np.testing.assert_allclose(loaded.score(*TOLD), said.mean(0) - 2.0 * said.std(0, ddof=1))
    told = aspect_result(two)["ensemble"]
    assert (told["members"], told["lower_bound"]) == (2, 2.0)
    assert told["aspects"]["overall"]["deviation"] > 0
    (tmp_path / "ensemble.json").write_text('{"members": 1}')
    with pytest.raises(FlywheelError, match="no readable ensemble"):
        EnsembleCard.read(tmp_path)


def test_steps_of_all_members_count_as_one_run(backbone):
    seen = []
    watch = Watch(progress=lambda done, total: seen.append((done, total)))
    train_ensemble(red_beats_blue(4, 2), backbone=backbone, config=CONFIG, watch=watch)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_stopped_in_the_second_member_it_goes_on_there(backbone, tmp_path, two):
    seen = []
    stopping = Watch(
        progress=lambda done, total: seen.append(done), stop=lambda: seen[-1] == 3, folder=tmp_path
    )
    with pytest.raises(TrainingStopped):
        train_ensemble(red_beats_blue(), backbone=backbone, config=CONFIG, watch=stopping)
    ends = []
    going = Watch(progress=lambda done, total: ends.append(done), folder=tmp_path)
    again = train_ensemble(red_beats_blue(), backbone=backbone, config=CONFIG, watch=going)
    # Resumed states are told once more; no step is trained twice.
    assert sorted(set(ends)) == [2, 3, 4]
    for one, other in zip(again.members, two.members, strict=True):
        assert one.scorer.score(*TOLD) == pytest.approx(other.scorer.score(*TOLD), abs=1e-5)


def test_disagreement_by_hand():
    """Two models, two pairs: both right on the first; the second they order differently.

    Scores 3, 0 | 1, 0 and 3, 0 | -3, 0: deviations 0, 0, 2.83, 0; means 3, 0, -1, 0.
    """
    scores = np.array([[3.0, 0, 1, 0], [3.0, 0, -3, 0]])
    found = disagreement_figures(
        scores, np.array([[0, 2, 0], [1, 3, 1]]), decided=np.array([True, True, False]),
        prompts=["a", "b", "c"], kappa=1.0, rng=np.random.default_rng(0), resamples=100,
    )  # fmt: skip
    assert found.deviation == pytest.approx(np.sqrt(8) / 4)
    assert found.pairs == 2
    assert found.disputed.mean == 0.5
    assert (found.mean_right.mean, found.bound_right.mean) == (0.5, 0.5)
    assert found.agreed_right.mean == 1.0


def test_ties_alone_tell_nothing():
    nothing = disagreement_figures(
        np.zeros((2, 2)), np.array([[0], [1]]), decided=np.array([False]), prompts=["a"],
        kappa=1.0, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert nothing is None


def test_the_bound_is_below_the_mean_where_members_differ(two):
    scorers = [member.scorer for member in two.members]
    mean, low = (EnsembleScorer(scorers, doubt=d).score(*TOLD) for d in (0.0, 2.0))
    assert (np.array(low) < np.array(mean)).all()


def test_critiques_that_any_member_learned_from_are_named(tmp_path):
    """Where there are too many, members draw theirs by lot, and the first may learn no map."""

    def member(*critiques):
        heat = SimpleNamespace(critiques=critiques) if critiques else None
        return SimpleNamespace(scorer=SimpleNamespace(save=lambda folder: None), heat=heat)

    members = (member(), member("c2", "c1"), member("c3", "c1"))
    save_aspects(SimpleNamespace(members=members, lower_bound=0.0), tmp_path)
    assert json.loads((tmp_path / "critiques_seen.json").read_text()) == ["c1", "c2", "c3"]
