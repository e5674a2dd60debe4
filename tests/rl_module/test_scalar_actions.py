"""Actions reach several agents as feed-forward ones get them; stock RLlib makes arrays of shape () of them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
import tree
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.common.module_to_agent_unmapping import ModuleToAgentUnmapping
from ray.rllib.connectors.common.tensor_to_numpy import TensorToNumpy
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.connectors.module_to_env import (
    GetActions,
    ListifyDataForVectorEnv,
    NormalizeAndClipActions,
    RemoveSingleTsTimeRankFromBatch,
    UnBatchToIndividualItems,
)
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.examples.envs.classes.multi_agent.rock_paper_scissors import RockPaperScissors

import rllib_recattn as ra
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint

SPACES = {
    "discrete": gym.spaces.Discrete(3),
    "multi_discrete": gym.spaces.MultiDiscrete([2, 3]),
    "box": gym.spaces.Box(-1, 1, (2,), np.float32),
    "dict": gym.spaces.Dict({"move": gym.spaces.Discrete(2), "force": gym.spaces.Box(-1, 1, (1,), np.float32)}),
    "tuple": gym.spaces.Tuple([gym.spaces.Discrete(2), gym.spaces.Discrete(3)]),
}
PLAYERS = {"player1": "player1", "player2": "player2"}
OFF = {"scalar_actions": False}


def kinds(action):
    return [(type(leaf), np.shape(leaf)) for leaf in tree.flatten(action)]


class Gestures(MultiAgentEnv):
    """An agent for each action space; notes what kinds of actions it is given."""

    seen: ClassVar[dict] = {}

    def __init__(self, config=None):
        super().__init__()
        self.agents = self.possible_agents = list(SPACES)
        self.observation_spaces = dict.fromkeys(SPACES, gym.spaces.Box(-1, 1, (2,), np.float32))
        self.action_spaces = SPACES

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return dict.fromkeys(SPACES, np.zeros(2, np.float32)), {}

    def step(self, actions):
        self.t += 1
        for agent, action in actions.items():
            self.seen.setdefault(agent, []).append(kinds(action))
            assert self.action_spaces[agent].contains(action)
        return self.reset_observations(), dict.fromkeys(SPACES, 0.0), {"__all__": self.t >= 4}, {"__all__": False}, {}

    def reset_observations(self):
        return dict.fromkeys(SPACES, np.zeros(2, np.float32))


class Solo(gym.Env):
    """One agent whose action space the config names."""

    seen: ClassVar[list] = []

    def __init__(self, config):
        self.observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = SPACES[config["space"]]

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        self.seen.append(kinds(action))
        return np.zeros(2, np.float32), 0.0, self.t >= 4, False, {}


def config_of(env, policies, **env_runners):
    return (
        PPOConfig()
        .environment(env)
        .env_runners(num_env_runners=0, **env_runners)
        .multi_agent(policies=set(policies), policy_mapping_fn=lambda agent, episode, **kwargs: policies[agent])
        .training(train_batch_size_per_learner=40, minibatch_size=20, num_epochs=1)
        .learners(num_learners=0)
        .debugging(seed=0, log_level="ERROR")
    )


def one_each(**env_runners):
    return config_of(Gestures, {agent: agent for agent in SPACES}, **env_runners)


def with_memory(config, **settings):
    return ra.use_model(config, "gru", **{"d_model": 8, "max_seq_len": 11, **settings})


def actions_given(config, **how):
    """The kinds of actions that each agent's environment was given, and that its episode holds."""
    Gestures.seen.clear()
    runner = MultiAgentEnvRunner(config=config.copy())
    try:
        (episode,) = runner.sample(num_episodes=1, **how)
        held = {agent: kinds(each.get_actions(-1)) for agent, each in episode.agent_episodes.items()}
    finally:
        runner.stop()
    return dict(Gestures.seen), held


def rock_paper_scissors(**settings):
    config = config_of(RockPaperScissors, PLAYERS)
    return with_memory(config, **settings)


