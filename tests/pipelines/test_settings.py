"""Settings: read once, refused in one sentence, named by their content."""

import subprocess
import sys
from pathlib import Path

import pytest

from data_contracts.errors import FlywheelError
from pipelines.demo import ALL_ARMS, DemoOptions, demo_settings
from pipelines.settings import WheelSettings, read_resolved, read_settings, write_resolved


def written(folder: Path, text: str) -> Path:
    file = folder / "wheel.toml"
    file.write_text(text)
    return file


def test_what_is_left_out_keeps_its_default(tmp_path):
    told = read_settings(written(tmp_path, "[dpo]\nbeta = 0.2\n"))
    assert told.dpo.beta == 0.2
    assert told.studio == WheelSettings().studio


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[dpo]\nbeta = -1\n", "dpo.beta"),
        ("[dpo]\nbetta = 1\n", "dpo.betta"),
        ("mockery = 0.5\n", "mockery"),
        ("[studio]\nmockery = 2\n", "studio.mockery"),
        ("[dpo\n", "not valid TOML"),
        ("[gate]\nmin_prompts = 9\n", r"gate\.min_prompts is 9"),
        ("[gate]\nmin_human_prompts = 9\n", r"gate\.min_human_prompts is 9"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_field(tmp_path, text, word):
    with pytest.raises(FlywheelError, match=word) as raised:
        read_settings(written(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_only_simulated_evidence_may_be_judged_on_a_few_prompts(tmp_path):
    few = written(tmp_path, "[gate]\nmin_prompts = 2\nmin_human_prompts = 2\n")
    assert read_settings(few, evidence="simulated").gate.min_prompts == 2
    assert demo_settings(DemoOptions(settings=few)).evidence == "simulated"
    few.write_text('evidence = "simulated"\n' + few.read_text())
    assert read_settings(few).gate.min_human_prompts == 2
    assert WheelSettings().gate.min_prompts == 10


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(FlywheelError, match=r"absent\.toml"):
        read_settings(tmp_path / "absent.toml")


def test_resolved_settings_read_back_the_same(tmp_path):
    settings = demo_settings(DemoOptions(nano=True, mockery=0.25))
    write_resolved(settings, tmp_path)
    assert read_resolved(tmp_path) == settings
    assert read_resolved(tmp_path).digest == settings.digest


def test_a_folder_without_a_wheel_is_one_sentence(tmp_path):
    with pytest.raises(FlywheelError, match="no wheel"):
        read_resolved(tmp_path)


def test_the_digest_moves_with_every_setting():
    settings = WheelSettings()
    changed = settings.model_copy(update={"dpo": settings.dpo.model_copy(update={"beta": 0.11})})
    assert changed.digest != settings.digest


def test_reading_settings_does_not_load_torch():
    said = "import sys, pipelines.settings; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_arms_differ_from_ours_only_in_what_they_are_about(tmp_path):
    from pipelines.demo import _arms

    options = DemoOptions(nano=True, all_arms=True, root=tmp_path)
    settings = demo_settings(options)
    arms = {arm.name: read_resolved(arm.root) for arm in _arms(options, settings)}
    assert set(arms) == set(ALL_ARMS)
    for name, told in arms.items():
        plain = told.model_copy(
            update={"name": "ours", "method": "dpo", "pairs": arms["ours"].pairs}
        )
        assert plain == arms["ours"], name


def test_films_are_asked_for_with_settings_of_ones_own_too(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text("[studio]\nprompts = 16\n")
    for told in (None, own):
        assert demo_settings(DemoOptions(films=True, settings=told)).studio.modality == "video"
        assert demo_settings(DemoOptions(settings=told)).studio.modality == "image"
    assert demo_settings(DemoOptions(films=True, settings=own)).studio.prompts == 16
