"""Gradients that are not finite do not reach the weights."""

from __future__ import annotations

import copy

import pytest
import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.faults.finite_gradients import LEFT_OUT, FiniteGradientsMixin, NotFiniteGradients
from tests.rl_module.small_agents import small_config


@pytest.fixture
def learner_and_episodes():
    config = small_config()
    runner = SingleAgentEnvRunner(config=config)
    episodes = runner.sample(num_timesteps=60)
    learner = config.build_learner(env=runner.env.unwrapped, spaces=runner.get_spaces())
    runner.stop()
    episodes[0].rewards.data[2] = float("nan")
    return learner, episodes


def weights(learner):
    return copy.deepcopy(learner.module[DEFAULT_MODULE_ID].state_dict())


def update(learner, episodes):
    return learner.update(
        episodes=copy.deepcopy(episodes),
        timesteps={"num_env_steps_sampled_lifetime": 60, "num_module_steps_trained_lifetime": 0},
        num_epochs=1,
        minibatch_size=200,
    )


def assert_equal(one, other):
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def test_an_update_with_nan_is_refused_and_the_weights_stay(learner_and_episodes):
    learner, episodes = learner_and_episodes
    before = weights(learner)
    with pytest.raises(
        NotFiniteGradients, match=r"of \d+ weights are not finite, of default_policy: .*What to do: lower"
    ):
        update(learner, episodes)
    assert_equal(weights(learner), before)


def test_such_updates_can_be_left_out(learner_and_episodes):
    learner, episodes = learner_and_episodes
    learner.config.torch_skip_nan_gradients = True
    before = weights(learner)
    results = update(learner, episodes)
    assert_equal(weights(learner), before)
    assert results["__all_modules__"][LEFT_OUT].peek() == 1


@pytest.mark.parametrize("leave_out", [False, True])
def test_stock_rllib_learns_from_nan(learner_and_episodes, monkeypatch, leave_out):
    learner, episodes = learner_and_episodes
    for method in ("postprocess_gradients", "apply_gradients"):
        monkeypatch.setattr(FiniteGradientsMixin, method, getattr(PPOTorchLearner, method))
    learner.config.torch_skip_nan_gradients = leave_out
    update(learner, episodes)  # and nobody gets to know
    lost = [not torch.isfinite(value).all() for value in weights(learner).values()]
    assert any(lost) == leave_out


def test_gradients_that_are_finite_though_their_sum_is_not_are_let_through(learner_and_episodes):
    learner, _ = learner_and_episodes
    large = {ref: torch.full_like(parameter, 1e38) for ref, parameter in learner._params.items()}
    assert learner.postprocess_gradients(large)
