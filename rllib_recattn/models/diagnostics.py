"""What goes on inside a model while it reads: how much it forgets, and what it attends to.

Models do not keep such things as they read. Those who want them listen to the modules that remember, which work them
out once more from what they were given; who does not want them pays nothing.

Shape suffixes: B rows of a batch, T steps, H heads, D features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import GRUGate
from rllib_recattn.models.parts.mixed_precision import without_autocast
from rllib_recattn.models.parts.short_convolution import ShortConvolution
from rllib_recattn.models.parts.stack import Mixer


@dataclass(frozen=True)
class Trace:
    """What was seen of a module during its last call.

    Attributes:
        gates: (a module's name, a gate's name) → the share of what is remembered that each step forgets [B, T, H, …].
            Layers of an LSTM or GRU count as modules of one head.
        attention: A module's name → the probabilities of each step and of those before it [B, T, H, P], the newest
            first.
    """

    gates: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    attention: dict[str, Tensor] = field(default_factory=dict)


@contextmanager
def tracing(module: nn.Module) -> Iterator[Trace]:
    """Trace what is called within a ``with`` block, over whole sequences: a lone step without gradients is not seen.

    Args:
        module: A model, or whatever contains models, or PyTorch's LSTM or GRU (`batch_first`).
    """
    trace = Trace()

    def note(name: str, each: nn.Module, inputs: tuple[Any, ...]) -> None:
        with torch.no_grad():
            if isinstance(each, Mixer):
                trace.gates.update({(name, gate): value for gate, value in each.gates(*inputs).items()})
                attention = each.attention(*inputs)
                if attention is not None:
                    trace.attention[name] = attention
            elif isinstance(each, nn.LSTM | nn.GRU):
                x, state = inputs
                for layer, forgotten in enumerate(recurrent_gates(each, x, state)):
                    gate = "1 − f" if isinstance(each, nn.LSTM) else "1 − z"
                    trace.gates[f"{name}.layers.{layer}", gate] = forgotten.unsqueeze(2)

    hooks = [
        each.register_forward_hook(lambda each, inputs, _, name=name: note(name, each, inputs))
        for name, each in module.named_modules()
        if isinstance(each, Mixer | nn.LSTM | nn.GRU)
    ]
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()


@without_autocast
def recurrent_gates(network: nn.LSTM | nn.GRU, x: Tensor, state: Any) -> list[Tensor]:
    """Work out how much an LSTM or a GRU forgets, which PyTorch's kernels do not tell.

    Args:
        network: The network; one direction, without projections, `batch_first`.
        x: Inputs [B, T, D_in].
        state: Its state before the first step: (h, c) or h, [n_layers, B, D] each.

    Returns:
        For each layer 1 − f or 1 − z [B, T, D].
    """
    is_lstm = isinstance(network, nn.LSTM)
    gates = []
    for layer, weights in enumerate(network.all_weights):
        w_input, w_state, *biases = weights
        b_input, b_state = biases or (None, None)
        h, *cell = (part[layer] for part in state) if is_lstm else (state[layer],)
        outputs, forgotten = [], []
        for x_t in x.unbind(1):
            gate_inputs = nn.functional.linear(x_t, w_input, b_input) + nn.functional.linear(h, w_state, b_state)
            # The second of i, f, g, o and the second of r, z, n, in PyTorch's order.
            forgotten.append(torch.sigmoid(-gate_inputs.chunk(4 if is_lstm else 3, dim=-1)[1]))
            if is_lstm:
                h, *cell = torch.lstm_cell(x_t, (h, *cell), *weights)
            else:
                h = torch.gru_cell(x_t, h, *weights)
            outputs.append(h)
        gates.append(torch.stack(forgotten, dim=1))
        x = torch.stack(outputs, dim=1)
    return gates


def gru_gate_updates(module: nn.Module) -> dict[str, Tensor]:
    """Return u of the GRU gates between blocks, as of the last call with gradients.

    Args:
        module: A model, or whatever contains models.

    Returns:
        A gate's name → the share of the block's output that comes from its sublayer [B, T, D], without gates that have
        not been called.
    """
    return {
        name: gate.last_update
        for name, gate in module.named_modules()
        if isinstance(gate, GRUGate) and gate.last_update is not None
    }


def convolution_taps(module: nn.Module) -> dict[str, Tensor]:
    """Return how much short convolutions read of each of their last steps.

    Args:
        module: A model, or whatever contains models.

    Returns:
        A convolution's name → the mean of |w_i| over its features, i = 0 … W − 1, that of the step itself first [W].
    """
    return {
        name: each.weight.detach().abs().mean(dim=-1)
        for name, each in module.named_modules()
        if isinstance(each, ShortConvolution)
    }
