"""What `on_episode_end` finds in `prev_episode_chunks`: RLlib's own chunks, but for observations and states."""

from __future__ import annotations

import pickle
from collections import defaultdict
from functools import partial

import numpy as np
import pytest
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.errors import SettingsError
from tests.rl_module.sparse_states.agents import recurrent_config
from tests.rl_module.sparse_states.multi_agent import ALWAYS_THERE, SKIPPING, crowd_config


def plain(data):
    """Data of an episode without the difference between lists and arrays."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, np.ndarray | list | tuple):
        return [plain(each) for each in data]
    return data.item() if isinstance(data, np.generic) else data


def told(chunk, several):
    """What a chunk says of itself, as a callback may ask."""
    asked = {
        "rewards": chunk.get_rewards,
        "newest": lambda: chunk.get_rewards(-1),
        "actions": chunk.get_actions,
        "infos": chunk.get_infos,
        "return": chunk.get_return,
        "steps": lambda: (len(chunk), chunk.env_steps(), chunk.agent_steps()),
        "done": lambda: (chunk.is_done, chunk.is_terminated, chunk.is_truncated, chunk.is_numpy),
        "custom_data": lambda: chunk.custom_data.get("mine"),
        "duration": chunk.get_duration_s,
        "text": lambda: repr(chunk),
    }
    if several:
        asked |= {
            "agents": lambda: sorted(chunk.agent_ids),
            "by agent's steps": lambda: chunk.get_rewards(env_steps=False),
            "by env's steps": lambda: chunk.get_rewards(slice(0, 2), env_steps=True, return_list=True),
            "of one": lambda: chunk.get_rewards(agent_ids=["one"]),
            "parts": lambda: {agent: told(part, False) for agent, part in chunk.agent_episodes.items()},
            "modules": lambda: {agent: chunk.module_for(agent) for agent in chunk.agent_ids},
            "started": lambda: (chunk.env_t_started, chunk.env_t),
        }
    else:
        asked["t"] = lambda: (chunk.t_started, chunk.t)
    said = {}
    for name, ask in asked.items():
        try:
            said[name] = plain(ask())
        except IndexError:  # RLlib's own, of agents that wait for an observation in a chunk that goes on
            assert several
            said[name] = "IndexError"
    return said


def note(episode, **kwargs):
    episode.custom_data["mine"] = episode.custom_data.get("mine", 0) + 1


def append(chunk):
    """What a learner in the same process does to a chunk (AddOneTsToEpisodesAndTruncate)."""
    for part in chunk.agent_episodes.values() if isinstance(chunk, MultiAgentEpisode) else [chunk]:
        if len(part):
            part.rewards.data[:] = 77
        part.infos.append({"appended": True})
        part.t += 1


@pytest.mark.parametrize("agents", [None, ALWAYS_THERE, SKIPPING], ids=["one agent", "several", "skipping"])
def test_the_documented_loop_finds_what_rllib_had(agents):
    several = agents is not None
    found, returns, sampled = [], [], defaultdict(list)

    def on_episode_end(*, episode, prev_episode_chunks, **kwargs):
        found.append((episode.id_, [told(chunk, several) for chunk in prev_episode_chunks]))
        returns.append(sum(chunk.get_return() for chunk in [episode, *prev_episode_chunks]))

    if several:
        config = crowd_config(agents=agents, length=45)
    else:
        config = recurrent_config(sparse=True, lengths=(50, 9), num_envs=2)
    config.callbacks(on_episode_end=on_episode_end, on_episode_step=note)
    runner = (MultiAgentEnvRunner if several else SingleAgentEnvRunner)(config=config)
    try:
        for _ in range(9):
            for chunk in runner.sample(num_timesteps=24):
                if not chunk.is_done:
                    sampled[chunk.id_].append(told(chunk, several))
                append(chunk)
    finally:
        runner.stop()
    assert found
    assert agents is SKIPPING or "IndexError" not in repr(found)
    for episode, chunks in found:
        for chunk, expected in zip(chunks, sampled[episode], strict=True):
            assert {name: said for name, said in chunk.items() if said != expected[name]} == {}
    assert max(len(chunks) for _, chunks in found) >= 3
    assert max(returns) > 24


def test_what_is_gone_says_so_and_what_was_sampled_is_whole():
    several = crowd_config(agents=SKIPPING, length=45)
    single = recurrent_config(sparse=True, lengths=(10_000,), num_envs=1)
    for config, runner_class, kind in (
        (single, SingleAgentEnvRunner, SingleAgentEpisode),
        (several, MultiAgentEnvRunner, MultiAgentEpisode),
    ):
        runner = runner_class(config=config)
        try:
            samples = runner.sample(num_timesteps=8)
            chunk = next(iter(runner._ongoing_episodes_for_metrics.values()))[0]
        finally:
            runner.stop()
        assert isinstance(chunk, kind)
        for ask in (chunk.get_observations, chunk.get_extra_model_outputs, partial(chunk.slice, slice(0, 2))):
            with pytest.raises(SettingsError, match=r"prev_episode_chunks: .*on_episode_step.*sparse_states=False"):
                ask()
        sampled = next(each for each in samples if each.id_ == chunk.id_)
        assert type(sampled) is kind
        assert sampled.get_observations(0) is not None
        assert "recattn_states" in sampled.custom_data
        if kind is MultiAgentEpisode:  # whose mapping function is not pickled
            continue
        # States and observations are most of it, even here.
        assert len(pickle.dumps(chunk.get_state())) < 0.6 * len(pickle.dumps(sampled.get_state()))
