"""The tiny backbone: the real Emu3 architecture, small enough to train on one core."""

from typing import Final

from transformers import Emu3Config, PreTrainedTokenizerBase

CODEBOOK: Final = 256


def tiny_config(tokenizer: PreTrainedTokenizerBase, *, codebook_size: int = CODEBOOK) -> Emu3Config:
    """Return an Emu3 configuration of about 1.3M parameters for *tokenizer*'s vocabulary."""
    vocabulary = tokenizer.get_vocab()
    return Emu3Config(
        vocabulary_map=vocabulary,
        text_config={
            "vocab_size": len(vocabulary),
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "attention_dropout": 0.0,
            # Emu3's .02 at a width of 4096 gives signals of about this size at 128.
            "initializer_range": 0.1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vq_config={
            "codebook_size": codebook_size,
            "embed_dim": 8,
            "latent_channels": 8,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1],
            "num_res_blocks": 1,
            "attn_resolutions": [],
            "hidden_size": 32,
            "temporal_downsample_factor": 4,
        },
    )
