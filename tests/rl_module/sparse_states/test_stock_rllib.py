"""What RLlib's own way with states does wrong: to be noticed when Ray mends it. The tests beside this one show ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from tests.rl_module.sparse_states.agents import recurrent_config, sample, train_batches
from tests.rl_module.sparse_states.multi_agent import MAX_SEQ_LEN, SKIPPING, Crowd, crowd_config, replayed_states


def test_a_chunk_that_continues_an_episode_without_lookback_is_an_index_error():
    config = recurrent_config(sparse=False, lengths=(50,), num_envs=1)
    config.env_runners(episode_lookback_horizon=0)
    with pytest.raises(IndexError):
        train_batches(config, *sample(config, 2, num_timesteps=8))


def test_agents_that_skip_steps_crash_or_lose_their_state():
    Crowd.log.clear()
    config = crowd_config(agents=SKIPPING, sparse=False)
    torch.manual_seed(0)
    runner = MultiAgentEnvRunner(config=config)
    try:
        chunks = [runner.sample(num_timesteps=14) for _ in range(12)]
        expected, spaces = replayed_states(runner.module, SKIPPING), runner.get_spaces()
        batches = train_batches(config, chunks, spaces)
    except (IndexError, KeyError):
        return
    finally:
        runner.stop()
    wrong = 0
    for batch in batches:
        for policy in MAX_SEQ_LEN.keys() & batch.keys():
            rows = batch[policy]
            for observation, state in zip(rows[Columns.OBS][:, 0], rows[Columns.STATE_IN]["state"], strict=True):
                before, _ = expected[observation.numpy().tobytes()]
                wrong += not np.allclose(state, before, atol=1e-5)
    assert wrong


def test_an_endless_episode_keeps_all_its_chunks():
    runner = SingleAgentEnvRunner(config=recurrent_config(sparse=False, lengths=(10_000,), num_envs=1))
    try:
        for _ in range(5):
            runner.sample(num_timesteps=20)
        (left,) = runner._ongoing_episodes_for_metrics.values()
    finally:
        runner.stop()
    assert [len(chunk) for chunk in left] == [20] * 5
    assert all(
        isinstance(chunk, SingleAgentEpisode) and Columns.STATE_OUT in chunk.extra_model_outputs for chunk in left
    )


def test_a_slice_of_an_episode_loses_its_custom_data():
    ((episode,),), _ = sample(recurrent_config(sparse=True, lengths=(50,), num_envs=1), 1, num_timesteps=8)
    assert episode.custom_data
    assert not episode.slice(slice(2, 6)).custom_data
