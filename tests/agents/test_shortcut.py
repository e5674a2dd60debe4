"""The way past PyTorch's calls of modules computes the same, and is left where somebody listens to one."""

from __future__ import annotations

import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from torch import nn

from rllib_recattn.agents.description import HeadSettings
from rllib_recattn.agents.shortcut import Shortcut
from tests.agents.small import agent_of

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU, "gelu": nn.GELU, "elu": nn.ELU}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_computes_what_the_modules_do_to_the_bit(activation):
    layers = nn.Sequential(nn.Linear(3, 5), ACTIVATIONS[activation](), nn.Linear(5, 2, bias=False))
    x = torch.randn(4, 3)
    shortcut = Shortcut.of(layers, layers, lambda x: pytest.fail("the modules were called"))
    assert torch.equal(shortcut(x), layers(x))


def test_it_is_left_where_modules_do_something_else():
    def hook(layers):
        layers[0].register_forward_hook(lambda module, given, y: y + 1)

    def replacement(layers):
        layers[1] = nn.Tanh()

    def parametrization(layers):
        nn.utils.parametrizations.weight_norm(layers[0])
        layers[0].parametrizations.weight.original0.data *= 2

    x = torch.randn(4, 3)
    for change in (hook, replacement, parametrization):
        layers = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
        shortcut = Shortcut.of(layers, layers, layers.__call__)
        before = shortcut(x)
        change(layers)
        assert torch.equal(shortcut(x), layers(x))
        assert not torch.equal(shortcut(x), before)


def test_it_follows_weights_that_are_replaced():
    layers = nn.Sequential(nn.Linear(3, 5))
    shortcut = Shortcut.of(layers, layers, lambda x: pytest.fail("the modules were called"))
    layers[0].weight = nn.Parameter(torch.zeros(5, 3))
    assert torch.equal(shortcut(torch.randn(2, 3)), layers[0].bias.expand(2, 5))


@pytest.mark.parametrize("space", [Box(-1, 1, (3,)), Box(0, 255, (3,), "uint8"), Discrete(4), Dict(a=Box(-1, 1, (3,)))])
@pytest.mark.parametrize("head", [{}, {"widths": [5], "activation": "tanh"}, {"widths": [5], "layer_norm": True}])
def test_an_agent_hears_whom_it_calls(space, head):
    agent = agent_of(space, head=HeadSettings(**head))
    space.seed(0)
    observation = space.sample()
    agent.act(observation)
    quick = agent.logits
    heard: list[nn.Module] = []
    for module in (agent.network.encoder.tokenizer.encoder.encoders[0], agent.network.policy.layers[-1]):
        module.register_forward_hook(lambda module, given, y: heard.append(module))
    agent.reset()
    agent.act(observation)
    assert len(heard) == 2
    assert agent.logits.tolist() == quick.tolist()
