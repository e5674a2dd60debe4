"""The same calls of ``sample()`` in one batch and in RLlib's way, and everything that comes of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

import rllib_recattn as ra
from rllib_recattn.rl_module.lean_sampling.callback import LEAN_SAMPLING
from rllib_recattn.rl_module.sparse_states.kept_states import KeptStates

BOX = gym.spaces.Box(-1, 1, (3,), np.float32)
TINY = {"d_model": 8, "n_layers": 2, "n_heads": 2, "d_head": 4}

# What an EnvRunner is asked for, one after the other: fragments that cut episodes, whole episodes, new ones.
CALLS: tuple[dict[str, Any], ...] = (
    {"num_timesteps": 13},
    {"num_timesteps": 1},
    {},
    {"num_timesteps": 11, "explore": False, "force_reset": True},
    {"num_timesteps": 7, "explore": False},
    # Without a reset RLlib fails: columns are missing, or of other shapes.
    {"num_timesteps": 9, "random_actions": True, "force_reset": True},
    {"num_timesteps": 12},
    {"num_episodes": 4},
    {"num_timesteps": 20},
)


class Lengths(gym.Env[Any, Any]):
    """Episodes of given lengths, which end by termination and truncation in turns, with any spaces.

    The seed chooses which length is the first. Rewards tell the action, and infos the episode, so that what is mixed up
    shows. One raises an error in the steps, counted over all of them, at which it is to fail.
    """

    n_steps = 0

    def __init__(self, config: dict[str, Any]):
        self.observation_space = config.get("observation_space", BOX)
        self.action_space = config.get("action_space", gym.spaces.Discrete(3))
        self.lengths = config.get("lengths", (7, 3, 1, 12))
        self.fails_at = config.get("fails_at", ())
        self.n_episodes = -1

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:  # which differs among environments, whose episodes are not to end together
            self.observation_space.seed(seed)
            self.n_episodes = seed
        self.n_episodes += 1
        self.t = 0
        return self.observation_space.sample(), {"began": self.n_episodes}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        Lengths.n_steps += 1
        if Lengths.n_steps in self.fails_at:
            raise ValueError("as asked for")
        self.t += 1
        ends = self.t >= self.lengths[self.n_episodes % len(self.lengths)]
        truncates = self.n_episodes % 2 == 1
        reward = float(sum(np.sum(part) for part in tree.flatten(action)))
        info = {"success": reward > 0} if ends else {}
        return self.observation_space.sample(), reward, ends and not truncates, ends and truncates, info


def config_of(
    model: str = "agalite",
    *,
    algorithm: type[AlgorithmConfig] = PPOConfig,
    env: Any = Lengths,
    env_config: dict[str, Any] | None = None,
    num_envs: int = 3,
    before: Callable[[AlgorithmConfig], Any] | None = None,
    after: Callable[[AlgorithmConfig], Any] | None = None,
    mode: str = "sync",
    max_seq_len: int = 4,
    **settings: Any,
) -> AlgorithmConfig:
    """A config of small agents; `before` and `after` change it before and after ``use_model`` does."""
    config = (
        algorithm()
        .environment(env, env_config=env_config or {})
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=num_envs,
            gym_env_vectorize_mode=mode,
            rollout_fragment_length=5,
        )
        .debugging(seed=0, log_level="ERROR")
    )
    if before is not None:
        before(config)
    sizes = TINY if model in ("agalite", "gtrxl", "gla") else {"d_model": 8} if model in ("lstm", "gru") else {}
    ra.use_model(config, model, max_seq_len=max_seq_len, **{**sizes, **settings})
    if after is not None:
        after(config)
    return config


def run(
    config: AlgorithmConfig, calls: Sequence[dict[str, Any]] = CALLS, runner_class: type = SingleAgentEnvRunner
) -> list[dict[str, Any]]:
    """Make an EnvRunner, call it, and return all there is to see after each call, without the names of episodes."""
    Lengths.n_steps = 0
    runner = runner_class(config=config)
    torch.manual_seed(0)
    np.random.seed(0)
    names: dict[str, int] = {}
    seen = []
    try:
        runner.env.action_space.seed(0)
        for call in calls:
            episodes = [described(episode, names) for episode in runner.sample(**call)]
            seen.append(
                {
                    "episodes": episodes,
                    "goes on": [described(each, names) for each in runner._ongoing_episodes],
                    "seen next": copy.deepcopy(runner._cached_to_module),
                    "needs a reset": runner._needs_initial_reset,
                    "for metrics": [
                        len(chunk) for chunks in runner._ongoing_episodes_for_metrics.values() for chunk in chunks
                    ],
                    "metrics": metrics_of(runner.get_metrics()),
                    "random": (torch.random.get_rng_state(), np.random.get_state()[1].copy()),
                    "mode": [part.training for part in runner.module.modules()],
                }
            )
            if "num_episodes" in call:
                seen[-1].pop("goes on")  # which never does
                seen[-1].pop("seen next")
    finally:
        runner.stop()
    return seen


_NOT_COMPARED = ("timer", "sec", "between", "connector", "sum_episodes", LEAN_SAMPLING)


def metrics_of(metrics: dict[str, Any]) -> dict[str, Any]:
    """What an EnvRunner reports, but for times, and for what connectors count that have less to do."""
    seen = {}
    for path, leaf in tree.flatten_with_path(metrics):
        name = "/".join(map(str, path))
        if name != "sample" and not any(word in name for word in _NOT_COMPARED):
            seen[name] = (type(leaf).__name__, leaf.peek())
    return seen


def described(episode: SingleAgentEpisode, names: dict[str, int]) -> dict[str, Any]:
    """All that an episode is, with a number in the place of its random name."""
    columns = {"observations": episode.observations, "actions": episode.actions, "rewards": episode.rewards}
    columns |= {"infos": episode.infos, **{f"output {key}": it for key, it in episode.extra_model_outputs.items()}}
    return {
        "name": names.setdefault(episode.id_, len(names)),
        "steps": (episode.t_started, episode.t, len(episode), bool(episode.is_terminated), bool(episode.is_truncated)),
        "is numpy": episode.is_numpy,
        "keys": list(episode.extra_model_outputs),
        **{name: copy.deepcopy((each.lookback, each.finalized, each.data)) for name, each in columns.items()},
        "spaces": (episode.observation_space, episode.action_space, episode.rewards.space),
        "beside": plain(episode.custom_data),
        "has times": (episode._start_time is not None, episode._last_step_time is not None),
        "last": copy.deepcopy((episode._last_added_observation, episode._last_added_infos)),
        "of": (episode.agent_id, episode.module_id, episode.multi_agent_episode_id),
    }


def plain(data: Any) -> Any:
    if isinstance(data, KeptStates):
        return {"kept states": {key: plain(each) for key, each in sorted(data.items())}}
    if isinstance(data, dict):
        return {key: plain(each) for key, each in data.items()}
    return [plain(each) for each in data] if isinstance(data, list | tuple) else copy.deepcopy(data)


def assert_same(found: Any, expected: Any, path: str = "") -> None:
    """Equal structure, types of arrays and bits."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), path
        assert list(found) == list(expected), (path, list(found), list(expected))
        for key in expected:
            assert_same(found[key], expected[key], f"{path}/{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{path}/{index}")
    elif isinstance(expected, torch.Tensor):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), path
        assert found.numpy().tobytes() == expected.numpy().tobytes(), path
    elif isinstance(expected, np.ndarray | np.generic):
        assert np.asarray(found).dtype == expected.dtype, (path, np.asarray(found).dtype, expected.dtype)
        assert np.shape(found) == expected.shape, (path, np.shape(found), expected.shape)
        assert np.asarray(found).tobytes() == expected.tobytes(), (path, found, expected)
    else:
        assert found == expected or (found != found and expected != expected), (path, found, expected)
