"""The transformer block that the stacked models share.

Source: GTrXL (arXiv 1910.06764, section 3), as AGaLiTe uses it (arXiv 2310.15719).
"""

from __future__ import annotations

import math
from abc import ABC
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.base import ModelSettings
from rllib_recattn.models.kernels.behind_mixer import NativeBehindMixer
from rllib_recattn.models.kernels.gate import gate
from rllib_recattn.models.kernels.library import serve_products
from rllib_recattn.models.kernels.modules import Modules
from rllib_recattn.models.parts.linear import Linear

Residual = Literal["gated", "sum"]


class BlockSettings(ModelSettings, ABC):
    """What models of several blocks have to be told; the defaults are AGaLiTe's size for 3D pixel worlds."""

    d_model: int = Field(128, gt=0, description="width of the model and of its output")
    n_layers: int = Field(4, gt=0, description="number of blocks")
    d_ff: int | None = Field(None, gt=0, description="hidden units of the feed-forward part; None: d_model")
    residual: Residual = Field(
        "gated",
        description='how a block joins its input: "gated", through a GRU cell; "sum", by addition',
    )
    gate_bias: float = Field(2.0, description="bias of the GRU gates at the start; larger is closer to the identity")

    @property
    def output_dim(self) -> int:
        """D, the width of the model."""
        return self.d_model


def orthogonal_linear(in_features: int, *out_features: int, bias: bool = True) -> nn.Linear:
    """Return one Linear that holds several projections of the same input, each initialised for itself.

    One large matrix product is cheaper than several small ones. Every block of `out_features` rows is orthogonal with
    gain √2; biases are zero.
    """
    linear = Linear(in_features, sum(out_features), bias=bias)
    for block in linear.weight.split(out_features):
        nn.init.orthogonal_(block, gain=math.sqrt(2))
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


class GRUGate(nn.Module):
    """A GRU cell as the gate between the skip path x and a sublayer's output y.

    With r = σ(W_r y + U_r x), u = σ(W_z y + U_z x − b) and c = tanh(W_g y + U_g (r ⊙ x)), the output is
    (1 − u) ⊙ x + u ⊙ c. Source: GTrXL (arXiv 1910.06764, section 3.2).

    Args:
        d_model: Features of x and y.
        bias: b at the start; the larger, the closer the block starts to the identity.

    Attributes:
        last_update: u of the last call with gradients [..., D], for those who want to know how open the gate is.
    """

    _left_out: Modules | None = None  # of gates that were pickled as a whole by a version that had none

    def __init__(self, d_model: int, bias: float):
        super().__init__()
        self.last_update: Tensor | None = None
        self.from_sublayer = orthogonal_linear(d_model, d_model, d_model, d_model, bias=False)  # W_r, W_z, W_g
        self.from_skip = orthogonal_linear(d_model, d_model, d_model, bias=False)  # U_r, U_z
        self.from_reset_skip = orthogonal_linear(d_model, d_model, bias=False)  # U_g
        self.bias = nn.Parameter(torch.full((d_model,), bias))
        self._left_out = Modules(self)

    def forward(self, skip: Tensor, sublayer: Tensor) -> Tensor:
        """Gate `sublayer` (y) into `skip` (x), both [..., D]."""
        if self._is_served(skip, sublayer):
            from_sublayer, from_skip, from_reset_skip = self.from_sublayer, self.from_skip, self.from_reset_skip
            weights = from_sublayer.weight, from_skip.weight, from_reset_skip.weight
            output, update = gate(skip, sublayer, self.bias, *weights)
            self.note(update)
            return output
        y_r, y_z, y_g = self.from_sublayer(sublayer).chunk(3, dim=-1)
        x_r, x_z = self.from_skip(skip).chunk(2, dim=-1)
        reset = torch.sigmoid(y_r + x_r)
        update = torch.sigmoid(y_z + x_z - self.bias)
        self.note(update)
        candidate = torch.tanh(y_g + self.from_reset_skip(reset * skip))
        return torch.lerp(skip, candidate, update)

    def _is_served(self, skip: Tensor, sublayer: Tensor) -> bool:
        served = serve_products(math.prod(skip.shape[:-1]), skip, sublayer, self.bias)
        return served and self._left_out is not None and self._left_out.may_be_left_out()

    def note(self, update: Tensor) -> None:
        """Keep u of a call [..., D] for those who want to know, if it has gradients."""
        if torch.is_grad_enabled():
            self.last_update = update.detach()


