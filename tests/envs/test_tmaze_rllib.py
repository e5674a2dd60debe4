"""RLlib's env runner on the vectorised T-Maze: what ends up in its episodes."""

import numpy as np
import pytest
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.envs.tmaze_task import DOWN, RIGHT
from rllib_recattn.envs.tmaze_vector import TMazeVectorEnv

LENGTH, LIMIT = 3, 8


@pytest.fixture(params=["rllib_recattn/TMaze-v0", "rllib_recattn:rllib_recattn/TMaze-v0"])
def env_runner(request):
    config = (
        PPOConfig()
        .environment(request.param, env_config={"corridor_length": LENGTH, "max_episode_steps": LIMIT})
        .env_runners(num_envs_per_env_runner=8, gym_env_vectorize_mode="vector_entry_point")
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[8]))
        .debugging(seed=0)
    )
    runner = SingleAgentEnvRunner(config=config)
    yield runner
    runner.stop()
    assert runner.env.unwrapped.closed


def check_episode(observations, actions, rewards, episode):
    """Replay the actions of one episode, from its first step on, by the rules of the task."""
    assert sorted(observations[0][:2]) == [0, 1]
    assert not observations[0][10:].any()
    assert not observations[1:, :2].any()
    cued = int(observations[0][1])
    position = 0
    for index, action in enumerate(actions):
        turned = position == LENGTH - 1 and action <= DOWN
        assert turned == (episode.is_terminated and index == len(actions) - 1)
        assert rewards[index] == pytest.approx((4.0 if action == cued else -1.0) if turned else -0.1)
        position = np.clip(position + {RIGHT: 1, RIGHT - 1: -1}.get(int(action), 0), 0, LENGTH - 1)
        code = position ^ (position >> 1)
        assert observations[index + 1][2:10].tolist() == [float(bit) for bit in f"{code:08b}"]
    assert len(actions) <= LIMIT
    assert episode.is_truncated == (len(actions) == LIMIT and not turned)
    if episode.is_done:
        assert episode.get_infos(-1) == {"success": turned and action == cued}


def test_whole_episodes_follow_the_rules(env_runner):
    assert isinstance(env_runner.env.unwrapped, TMazeVectorEnv)
    episodes = env_runner.sample(num_episodes=200, random_actions=False)
    for episode in episodes:
        check_episode(episode.get_observations(), episode.get_actions(), episode.get_rewards(), episode)
    assert {(episode.is_terminated, episode.is_truncated) for episode in episodes} == {
        (True, False),
        (False, True),
    }
    assert {float(episode.get_rewards(-1)) for episode in episodes} == {4.0, -1.0, -0.1}


def test_chunks_of_episodes_join_to_episodes_that_follow_the_rules(env_runner):
    chunks = {}
    for _ in range(6):
        for chunk in env_runner.sample(num_timesteps=40):
            chunks.setdefault(chunk.id_, []).append(chunk)
    assert max(map(len, chunks.values())) > 1
    for parts in chunks.values():
        observations = [parts[0].get_observations(0)[None], *(part.get_observations()[1:] for part in parts)]
        actions = [part.get_actions() for part in parts]
        rewards = [part.get_rewards() for part in parts]
        check_episode(*map(np.concatenate, (observations, actions, rewards)), parts[-1])
