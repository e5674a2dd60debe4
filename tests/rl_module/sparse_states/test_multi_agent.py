"""Many agents: as RLlib where its own pieces work, and as a replay from the initial state where they do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

from rllib_recattn.rl_module.sparse_states.kept_states import KEY
from tests.rl_module.sparse_states.agents import ALGORITHMS, assert_identical, sample, train_batches
from tests.rl_module.sparse_states.multi_agent import (
    ALWAYS_THERE,
    MAX_SEQ_LEN,
    SKIPPING,
    Crowd,
    crowd_config,
    replayed_states,
)


@pytest.fixture(autouse=True)
def _empty_log():
    Crowd.log.clear()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("how", [{"num_timesteps": 14}, {"num_timesteps": 30}, {"num_episodes": 2}], ids=str)
def test_batches_are_those_of_rllib_where_all_agents_act_always(algorithm, how):
    collected = []
    for sparse in (True, False):
        config = crowd_config(algorithm, agents=ALWAYS_THERE, sparse=sparse, length=11)
        chunks, spaces = sample(config, 3, MultiAgentEnvRunner, **how)
        collected.append(train_batches(config, chunks, spaces))
    for batch, expected in zip(*collected, strict=True):
        assert set(batch) == {"short", "long", "plain"}
        assert Columns.STATE_IN not in batch["plain"]
        assert_identical(batch, expected)


WAYS = [  # lookback, what is sampled
    (1, {"num_timesteps": 8}),
    (4, {"num_timesteps": 8}),
    (0, {"num_timesteps": 14}),  # with 8, RLlib's cut() leaves agents that wait without an observation, and fails
    (1, {"num_timesteps": 14}),
    (1, {"num_episodes": 2}),
]


@pytest.mark.parametrize(
    ("algorithm", "lookback", "how"),
    [*(("PPO", *way) for way in WAYS), *((("APPO", "IMPALA")[index % 2], *way) for index, way in enumerate(WAYS))],
    ids=str,
)
def test_agents_that_skip_steps_join_late_and_die_early(algorithm, lookback, how):
    config = crowd_config(algorithm, agents=SKIPPING)
    config.env_runners(episode_lookback_horizon=lookback)
    torch.manual_seed(0)
    runner = MultiAgentEnvRunner(config=config)
    try:
        chunks = [runner.sample(**how) for _ in range(12)]
        expected, spaces = replayed_states(runner.module, SKIPPING), runner.get_spaces()
    finally:
        runner.stop()
    n_rows = 0
    for batch in train_batches(config, chunks, spaces):
        for policy in MAX_SEQ_LEN.keys() & batch.keys():
            rows = batch[policy]
            observations, in_loss = rows[Columns.OBS][:, 0].numpy(), rows[Columns.LOSS_MASK][:, 0]
            for observation, state, counts in zip(
                observations, rows[Columns.STATE_IN]["state"].numpy(), in_loss, strict=True
            ):
                before, after = expected[observation.tobytes()]
                # An agent that dies unseeing gets its last observation again, in the appended step.
                error = min(np.abs(state - before).max(), np.inf if counts else np.abs(state - after).max())
                assert error <= 1e-6, (policy, n_rows)
                n_rows += 1
    assert n_rows > 140


def test_the_crowd_is_what_it_should_be():
    """What the test above relies on: agents whose actions wait through whole fragments, that die and join."""
    config = crowd_config(agents=SKIPPING, num_envs=1)
    chunks, _ = sample(config, 6, MultiAgentEnvRunner, num_timesteps=8)
    acted = [{agent for agent in chunk.agent_ids if len(chunk.agent_episodes[agent])} for (chunk,) in chunks[:5]]
    assert ["late" in agents for agents in acted] == [True] * 5
    assert ["rarely" in agents for agents in acted] == [False, False, True, False, True]
    assert ["dies" in agents for agents in acted] == [True, False, False, False, False]


def test_an_endless_episode_does_not_gather_the_states_of_the_dead():
    config = crowd_config(agents=SKIPPING, length=10_000, num_envs=1)
    chunks, _ = sample(config, 8, MultiAgentEnvRunner, num_timesteps=8)
    for (chunk,) in chunks[4:]:
        kept = chunk.custom_data[KEY].keys()
        assert not {agent for agent in kept if "die" in agent or "goes" in agent}
        assert kept >= {"one", "two", "late", "every third", "rarely"}


def test_the_metrics_of_episodes_in_several_chunks_are_those_of_rllib():
    results = []
    for sparse in (True, False):
        config = crowd_config(agents=ALWAYS_THERE, sparse=sparse, length=30, num_envs=1)
        torch.manual_seed(0)
        runner = MultiAgentEnvRunner(config=config)
        try:
            for _ in itertools.repeat(None, 7):
                runner.sample(num_timesteps=10)
            metrics = runner.get_metrics()
        finally:
            runner.stop()
        names = ("episode_return_mean", "episode_len_mean", "agent_episode_returns_mean", "agent_steps")
        results.append({name: metrics[name] for name in names})
    assert str(results[0]) == str(results[1])
    assert "30" in str(results[0]["episode_len_mean"])
