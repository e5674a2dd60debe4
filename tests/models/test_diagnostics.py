"""What models tell about themselves, against what their states and outputs say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rllib_recattn.models.diagnostics import gru_gate_updates, tracing
from rllib_recattn.models.gtrxl import GTrXLSettings
from rllib_recattn.models.registry import model_names
from tests.models.conftest import INPUT_DIM, SMALL, small_model

BATCH, STEPS = 2, 9
# Which gate of a layer decides what of a part of its state is kept.
GATES = {
    "agalite": {"keys": "γ", "values": "β"},
    "galite": {"keys": "γ"},
    "gla": {"memory": "1 − α"},
    "hgrn2": {"memory": "1 − f"},
    "mamba2": {"memory": "1 − α"},
    "lstm": {"c": "1 − f"},
}


def inputs(generator):
    return torch.randn(BATCH, STEPS, INPUT_DIM, generator=generator, dtype=torch.float64)


def layers_of(trace):
    """The modules with gates, in the order of the layers."""
    return list(dict.fromkeys(module for module, _ in trace.gates))


@pytest.mark.parametrize("name", GATES)
def test_gates_are_what_the_state_loses_with_each_step(name, generator):
    model, x = small_model(name).double(), inputs(generator)
    state = model.initial_state(BATCH)
    with tracing(model) as trace:
        model(x, state)
    layers = layers_of(trace)
    assert len(layers) == SMALL["n_layers"]
    for t in range(STEPS):
        state = state.detach().requires_grad_()
        _, new_state = model(x[:, t : t + 1], state)
        for layer, module in enumerate(layers):
            for part, gate in GATES[name].items():
                part_name = f"layers.{layer}.{part}"
                # What a layer reads does not depend on its own state: all of this gradient is what it keeps.
                new_part = model.memories(new_state)[part_name]
                (grad,) = torch.autograd.grad(new_part.sum(), state, retain_graph=True)
                kept = model.memories(grad)[part_name]
                forgotten = trace.gates[module, gate][:, t]
                if name == "lstm":
                    forgotten = forgotten.squeeze(1)
                elif part == "memory":
                    forgotten = forgotten.unsqueeze(-1)
                elif name == "agalite":
                    forgotten = forgotten.unsqueeze(-2)
                torch.testing.assert_close(kept, (1 - forgotten).expand_as(kept), rtol=0, atol=1e-12)
        state = new_state


def test_a_gru_forgets_what_its_equation_says(generator):
    """h' = (1 − z) n + z h, from what PyTorch returns and an n worked out here."""
    network, x = nn.GRU(INPUT_DIM, 6, 2, batch_first=True).double(), inputs(generator)
    h0 = torch.randn(2, BATCH, 6, generator=generator, dtype=torch.float64)
    with tracing(network) as trace, torch.no_grad():
        network(x, h0)
    below = x
    for layer in range(2):
        single = nn.GRU(below.shape[-1], 6, batch_first=True).double()
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        single.load_state_dict({f"{name}_l0": getattr(network, f"{name}_l{layer}") for name in names})
        with torch.no_grad():
            outputs, _ = single(below, h0[layer : layer + 1])
            before = torch.cat([h0[layer].unsqueeze(1), outputs[:, :-1]], dim=1)
            from_input = (below @ single.weight_ih_l0.T + single.bias_ih_l0).chunk(3, dim=-1)
            from_state = (before @ single.weight_hh_l0.T + single.bias_hh_l0).chunk(3, dim=-1)
            reset = torch.sigmoid(from_input[0] + from_state[0])
            candidate = torch.tanh(from_input[2] + reset * from_state[2])
        forgotten = trace.gates[f".layers.{layer}", "1 − z"].squeeze(2)
        torch.testing.assert_close(forgotten * candidate + (1 - forgotten) * before, outputs, rtol=0, atol=1e-12)
        below = outputs


