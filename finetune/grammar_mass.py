"""How much chance a policy leaves outside the grammar, where a picture or film is being drawn.

Preference losses move chance away from what was rejected, and some of it lands on tokens that
never stand inside a picture: each wrong one breaks a whole sample that is drawn without a
grammar. The chance of a token of the right kind can be told at every place from one forward pass,
and its logarithm be kept up while training (a semantic loss: Xu et al. 2018, arXiv 1711.11157).
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch.utils.checkpoint import checkpoint

_TILE: Final = 2048  # places whose scores over all visual tokens are in memory at once


class GrammarMass:
    """Listens to a causal model's hidden states, so that nothing has to be computed twice."""

    def __init__(self, model: Any, visual: Sequence[int]) -> None:
        """Listen to *model*; *visual* are the ids of the tokens that pictures are made of."""
        self._model = model
        self._visual = torch.tensor(visual)
        self._hidden: torch.Tensor | None = None
        self._handle = model.base_model.register_forward_hook(self._heard)

    def close(self) -> None:
        """Stop listening."""
        self._handle.remove()
        self._hidden = None

    def lost(self, labels: torch.Tensor, log_probs: torch.Tensor) -> torch.Tensor:
        """Return (n,) minus the log chance that no visual token would have been of another kind.

        Args:
            labels: (n, length) of the pass just made; -100 where nothing is scored.
            log_probs: (n, length - 1) of each label after the first, from the same pass.
        """
        hidden, self._hidden = self._hidden, None
        assert hidden is not None, "no pass was made"
        head = self._model.get_output_embeddings().weight
        after = labels[:, 1:]
        visual = self._visual.to(after.device)
        place = torch.isin(after, visual)
        states, tokens = hidden[:, :-1][place], after[place]
        if not len(tokens):
            return log_probs.sum(1) * 0.0
        # The label's own score less its log-probability is the log-sum over the whole vocabulary.
        whole = (states * head[tokens]).sum(-1).float() - log_probs[place]
        inside = torch.cat(
            [
                checkpoint(_log_sum, part, head[visual], use_reentrant=False)
                for part in states.split(_TILE)
            ]
        )
        lost = torch.zeros_like(log_probs).masked_scatter(place, whole - inside)
        return lost.sum(1)

    def _heard(self, _module: Any, _inputs: Any, output: Any) -> None:
        self._hidden = output.last_hidden_state


def _log_sum(states: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    return (states @ head.T).float().logsumexp(-1)
