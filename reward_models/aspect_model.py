"""A reward model that tells aspects apart: the policy's trunk, asked one question an aspect."""

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import Emu3Config, Emu3Model, initialization
from transformers.modeling_outputs import ModelOutput
from transformers.models.emu3.modeling_emu3 import Emu3PreTrainedModel

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import FlywheelError
from reward_models.ties import NARROWEST

_DOUBT: Final = -1.0  # log of the deviation that every score starts with
_DOUBT_RANGE: Final = (-4.0, 2.0)  # beyond it a deviation says no more
_LIKELIHOOD: Final = 1.0  # log-odds a deviation: what it is worth before anything was learned
_WIDTH: Final = 0.3  # log of Rao and Kupper's k that training starts with


@dataclass
class AspectOutput(ModelOutput):
    """What the model says of n answers in each of a aspects."""

    mean: torch.Tensor | None = None  # (n, a)
    log_sigma: torch.Tensor | None = None  # (n, a)
    likelihood: torch.Tensor | None = None  # (n,) mean log-probability of an answer's tokens


class Emu3AspectModel(Emu3PreTrainedModel):
    """Emu3 asked by one query token an aspect behind the answer.

    A query reads prompt and answer but no other query, so that what is said of one aspect does
    not depend on which others are asked. All queries stand at the same place, the one after the
    answer's last token.

    An aspect's mean adds up its query's state and what the trunk knows of the answer as it is:
    states of three depths, averaged over the answer's tokens, and how likely the language head
    holds the answer to be. Queries alone learn to gather these only from far more pairs than
    people answer.
    """

    config_class = Emu3Config
    _no_split_modules = ("Emu3DecoderLayer",)

    def __init__(self, config: Any) -> None:
        config.num_labels = 1  # of one aspect; TRL trains no other model
        super().__init__(config)
        text, aspects = config.text_config, len(config.aspects)
        known = len(_depths(text.num_hidden_layers)) * text.hidden_size + 1
        self.model = Emu3Model(config)
        self.lm_head = torch.nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.queries = torch.nn.Embedding(aspects, text.hidden_size)
        self.of_query = torch.nn.Linear(text.hidden_size, aspects, bias=False)
        self.of_known = torch.nn.Linear(known, aspects, bias=False)
        self.log_sigma = torch.nn.Linear(text.hidden_size, aspects, bias=False)
        self.log_width = torch.nn.Embedding(aspects, 1)
        # What is known comes in different units: brought to one before training, then fixed.
        self.standard = torch.nn.BatchNorm1d(known, affine=False, momentum=None)
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        # From zero every answer scores the same, whatever the random state was.
        if module in (self.of_query, self.log_sigma):
            initialization.zeros_(module.weight)
        elif module is self.of_known:
            initialization.zeros_(module.weight)
            initialization.constant_(module.weight[:, -1], _LIKELIHOOD)
        elif module is self.log_width:
            initialization.constant_(module.weight, math.log(_WIDTH))

    @property
    def heads(self) -> list[torch.nn.Parameter]:
        """Return the weights that no backbone has: they start from nothing."""
        modules = (self.queries, self.of_query, self.of_known, self.log_sigma, self.log_width)
        return [parameter for module in modules for parameter in module.parameters()]

    @property
    def widths(self) -> torch.Tensor:
        """Return (a,) the log of Rao and Kupper's k by aspect."""
        return self.log_width.weight[:, 0].exp() + NARROWEST

    def train(self, mode: bool = True) -> "Emu3AspectModel":
        """Train or not; the units of what is known stay as `measure_units` left them."""
        super().train(mode)
        self.standard.eval()
        return self

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        completion: torch.Tensor,
        **_: Any,
    ) -> AspectOutput:
        """Judge answers.

        Args:
            input_ids: (n, length) prompts and answers, padded on the right.
            attention_mask: (n, length) 0 where padded.
            completion: (n, length) true on the answer's tokens.
        """
        known, answers = self._read(input_ids, attention_mask, completion)
        mean = torch.einsum("nah,ah->na", answers, self.of_query.weight)
        doubt = torch.einsum("nah,ah->na", answers, self.log_sigma.weight)
        return AspectOutput(
            mean=(mean + self.of_known(self.standard(known))).float(),
            log_sigma=(doubt.float() + _DOUBT).clamp(*_DOUBT_RANGE),
            likelihood=known[:, -1].detach().float(),
        )

    @torch.inference_mode()
    def measure_units(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, completion: torch.Tensor
    ) -> None:
        """Bring what is known to the units of these answers; call it before training, once."""
        known, _ = self._read(input_ids, attention_mask, completion)
        self.standard.reset_running_stats()
        self.standard.train()
        self.standard(known.float())
        self.standard.eval()

    @torch.inference_mode()
    def read_tokens(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return (n, length, known) what the trunk knows of each token, the answer not averaged.

        States of three depths, then the token's own log-likelihood (0 of the first). Tokens look
        back alone, so that neither padding on the right nor a query changes any of it.
        """
        states = self.model.text_model(
            input_ids=input_ids, use_cache=False, output_hidden_states=True
        )
        known = [states.hidden_states[d] for d in _depths(len(states.hidden_states) - 1)]
        likelihood = self._chances(states.last_hidden_state, input_ids)[..., None]
        return torch.cat([*(each.float() for each in known), likelihood], -1)

    @torch.inference_mode()
    def token_chances(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return (n, length) the log-probability of each token after those before it; the first: 0.

        Padding lies on the right, where no real token looks.
        """
        states = self.model.text_model(input_ids=input_ids, use_cache=False)
        return self._chances(states.last_hidden_state, input_ids)

    def _chances(self, last: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
        logits = self.lm_head(last[:, :-1]).float()
        chance = logits.log_softmax(-1).gather(-1, input_ids[:, 1:, None])[..., 0]
        return torch.nn.functional.pad(chance, (1, 0))

    def _read(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, completion: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is known of (n, known) answers, and the (n, a, hidden) queries' states."""
        trunk, length = self.model.text_model, input_ids.shape[1]
        asked = self.queries.weight[None].expand(len(input_ids), -1, -1)
        states = trunk(
            inputs_embeds=torch.cat([trunk.embed_tokens(input_ids), asked], 1),
            attention_mask=_who_sees_whom(attention_mask, asked.shape[1], asked.dtype),
            position_ids=_places(attention_mask, asked.shape[1]),
            use_cache=False,
            output_hidden_states=True,
        )
        inside = completion.to(asked.dtype)
        count = inside.sum(1, keepdim=True).clamp(min=1)
        pooled = [
            (states.hidden_states[depth][:, :length] * inside[..., None]).sum(1) / count
            for depth in _depths(len(states.hidden_states) - 1)
        ]
        last = states.last_hidden_state
        # Position t speaks about token t + 1; a prompt's own likelihood says nothing of an answer.
        logits = self.lm_head(last[:, : length - 1]).float()
        chance = logits.log_softmax(-1).gather(-1, input_ids[:, 1:, None])[..., 0]
        # A mean, so that a long answer is not unlikely for its length.
        likelihood = (chance * inside[:, 1:]).sum(1, keepdim=True) / count
        return torch.cat([*pooled, likelihood.to(last.dtype)], -1), last[:, length:]


def aspect_model_from(backbone: Emu3Backbone, aspects: tuple[str, ...]) -> Emu3AspectModel:
    """Return a model that starts at *backbone*'s trunk; the backbone stays as it is.

    Raises:
        FlywheelError: no aspect, or one twice.
    """
    if not aspects or len(set(aspects)) != len(aspects):
        raise FlywheelError(f"aspects {', '.join(aspects) or '(none)'}: name each once")
    config = Emu3Config.from_dict(backbone.model.config.to_dict() | {"aspects": list(aspects)})
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the queries' first weights: the same for every run
        model = Emu3AspectModel(config)
    model.model.load_state_dict(backbone.model.model.state_dict())
    model.lm_head.load_state_dict(backbone.model.lm_head.state_dict())
    model.to(backbone.device).eval()
    return model


def _depths(layers: int) -> tuple[int, ...]:
    """Return the depths that are averaged: the embeddings, the middle, the end."""
    return tuple(sorted({0, layers // 2, layers}))


def _who_sees_whom(real: torch.Tensor, queries: int, dtype: torch.dtype) -> torch.Tensor:
    """Return (n, 1, length + queries, the same) what is added to attention: 0 where it may look."""
    rows, length = real.shape
    sees = torch.zeros(
        rows, length + queries, length + queries, dtype=torch.bool, device=real.device
    )
    # Tokens look back; padding lies on the right, where no real token looks.
    sees[:, :length, :length] = torch.ones_like(sees[0, :length, :length]).tril()
    sees[:, length:, :length] = real.bool()[:, None]
    sees[:, length:, length:] = torch.eye(queries, dtype=torch.bool, device=real.device)
    shut = torch.finfo(dtype).min
    return torch.zeros(sees.shape, dtype=dtype, device=real.device).masked_fill_(~sees, shut)[
        :, None
    ]


def _places(real: torch.Tensor, queries: int) -> torch.Tensor:
    """Return (n, length + queries) positions; all queries stand right behind the last token."""
    tokens = torch.arange(real.shape[1], device=real.device).expand(len(real), -1)
    return torch.cat([tokens, real.sum(1, keepdim=True).expand(-1, queries)], 1)