class Block(nn.Module):
    """A pre-norm transformer block around a mixer.

    Gated: y = gate₁(x, relu(mixer(LayerNorm x))),  z = gate₂(y, relu(W₂ relu(W₁ LayerNorm y))).
    Sum:   y = x + mixer(LayerNorm x),              z = y + W₂ relu(W₁ LayerNorm y).

    Args:
        mixer: What mixes the steps of a sequence; called with [B, T, D] and whatever `forward` is given besides,
            returns [B, T, D] and its new state.
        d_model: D.
        d_ff: Hidden units of the feed-forward part; None for a block without one, whose output is y.
        residual: "gated" or "sum".
        gate_bias: b of the gates at the start.
    """

    def __init__(self, mixer: nn.Module, d_model: int, d_ff: int | None, residual: Residual, gate_bias: float):
        super().__init__()
        gated = residual == "gated"
        self.mixer: Any = mixer
        self.mixer_norm = nn.LayerNorm(d_model, eps=1e-6)
        self.mixer_gate = GRUGate(d_model, gate_bias) if gated else None
        self.feedforward = None
        if d_ff is not None:
            self.feedforward = feedforward_part(d_model, d_ff)
            self.feedforward_gate = GRUGate(d_model, gate_bias) if gated else None
            if self.mixer_gate is not None and self.feedforward_gate is not None:
                self._native = NativeBehindMixer(self.mixer_gate, self.feedforward, self.feedforward_gate)

    _native: NativeBehindMixer | None = None

    @property
    def state_parts(self) -> dict[str, tuple[int, ...]]:
        """The shape of each part of its mixer's state, without the batch dimension; by name."""
        return self.mixer.state_parts

    def forward(self, x: Tensor, *mixer_inputs: Any) -> tuple[Tensor, Any]:
        """Return the block's output [B, T, D] and the mixer's new state."""
        mixed, state = self.mixer(self.mixer_norm(x), *mixer_inputs)
        return self.behind_mixer(x, mixed), state

    def step(self, x: Tensor, *mixer_inputs: Any) -> Tensor:
        """Return the block's output [B, 1, D] for a step whose new state the mixer writes where it is wanted."""
        return self.behind_mixer(x, self.mixer.step(self.mixer_norm(x), *mixer_inputs))

    def behind_mixer(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Return the block's output for its input x and the mixer's output, both [B, T, D]."""
        native, n_rows = self._native, math.prod(x.shape[:-1])
        if (
            native is not None
            and serve_products(n_rows, x, mixed, self.mixer_norm.bias)
            and native.serves(self.mixer_gate, self.feedforward, self.feedforward_gate)
        ):
            return native(x, mixed)
        y = join(self.mixer_gate, x, mixed)
        return y if self.feedforward is None else join(self.feedforward_gate, y, self.feedforward(y))


def feedforward_part(d_model: int, d_ff: int) -> nn.Sequential:
    """Return the feed-forward part of a block, W₂ relu(W₁ LayerNorm y)."""
    return nn.Sequential(
        nn.LayerNorm(d_model, eps=1e-6),
        orthogonal_linear(d_model, d_ff),
        nn.ReLU(),
        orthogonal_linear(d_ff, d_model),
    )


def join(gate: GRUGate | None, skip: Tensor, sublayer: Tensor) -> Tensor:
    """Join a sublayer's output to its skip path: gate(skip, relu(sublayer)), or their sum where there is no gate."""
    return skip + sublayer if gate is None else gate(skip, torch.relu(sublayer))
