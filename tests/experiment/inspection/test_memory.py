"""What an inspection shows of a memory, against the modules that it is of."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from rllib_recattn.experiment.inspection.memory import layer_label, trace_memory
from rllib_recattn.experiment.inspection.replay import Replay
from tests.experiment.inspection.episodes import acted, small_module

ACTIONS = gym.spaces.Discrete(3)


def test_gates_are_means_over_groups_of_the_features_of_each_head():
    module = small_module("agalite", ACTIONS, conv_size=0)
    recording = acted(module, 12)
    gates = {each.name: each for each in trace_memory(Replay(module, recording), "action").gates}
    assert list(gates) == ["γ", "β", "u"]
    assert gates["β"].heads == ("layer 1, head 1", "layer 1, head 2", "layer 2, head 1", "layer 2, head 2")
    assert gates["u"].heads == (
        *("layer 1, memory", "layer 1, feed-forward"),
        *("layer 2, memory", "layer 2, feed-forward"),
    )
    block = module.encoder.encoder.model.layers[0]
    seen = []
    hook = block.mixer_norm.register_forward_hook(lambda *call: seen.append(call[-1]))
    with torch.no_grad():
        module.forward_inference(recording.batch)
    hook.remove()
    features = block.mixer.features(seen[0])
    for name, values in (("γ", features.gamma), ("β", features.beta)):
        of_heads = gates[name].values[:2]
        np.testing.assert_allclose(of_heads.mean(1), values[0].mean(-1).T.numpy(force=True), rtol=1e-4)
        over_time = of_heads.mean(-1)
        assert (np.diff(over_time, axis=1) > 0).all()  # from what forgets least to what forgets most
    slowest = features.beta[0, :, 1, features.beta[0, :, 1].mean(0).argmin()]
    np.testing.assert_allclose(gates["β"].values[1, 0], slowest.numpy(force=True), rtol=1e-4)


def test_the_gates_of_the_value_are_the_critics():
    module = small_module("agalite", ACTIONS, vf_share_layers=False)
    replay = Replay(module, acted(module, 5))
    of_action, of_value = (trace_memory(replay, of).gates for of in ("action", "value"))
    for own, other in zip(of_action, of_value, strict=True):
        assert own.heads == other.heads
        assert not np.allclose(own.values, other.values)


def test_taps_are_those_of_each_layers_convolution():
    module = small_module("agalite", ACTIONS, conv_size=3, vf_share_layers=False)
    replay = Replay(module, acted(module, 5))
    for of, encoder in (("action", module.encoder.actor_encoder), ("value", module.encoder.critic_encoder)):
        taps = trace_memory(replay, of).taps
        assert list(taps) == ["layer 1", "layer 2"]
        for layer, each in zip(encoder.model.layers, taps.values(), strict=True):
            expected = layer.convolution.weight.abs().mean(1)
            np.testing.assert_allclose(each, expected.numpy(force=True), rtol=1e-6)
    without = small_module("agalite", ACTIONS, conv_size=0)
    assert trace_memory(Replay(without, acted(without, 5)), "action").taps == {}


@pytest.mark.parametrize("model", ["agalite", "gtrxl", "rate", "lstm", "stock"])
@pytest.mark.parametrize("vf_share_layers", [True, False])
def test_norms_of_the_state_add_up(model, vf_share_layers):
    module = small_module(model, ACTIONS, vf_share_layers=vf_share_layers)
    recording = acted(module, 7)
    norms = trace_memory(Replay(module, recording), "action").state_norms
    state = recording.states if vf_share_layers else recording.states["actor"]
    flat = torch.cat([part.flatten(1) for part in state.values()], dim=1).numpy()
    whole = np.sqrt(sum(part**2 for part in norms.values()))
    # Clocks and counters stand first in the state, in RATE's behind the memory.
    counters = {"agalite": [0], "gtrxl": [0], "rate": [4 * 8, 4 * 8 + 1]}
    flat = np.delete(flat, counters.get(model, []), axis=1)
    np.testing.assert_allclose(whole, np.linalg.norm(flat, axis=1), rtol=1e-4)
    assert all(layer for layer, _ in norms)


def test_attention_lies_within_the_window():
    module = small_module("gtrxl", ACTIONS)
    memory = trace_memory(Replay(module, acted(module, 9)), "action")
    assert list(memory.attention) == ["layer 1", "layer 2"]
    for probabilities in memory.attention.values():
        assert probabilities.shape == (9, 2, 5)
        np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
        assert not probabilities[2, :, 3:].any()


def test_layers_by_their_names():
    names = {
        "encoder.encoder.model.layers.0.mixer": "layer 1",
        "encoder.encoder.model.models.1.layers.2.mixer": "model 2, layer 3",
        "encoder.encoder.model.layers.1.feedforward_gate": "layer 2, feed-forward",
        "encoder.encoder.lstm.layers.0": "layer 1",
        "memory": "model",
    }
    assert {name: layer_label(name) for name in names} == names


def test_states_are_those_of_acting():
    module = small_module("agalite", ACTIONS)
    recording = acted(module, 6)
    with torch.no_grad():
        out = module.forward_inference(recording.batch)
    torch.testing.assert_close(out[Columns.STATE_OUT]["state"], recording.states["state"][-1:], rtol=1e-3, atol=1e-4)
