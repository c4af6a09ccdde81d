import pytest
import torch
from transformers import Emu3ForConditionalGeneration

from backbone.architecture import tiny_config
from backbone.emu3 import Emu3Backbone
from backbone.tokens import Grid, build_tokenizer


@pytest.fixture(scope="session")
def backbone() -> Emu3Backbone:
    """Untrained, and not square: a square grid hides swapped axes."""
    torch.set_num_threads(1)
    tokenizer = build_tokenizer(32)
    config = tiny_config(tokenizer, codebook_size=32)
    text = config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 32, 64, 2
    text.head_dim = 8
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Emu3ForConditionalGeneration(config)
        # Random codebooks are tiny: every picture would get one and the same token.
        model.model.vqmodel.quantize.embedding.weight.data.normal_()
    return Emu3Backbone(model, tokenizer, grid=Grid(height=2, width=3))
