"""Several agents: each has its own previous action and reward, however seldom it acts."""

from __future__ import annotations

import pickle
from collections import defaultdict

import gymnasium as gym
import numpy as np
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.utils.spaces.space_utils import unbatch

import rllib_recattn as ra
from rllib_recattn.inputs.previous import PREVIOUS
from rllib_recattn.rl_module.inputs.pieces import PreviousInputsToModule
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, TINY
from tests.rl_module.inputs.test_previous_inputs import Record

PERIODS = {"steady": 1, "seldom": 3, "plain": 1}  # an agent acts at every so many steps
OBSERVATION, ACTION = OBSERVATIONS["vector"], ACTIONS["Tuple"]


class Agents(MultiAgentEnv):
    """Episodes of 17 steps; the reward of an agent's k-th action is k, all of it at once."""

    def __init__(self, config=None):
        super().__init__()
        self.possible_agents = self.agents = list(PERIODS)
        self.observation_spaces = dict.fromkeys(PERIODS, OBSERVATION)
        self.action_spaces = dict.fromkeys(PERIODS, ACTION)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        self.acted = dict.fromkeys(PERIODS, 0)
        return self.observe(), {}

    def step(self, actions):
        self.steps += 1
        for agent in actions:
            self.acted[agent] += 1
        done = self.steps == 17
        observations = self.observe(done)
        rewards = {agent: float(self.acted[agent]) for agent in observations}
        return observations, rewards, {"__all__": done}, {"__all__": False}, {}

    def observe(self, everyone=False):
        return {a: OBSERVATION.sample() for a, period in PERIODS.items() if everyone or self.steps % period == 0}


def policy_of(agent, *args, **kwargs):
    return "plain" if agent == "plain" else "memory"


def test_acting_and_learning_see_the_same():
    config = (
        PPOConfig()
        .environment(Agents)
        .multi_agent(
            policies={"memory", "plain"},
            policy_mapping_fn=policy_of,
        )
        .env_runners(num_env_runners=0)
        .training(train_batch_size_per_learner=16, minibatch_size=8, num_epochs=1)
        .debugging(seed=0, log_level="ERROR")
    )
    ra.use_model(
        config, "agalite", max_seq_len=5, policies=["memory"], use_prev_action=True, use_prev_reward=True, **TINY
    )
    runner = MultiAgentEnvRunner(config=config)
    try:
        record = Record()
        runner._env_to_module.insert_after(PreviousInputsToModule, record)
        chunks = defaultdict(list)
        for _ in range(5):
            for chunk in runner.sample(num_timesteps=7):
                chunks[chunk.id_].append(chunk)
        learner = config.build_learner(spaces=runner.get_spaces())
    finally:
        runner.stop()

    with_memory = [
        (record.rows[(id_, agent)], episode)
        for id_, parts in chunks.items()
        for part in parts
        for agent, episode in part.agent_episodes.items()
        if agent != "plain"
    ]
    assert {episode.agent_id for _, episode in with_memory} == {"steady", "seldom"}
    for acted, episode in with_memory:
        for t, action in enumerate(unbatch(episode.get_actions(slice(0, len(episode)))), start=episode.t_started + 1):
            expected = [*gym.spaces.flatten(ACTION, action), t]
            np.testing.assert_array_equal(acted[t], np.asarray(expected, np.float32))

    shipped = [pickle.loads(pickle.dumps(part)) for parts in chunks.values() for part in parts]
    batch = learner._learner_connector(rl_module=learner.module, batch={}, episodes=shipped, shared_data={})
    assert PREVIOUS in batch["memory"]
    assert PREVIOUS not in batch["plain"]
    mask = batch["memory"]["loss_mask"].numpy()
    rows = batch["memory"][PREVIOUS].numpy()[mask]
    expected = [acted[t] for acted, episode in with_memory for t in range(episode.t_started, episode.t)]
    # RLlib orders the agents of an episode by a set.
    np.testing.assert_array_equal(sorted(rows.tolist()), sorted(np.stack(expected).tolist()))
