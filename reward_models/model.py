"""A reward model: the policy's trunk with one number at its end."""

from typing import Any, Final

import torch
from transformers import Emu3Config, Emu3Model, initialization
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.emu3.modeling_emu3 import Emu3PreTrainedModel

from backbone.emu3 import Emu3Backbone

ARCHITECTURE: Final = "Emu3RewardModel"


class Emu3RewardModel(Emu3PreTrainedModel):
    """Emu3 without its language head: a score from the last state and the mean over all states.

    The last token sees everything but summarises little before training; the mean carries the
    trunk's state at every picture token.
    """

    config_class = Emu3Config
    _no_split_modules = ("Emu3DecoderLayer",)

    def __init__(self, config: Any) -> None:
        config.num_labels = 1
        super().__init__(config)
        self.model = Emu3Model(config)
        self.score = torch.nn.Linear(2 * config.text_config.hidden_size, 1, bias=False)
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        # From zero every answer scores the same, whatever the random state was.
        if module is self.score:
            initialization.zeros_(module.weight)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        """Score (n, length) tokens, padded on the right where *attention_mask* is 0."""
        # The trunk needs no mask: causal attention cannot see padding on the right.
        states = self.model(input_ids=input_ids, use_cache=False).last_hidden_state
        real = attention_mask.to(states.dtype)
        last = attention_mask.sum(1) - 1
        mean = (states * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        pooled = torch.cat([states[torch.arange(len(last)), last], mean], -1)
        return SequenceClassifierOutput(logits=self.score(pooled).float())


def reward_model_from(backbone: Emu3Backbone) -> Emu3RewardModel:
    """Return a reward model that starts at *backbone*'s trunk; the backbone stays as it is."""
    config = Emu3Config.from_dict(backbone.model.config.to_dict())
    model = Emu3RewardModel(config)
    model.model.load_state_dict(backbone.model.model.state_dict())
    model.to(backbone.device).eval()
    return model