@pytest.mark.parametrize("memory_length", [4, 70])
def test_attention_is_what_the_heads_read(memory_length, generator):
    n_steps = 80  # more than a block of steps on the CPU
    torch.manual_seed(0)
    model = GTrXLSettings(d_model=12, n_layers=2, n_heads=2, d_head=4, memory_length=memory_length).build(5).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(BATCH, n_steps, 5, generator=generator, dtype=torch.float64)
    is_first = torch.zeros(BATCH, n_steps, dtype=torch.bool)
    is_first[:, 0], is_first[0, 30] = True, True
    seen = []
    hook = model.layers[1].mixer.register_forward_hook(lambda _, given, out: seen.append((given[0], out[0])))
    with tracing(model) as trace:
        model(x, model.initial_state(BATCH), is_first)
    hook.remove()
    probabilities = trace.attention["layers.1.mixer"]
    assert probabilities.shape == (BATCH, n_steps, 2, memory_length + 1)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones_like(probabilities[..., 0]))

    ages = torch.arange(memory_length + 1)
    step_in_episode = torch.arange(n_steps).repeat(BATCH, 1)
    step_in_episode[0, 30:] -= 30
    beyond = ages > step_in_episode[..., None, None]
    assert not probabilities.masked_select(beyond).any()
    assert (probabilities.masked_select(~beyond) > 0).all()

    ((h, output),) = seen
    mixer = model.layers[1].mixer
    values = (h @ mixer.project.weight.chunk(3)[2].T).unflatten(-1, (2, 4))
    for t in (0, 1, 29, 30, 63, 64, 79):
        span = min(t, memory_length) + 1
        past = values[:, t - span + 1 : t + 1].flip(1)
        read = torch.einsum("bha,bahd->bhd", probabilities[:, t, :, :span], past)
        torch.testing.assert_close(mixer.output(read.flatten(1)), output[:, t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(model_names()) - {"hybrid"}))
def test_every_layer_tells_its_gates_or_its_attention(name, generator):
    model, x = small_model(name).double(), inputs(generator)
    with tracing(model) as trace:
        model(x, model.initial_state(BATCH))
    kinds = {"gtrxl": (0, 2), "rate": (0, 0), "memoryless": (0, 0), "frame_stack": (0, 0)}
    assert (len(layers_of(trace)), len(trace.attention)) == kinds.get(name, (2, 0))
    for forgotten in trace.gates.values():
        assert forgotten.shape[:2] == (BATCH, STEPS)
        assert forgotten.min() >= 0
        assert forgotten.max() <= 1


def test_a_hybrid_tells_of_all_its_models(generator):
    model = small_model("hybrid").double()
    with tracing(model) as trace:
        model(inputs(generator), model.initial_state(BATCH))
    assert list(trace.gates) == [
        ("models.0.network.layers.0", "1 − z"),
        ("models.1.layers.0.mixer", "γ"),
        ("models.1.layers.0.mixer", "β"),
    ]
    memories = model.memories(model.initial_state(BATCH))
    assert list(memories) == [
        "models.0.layers.0.h",
        *(f"models.1.layers.0.{part}" for part in ("keys", "values", "recent")),
    ]


def test_nothing_is_left_behind(model):
    with tracing(model):
        pass
    assert not any(each._forward_hooks for each in model.modules())


def test_memories_are_all_of_the_state_but_counters(model, generator):
    state = torch.randn(BATCH, model.state_size, generator=generator, dtype=torch.float64)
    memories = model.memories(state)
    parts = [part.flatten(1) for part in memories.values()]
    found = torch.cat([state[:, :0], *parts], dim=1).sort().values
    counters = model.state_size - found.shape[1]
    assert 0 <= counters <= 2
    # Each number of a memory is one of the state's, and none is there twice.
    assert (found.diff() > 0).all()
    assert all(set(row.tolist()) <= set(of_state.tolist()) for row, of_state in zip(found, state, strict=True))


def test_updates_of_gru_gates_by_name(generator):
    model = small_model("agalite").double()
    assert gru_gate_updates(model) == {}
    model(inputs(generator), model.initial_state(BATCH))
    updates = gru_gate_updates(model)
    assert list(updates) == [f"layers.{n}.{gate}" for n in range(2) for gate in ("mixer_gate", "feedforward_gate")]
    assert all(update.shape == (BATCH, STEPS, SMALL["d_model"]) for update in updates.values())
