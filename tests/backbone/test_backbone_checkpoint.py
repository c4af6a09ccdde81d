import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Emu3ForConditionalGeneration, LlamaConfig, LlamaForCausalLM

from backbone.architecture import tiny_config
from backbone.emu3 import Emu3Backbone
from backbone.tokens import Grid, build_tokenizer, visual_prompt
from data_contracts.errors import FlywheelError

GRID = Grid(height=2, width=3)
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(backbone: Emu3Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "policy"
    backbone.save(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to be broken."""
    return Path(shutil.copytree(saved, tmp_path / "policy"))


def logprobs(backbone: Emu3Backbone) -> np.ndarray:
    rng = np.random.default_rng(0)
    top = backbone.model.config.vq_config.codebook_size
    completions = [backbone.completion(rng.integers(0, top, (2, 3))) for _ in range(3)]
    prompts = [visual_prompt(t, GRID) for t in ("a red disc", "späße 🙂", "")]
    return backbone.sequence_logprobs(prompts, completions)


def refusal_of(folder: Path) -> str:
    """The one sentence that a person sees."""
    with pytest.raises(FlywheelError) as refusal:
        Emu3Backbone.load(folder, grid=GRID, device="cpu")
    text = str(refusal.value)
    assert text.startswith(f"{folder.name}: ")
    assert "\n" not in text
    assert len(text) < 200
    return text


def test_a_loaded_model_says_what_the_saved_one_said(backbone, saved):
    loaded = Emu3Backbone.load(saved, grid=GRID, device="cpu")
    np.testing.assert_array_equal(logprobs(loaded), logprobs(backbone))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), dtype=np.uint8)
    codes = backbone.tokenise(pictures)
    np.testing.assert_array_equal(loaded.tokenise(pictures), codes)
    np.testing.assert_array_equal(loaded.decode(codes), backbone.decode(codes))
    assert not loaded.model.training


def test_saving_twice_gives_the_same_weights(saved, tmp_path):
    Emu3Backbone.load(saved, device="cpu").save(tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == (saved / WEIGHTS).read_bytes()


def test_nothing_is_pickled(saved):
    assert {p.suffix for p in saved.iterdir()} == {".json", ".safetensors"}


def test_loading_needs_no_randomness(saved):
    before = torch.get_rng_state()
    Emu3Backbone.load(saved, device="cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_another_size_of_the_architecture_loads_the_same_way(tmp_path):
    """64 codes, one layer, other widths, twice the scale: only the architecture is the same."""
    tokenizer = build_tokenizer(64)
    config = tiny_config(tokenizer, codebook_size=64)
    text, vq = config.text_config, config.vq_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 48, 80, 1
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = 6, 3, 8
    vq.channel_multiplier, vq.embed_dim, vq.latent_channels = [1, 2, 2, 1], 6, 6
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = Emu3ForConditionalGeneration(config)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = Emu3Backbone.load(tmp_path, grid=GRID, device="cpu")
    expected = logprobs(Emu3Backbone(model, tokenizer, grid=GRID))
    np.testing.assert_array_equal(logprobs(loaded), expected)
    drawn = loaded.generate(["a red disc"], seed=0, grammar=True)
    assert loaded.decode(drawn).shape == (1, 16, 24, 3)


def test_refuses_a_folder_that_is_not_there(tmp_path):
    assert "not a checkpoint folder" in refusal_of(tmp_path / "nowhere")


def test_refuses_a_folder_without_its_configuration(folder):
    (folder / "config.json").unlink()
    assert "not a checkpoint folder" in refusal_of(folder)


def test_refuses_a_file(tmp_path):
    (tmp_path / "policy").write_text("weights")
    assert "not a checkpoint folder" in refusal_of(tmp_path / "policy")


@pytest.mark.parametrize("text", ["", "{", "[]", '"emu3"', "{}", '{"model_type": "emu3"}'])
def test_refuses_a_configuration_that_says_too_little(folder, text):
    (folder / "config.json").write_text(text)
    refusal_of(folder)


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_refuses_a_folder_without_one_of_its_files(folder, name):
    (folder / name).unlink()
    refusal_of(folder)


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_refuses_a_folder_with_a_file_cut_short(folder, name, share):
    file = folder / name
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert "Traceback" not in refusal_of(folder)


@pytest.mark.parametrize(
    "part", ["text_model.lm_head", "vqmodel.quantize", "text_model.model.norm"]
)
def test_refuses_a_folder_in_which_a_weight_is_missing(folder, part):
    weights = load_file(folder / WEIGHTS)
    gone = [name for name in weights if name.startswith(part)]
    assert len(gone) == 1
    kept = {name: w for name, w in weights.items() if name not in gone}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})
    assert "1 weights are missing" in refusal_of(folder)


def test_refuses_weights_of_another_size(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] *= 2
    (folder / "config.json").write_text(json.dumps(config))
    refusal_of(folder)


def test_refuses_another_architecture(folder):
    small = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    LlamaForCausalLM(small).save_pretrained(folder)
    assert "Emu3" in refusal_of(folder)


def test_refuses_a_tokenizer_of_another_codebook(folder):
    build_tokenizer(8).save_pretrained(folder)
    refusal_of(folder)


def test_refuses_weights_that_are_pickled(folder):
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    refusal_of(folder)
