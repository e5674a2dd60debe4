"""What `use_model` does to DQN's config, and what it refuses."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from ray import tune
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.from_config import from_config
from ray.rllib.utils.replay_buffers import EpisodeReplayBuffer, ReplayBuffer

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.q_learning.learner import RecAttnDQNLearner
from rllib_recattn.rl_module.q_learning.module import RecAttnDQNCatalog, RecAttnDQNModule
from rllib_recattn.rl_module.q_learning.replay import SequenceEpisodeReplayBuffer
from tests.rl_module.q_learning.agents import GRU, config, stock_config

VECTOR = gym.spaces.Box(-1, 1, (4,), np.float32)
SPACES = {DEFAULT_MODULE_ID: (VECTOR, gym.spaces.Discrete(2))}


def built(of, spaces=SPACES):
    return of.get_rl_module_spec(spaces=spaces).build()


def test_the_config_survives_its_own_dict_and_further_changes():
    original = config().training(lr=5e-4, replay_buffer_config={"capacity": 777})
    for survivor in (original, original.copy(copy_frozen=False), DQNConfig().update_from_dict(original.to_dict())):
        module = built(survivor)
        assert (type(module), type(module.catalog)) == (RecAttnDQNModule, RecAttnDQNCatalog)
        assert module.is_stateful()
        assert survivor.learner_class is RecAttnDQNLearner
        assert survivor.lr == 5e-4
        assert "EpisodeReplayBuffer" in survivor.replay_buffer_config["type"]  # as RLlib asks
        buffer = from_config(ReplayBuffer, survivor.replay_buffer_config)
        assert type(buffer) is SequenceEpisodeReplayBuffer
        assert (buffer.capacity, buffer.alpha, buffer.beta) == (777, 0.6, 0.4)
        survivor.validate()


@pytest.mark.parametrize("kind", ["EpisodeReplayBuffer", EpisodeReplayBuffer])
def test_rllibs_buffer_without_priorities_is_taken_for_one_of_ours_without(kind):
    made = config({"replay_buffer_config": {"type": kind, "capacity": 500}})
    buffer = from_config(ReplayBuffer, made.replay_buffer_config)
    assert type(buffer) is SequenceEpisodeReplayBuffer
    assert (buffer.capacity, buffer.alpha) == (500, None)


def test_a_second_call_changes_the_model_and_nothing_else():
    twice = ra.use_model(config({"replay_buffer_config": {"alpha": 0.3}}), "lstm", d_model=8, max_seq_len=9)
    assert twice.replay_buffer_config["alpha"] == 0.3
    assert twice.model_config["recattn"]["model"] == "lstm"
    assert len(set(twice.callbacks_class)) == len(twice.callbacks_class)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"num_atoms": 51}, "use_model: num_atoms = 51: should be 1"),
        ({"noisy": True}, "use_model: noisy = True: should be False.*explore by epsilon"),
        ({"n_step": (1, 5)}, r"use_model: n_step = \(1, 5\): should be one whole number"),
        ({"n_step": 0}, "use_model: n_step = 0: should be at least 1"),
        ({"store_buffer_in_checkpoints": True}, "store_buffer_in_checkpoints = True: should be False.*filled again"),
        ({"burn_in_len": 4}, "use_model: burn_in_len = 4: should be left out; burn_in of use_model"),
        ({"replay_buffer_config": {"type": "ReplayBuffer"}}, "replay_buffer_config.type = 'ReplayBuffer': should be"),
        ({"replay_buffer_config": {"alfa": 1}}, "replay_buffer_config.alfa: has no effect .*alpha"),
        ({"replay_buffer_config": {"alpha": -1.0}}, "replay_buffer_config.alpha = -1.0: should be 0 or more"),
        ({"replay_buffer_config": {"capacity": 0}}, "replay_buffer_config.capacity = 0: should be a whole number"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(training, message):
    with pytest.raises(SettingsError, match=message):
        config(training)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(SettingsError, match=r"num_atoms = 3(.|\n)*burn_in_len = 2"):
        config({"num_atoms": 3, "burn_in_len": 2})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_seq_len": 5, "burn_in": 4}, r"max_seq_len = 5: should be at least burn_in \+ 2 = 6 with DQN"),
        ({"sparse_states": False}, "sparse_states = False: should be left out with DQN"),
        ({"vf_share_layers": False}, "vf_share_layers = False: should be left out with DQN, which has one network"),
        ({"q_learning": {"value_rescale": True}}, "value_rescale.*did you mean 'value_rescaling'"),
        ({"q_learning": {"priority_max_share": 1.5}}, "priority_max_share"),
        ({"q_learning": {"epsilon_spread": -1.0}}, "epsilon_spread"),
    ],
)
def test_settings_of_the_model_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        config(**settings)


def test_settings_of_dqn_are_refused_for_others():
    with pytest.raises(SettingsError, match="q_learning: should be left out; it is for DQN, and this is PPO"):
        ra.use_model(PPOConfig(), **GRU, q_learning={"value_rescaling": True})


def test_settings_are_searched():
    options = tune.choice([True, False])
    made = config(q_learning={"value_rescaling": options}, burn_in=tune.choice([0, 2]))
    assert made.model_config["recattn_training"]["q_learning"]["value_rescaling"] is options
    with pytest.raises(SettingsError, match=r"max_seq_len = 7: should be at least burn_in \+ 2 = 8"):
        config(burn_in=tune.choice([0, 6]))


def test_several_agents_and_several_learners_are_refused():
    with pytest.raises(SettingsError, match="DQN with memory has one agent; PPO, APPO and IMPALA take several"):
        ra.use_model(stock_config().multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda *_, **__: "a"), **GRU)
    with pytest.raises(SettingsError, match="num_learners = 2: should be 0 or 1"):
        ra.use_model(stock_config().learners(num_learners=2), **GRU)


def test_other_action_spaces_are_refused():
    spaces = {DEFAULT_MODULE_ID: (VECTOR, gym.spaces.MultiDiscrete([2, 2]))}
    with pytest.raises(SettingsError, match="should be Discrete with DQN"):
        built(config(), spaces)


def test_modules_of_ones_own_inherit_from_ours():
    class Mine(RecAttnDQNModule):
        pass

    own = ra.use_model(stock_config().rl_module(rl_module_spec=RLModuleSpec(module_class=Mine)), **GRU)
    assert type(built(own)) is Mine
    with pytest.raises(SettingsError, match=r"should be left out, or inherit from .*RecAttnDQNModule"):
        ra.use_model(stock_config().rl_module(rl_module_spec=RLModuleSpec(module_class=object)), **GRU)


@pytest.mark.parametrize("n_runners", [0, 3])
def test_each_environment_has_an_epsilon_of_its_own(n_runners):
    module = built(config({"epsilon": 0.4}, q_learning={"epsilon_spread": 7.0}))
    n_envs = 4
    found = []
    for runner in range(max(1, n_runners)):
        module.environments = (runner * n_envs, max(1, n_runners) * n_envs)
        module.epsilon_schedule.update(0)
        found += module._epsilons(n_envs).tolist()
    n = len(found)
    assert found == pytest.approx([0.4 ** (1 + i / (n - 1) * 7) for i in range(n)])


def test_exploration_is_uniform_over_actions_and_greedy_otherwise():
    """RLlib's own, with two environments or more, gives [B, B] actions, and never draws one whose Q-value is 0."""
    module = built(config({"epsilon": 0.5}))
    batch = {"obs": np.zeros((3, 1, 4), np.float32), "state_in": {"state": np.zeros((3, 8), np.float32)}}
    torch.manual_seed(0)
    batch = tree.map_structure(torch.from_numpy, batch)
    for parameter in module.af.parameters():
        parameter.data.zero_()
    actions = torch.stack([module.forward_exploration(batch, t=0)["actions"] for _ in range(400)])
    assert actions.shape == (400, 3, 1)
    assert actions.float().mean().item() == pytest.approx(0.25, abs=0.04)  # ties go to the first action
    assert module.forward_inference(batch)["actions"].tolist() == [[0]] * 3