def test_rock_paper_scissors_of_rllibs_examples_is_trained_and_evaluated(ray_session, tmp_path):
    algo = rock_paper_scissors().build_algo()
    try:
        results = algo.train()
        checkpoint = algo.save_to_path(tmp_path / "checkpoint")
    finally:
        algo.stop()
    assert results["env_runners"]["num_episodes"] >= 4
    assert set(results["env_runners"]["agent_episode_returns_mean"]) == {"player1", "player2"}
    played = evaluate_checkpoint(Path(checkpoint), episodes=2).episodes
    assert [sum(each.agent_returns.values()) for each in played] == [0, 0]


def test_stock_rllib_gives_rock_paper_scissors_what_it_cannot_look_up():
    flatten = lambda env, spaces=None, device=None: FlattenObservations(multi_agent=True)  # noqa: E731
    stock = config_of(RockPaperScissors, PLAYERS, env_to_module_connector=flatten)
    stock.rl_module(model_config={"use_lstm": True, "lstm_cell_size": 8, "max_seq_len": 11})
    for config in (stock, rock_paper_scissors(rllib_fixes=OFF)):
        runner = MultiAgentEnvRunner(config=config)
        try:
            with pytest.raises(RuntimeError) as error:
                runner.sample(num_episodes=1, explore=True)
            assert "unhashable type" in str(error.value.__cause__ or error.value.__context__)
        finally:
            runner.stop()


@pytest.mark.parametrize("sparse_states", [True, False])
@pytest.mark.parametrize("explore", [True, False])
def test_several_agents_act_as_feed_forward_ones_do(sparse_states, explore):
    expected, held = actions_given(one_each(), explore=explore)
    assert expected["discrete"][-1][0][0] is not np.ndarray
    given, holds = actions_given(with_memory(one_each(), sparse_states=sparse_states), explore=explore)
    assert given == expected
    assert holds == held


def test_the_switch_is_on_what_the_last_call_said():
    config = with_memory(one_each())
    without = with_memory(config.copy(copy_frozen=False), rllib_fixes=OFF)
    assert (np.ndarray, ()) in actions_given(without, explore=False)[0]["discrete"][-1]
    again = with_memory(without)
    assert (np.ndarray, ()) not in actions_given(again, explore=False)[0]["discrete"][-1]


@pytest.mark.parametrize("space", SPACES)
def test_a_single_agent_acts_as_a_feed_forward_one_does(space):
    given = []
    for config in (PPOConfig(), PPOConfig()):
        config.environment(Solo, env_config={"space": space}).env_runners(num_env_runners=0, num_envs_per_env_runner=2)
        config = with_memory(config) if given else config
        Solo.seen.clear()
        runner = SingleAgentEnvRunner(config=config)
        try:
            runner.sample(num_timesteps=8, explore=True)
        finally:
            runner.stop()
        given.append(list(Solo.seen))
    assert given[0] == given[1]
    assert not any(shape == () and kind is np.ndarray for step in given[1] for kind, shape in step)


class Watch(ConnectorV2):
    """A piece of the user's own that notes what it sees."""

    seen: ClassVar[list] = []

    def __call__(self, *, batch, **kwargs):
        for (_, agent, _), (action,) in batch[Columns.ACTIONS].items():
            self.seen.append((agent, kinds(action)))
        return batch


@pytest.mark.parametrize("defaults", [True, False])
def test_pieces_of_the_users_own_see_scalars(defaults):
    def pieces(env, spaces=None, device=None):
        if defaults:
            return Watch()
        squeezed = [GetActions(), TensorToNumpy(), UnBatchToIndividualItems(), ModuleToAgentUnmapping()]
        last = [NormalizeAndClipActions(normalize_actions=True, clip_actions=False), ListifyDataForVectorEnv()]
        return [*squeezed, RemoveSingleTsTimeRankFromBatch(), Watch(), *last]

    config = one_each(module_to_env_connector=pieces, add_default_connectors_to_module_to_env_pipeline=defaults)
    Watch.seen.clear()
    given, _ = actions_given(with_memory(config), explore=True)
    assert given["discrete"]
    assert all((np.ndarray, ()) not in seen for _, seen in Watch.seen)
    assert len(Watch.seen) >= 4 * len(SPACES)
