"""Tuple and Dict actions of modules with a time dimension: RLlib's crash, and ours do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tree
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.fixes.action_distribution import over_time
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, RandomEnv, random_env_config

NESTED = ["Dict", "Tuple"]


def stock_config(action):
    return (
        PPOConfig()
        .environment(
            RandomEnv, env_config={"observation_space": OBSERVATIONS["vector"], "action_space": ACTIONS[action]}
        )
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2)
        .rl_module(model_config={"use_lstm": True, "max_seq_len": 5, "vf_share_layers": True, "lstm_cell_size": 8})
        .debugging(log_level="ERROR")
    )


def sampled(config, explore):
    runner = SingleAgentEnvRunner(config=config)
    try:
        return runner.sample(num_timesteps=20, explore=explore)
    finally:
        runner.stop()


@pytest.mark.parametrize("explore", [True, False])
@pytest.mark.parametrize("action", NESTED)
def test_rllibs_crash(action, explore):
    with pytest.raises((ValueError, RuntimeError), match=r"cannot select an axis to squeeze|size of tensor"):
        sampled(stock_config(action), explore)


@pytest.mark.parametrize("explore", [True, False])
@pytest.mark.parametrize("action", ACTIONS)
def test_ours_act(action, explore):
    space = ACTIONS[action]
    for episode in sampled(random_env_config(OBSERVATIONS["vector"], space), explore):
        logp = episode.get_extra_model_outputs(Columns.ACTION_LOGP)
        assert np.isfinite(logp).all()
        if action in NESTED:
            assert logp.shape == (len(episode),)
            assert explore == bool(logp.all())  # the most likely action is taken for certain: log 1


LEAVES = [Discrete(3), MultiDiscrete([2, 3]), Box(-1, 1, (2,), np.float32), Box(-1, 1, (1,), np.float32)]
SPACES = {
    "Tuple": Tuple(LEAVES),
    "Dict": Dict({"z": LEAVES[0], "a": Dict({"c": LEAVES[1], "b": LEAVES[2]}), "m": LEAVES[3]}),
}


def stock_distribution(space):
    return PPOCatalog._get_dist_cls_from_action_space(space, framework="torch")


@pytest.mark.parametrize("shape", [(3, 1), (1, 4), (3, 4), (1, 1)])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_log_probabilities_over_time_are_those_of_single_steps(space, shape):
    torch.manual_seed(0)
    stock = stock_distribution(space)
    logits = torch.randn(*shape, stock.required_input_dim(space))
    ours = over_time(stock).from_logits(logits)
    actions = ours.sample()
    # RLlib's own are right without a time dimension.
    expected = stock.from_logits(logits.flatten(0, 1)).logp(tree.map_structure(lambda x: x.flatten(0, 1), actions))
    torch.testing.assert_close(ours.logp(actions), expected.unflatten(0, shape))
    torch.testing.assert_close(ours.entropy(), stock.from_logits(logits.flatten(0, 1)).entropy().unflatten(0, shape))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_gradients_and_divergences_have_the_shape_of_steps(space):
    distribution = over_time(stock_distribution(space))
    size = distribution.required_input_dim(space)
    logits = torch.randn(2, 3, size, requires_grad=True)
    ours, other = distribution.from_logits(logits), distribution.from_logits(torch.randn(2, 3, size))
    assert ours.kl(other).shape == (2, 3)
    ours.logp(other.sample()).sum().backward()
    assert (logits.grad != 0).all()


def test_the_most_likely_action_is_taken():
    space = SPACES["Tuple"]
    distribution = over_time(stock_distribution(space))
    logits = torch.randn(2, 3, distribution.required_input_dim(space))
    certain = distribution.from_logits(logits).to_deterministic()
    choice, pair, numbers, _ = certain.sample()
    assert torch.equal(choice, logits[..., :3].argmax(-1))
    assert torch.equal(pair, torch.stack([logits[..., 3:5].argmax(-1), logits[..., 5:8].argmax(-1)], -1))
    assert torch.equal(numbers, logits[..., 8:10])
    assert torch.equal(certain.logp(certain.sample()), torch.zeros(2, 3))
