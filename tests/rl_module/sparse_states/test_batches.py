"""A learner gets the batches that it would get from RLlib's own states for every step, to the bit."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from tests.cases import in_turns
from tests.rl_module.sparse_states.agents import (
    ALGORITHMS,
    assert_identical,
    leaves,
    recurrent_config,
    sample,
    train_batch,
    train_batches,
)

LENGTHS = {"short": (3,), "mixed": (1, 7, 20), "endless": (10_000,), "multiple of rows": (4, 8)}
FRAGMENTS = {  # name → max_seq_len, steps of all environments together in a fragment
    "one step": (1, 20),
    "rows within a fragment": (4, 44),
    "a fragment is a multiple": (4, 32),
    "a fragment is a row": (10, 20),
    "longer than a fragment": (64, 20),
}


def batches(algorithm, lookback, how, fragments=3, num_envs=2, **agent):
    """The batches of the fragments that two runners with the same seeds sample, with and without states apart."""
    for sparse in (True, False):
        config = recurrent_config(algorithm, sparse=sparse, num_envs=num_envs, **agent)
        # RLlib's own pieces fail on continued chunks without lookback; batches do not depend on it.
        config.env_runners(episode_lookback_horizon=lookback if sparse else max(lookback, 1))
        chunks, spaces = sample(config, fragments, **how)
        yield train_batches(config, chunks, spaces)


@pytest.mark.parametrize(("fragment", "lengths", "algorithm"), in_turns(FRAGMENTS, LENGTHS, ALGORITHMS))
def test_truncated_episodes(fragment, lengths, algorithm):
    max_seq_len, steps = FRAGMENTS[fragment]
    lengths = LENGTHS[lengths]
    how = {"num_timesteps": steps}
    sparse, dense = batches(algorithm, 1, how, max_seq_len=max_seq_len, lengths=lengths)
    for batch, expected in zip(sparse, dense, strict=True):
        assert_identical(batch, expected)


@pytest.mark.parametrize(("algorithm", "lookback", "max_seq_len"), in_turns(ALGORITHMS, [0, 5], [1, 4]))
def test_lookback(algorithm, lookback, max_seq_len):
    how = {"num_timesteps": 22}
    sparse, dense = batches(algorithm, lookback, how, max_seq_len=max_seq_len, lengths=(1, 7, 20))
    for batch, expected in zip(sparse, dense, strict=True):
        assert_identical(batch, expected)


@pytest.mark.parametrize(
    ("algorithm", "max_seq_len", "lengths"), in_turns(ALGORITHMS, [1, 4, 64], [(1, 7, 20), (4, 8)])
)
def test_complete_episodes(algorithm, max_seq_len, lengths):
    how = {"num_episodes": 5}
    sparse, dense = batches(algorithm, 1, how, max_seq_len=max_seq_len, lengths=lengths)
    for batch, expected in zip(sparse, dense, strict=True):
        assert_identical(batch, expected)


@pytest.mark.parametrize(("algorithm", "num_envs", "vf_share_layers"), in_turns(ALGORITHMS, [1, 5], [True, False]))
def test_other_numbers_of_environments_and_models(algorithm, num_envs, vf_share_layers):
    how = {"num_timesteps": 50}
    agent = {"num_envs": num_envs, "vf_share_layers": vf_share_layers, "lengths": (1, 7, 20)}
    sparse, dense = batches(algorithm, 1, how, **agent)
    for batch, expected in zip(sparse, dense, strict=True):
        assert_identical(batch, expected)
        states = {path for path in leaves(batch) if Columns.STATE_IN in path}
        assert len(states) == (1 if vf_share_layers else 2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_fragments_of_several_calls_in_one_batch(algorithm):
    collected = []
    for sparse in (True, False):
        config = recurrent_config(algorithm, sparse=sparse, lengths=(30, 5))
        chunks, spaces = sample(config, 4, num_timesteps=26)
        collected.append(train_batch(config, list(itertools.chain(*chunks)), spaces))
    assert_identical(*collected)


@pytest.mark.parametrize(
    ("batch_mode", "algorithm"),
    [
        ("truncate_episodes", "PPO"),  # shows what processes of their own change; each takes twenty seconds
        pytest.param("complete_episodes", "PPO", marks=pytest.mark.slow),
        *(
            pytest.param(batch_mode, algorithm, marks=pytest.mark.slow)
            for batch_mode in ("truncate_episodes", "complete_episodes")
            for algorithm in ("APPO", "IMPALA")
        ),
    ],
)
def test_two_env_runners(ray_session, algorithm, batch_mode):
    collected = []
    for sparse in (True, False):
        config = recurrent_config(algorithm, sparse=sparse, lengths=(30, 5))
        config.env_runners(num_env_runners=2, batch_mode=batch_mode, rollout_fragment_length=32)
        config.learners(num_learners=0)  # a remote one takes long to start
        collected.append(_sample_remotely(config))
    for batch, expected in zip(*collected, strict=True):
        assert_identical(batch, expected)


def _sample_remotely(config):
    """The batches that two remote EnvRunners with weights and seeds of their own give."""

    def sample_in_runner(runner):
        torch.manual_seed(runner.worker_index)
        with torch.no_grad():
            for parameter in runner.module.parameters():
                parameter.normal_(std=0.3)
        return [runner.sample() for _ in range(3)], runner.get_spaces()

    algorithm = config.build_algo()
    try:
        results = algorithm.env_runner_group.foreach_env_runner(sample_in_runner, local_env_runner=False)
    finally:
        algorithm.stop()
    assert len(results) == 2
    (ours, spaces), (others, _) = results
    return train_batches(config, [[*one, *other] for one, other in zip(ours, others, strict=True)], spaces)


def test_the_states_are_those_of_a_replay():
    """The comparisons above would hold as well if both sides were wrong in the same way."""
    config = recurrent_config(sparse=True, lengths=(23,), max_seq_len=4, num_envs=1)
    torch.manual_seed(0)
    runner = SingleAgentEnvRunner(config=config)
    try:
        chunks = [chunk for _ in range(3) for chunk in runner.sample(num_timesteps=7)]
        model, spaces = runner.module.encoder.encoder.model, runner.get_spaces()
    finally:
        runner.stop()
    observations = np.concatenate([chunk.get_observations()[: len(chunk)] for chunk in chunks])
    states = [model.initial_state(1)]
    with torch.no_grad():
        for observation in torch.from_numpy(observations):
            states.append(model(observation[None, None], states[-1])[1])
    rows = [start + step for start in (0, 7, 14) for step in (0, 4)]
    batch = train_batch(config, chunks, spaces)["default_policy"]
    torch.testing.assert_close(batch[Columns.STATE_IN]["state"], torch.cat(states)[rows], rtol=0, atol=1e-6)
    assert batch[Columns.STATE_IN]["state"].abs().sum(-1)[1:].min() > 0


def test_recorded_episodes_without_states_start_from_the_initial_one():
    batches = []
    for sparse in (True, False):
        config = recurrent_config(sparse=sparse, lengths=(9, 5))
        (episodes,), spaces = sample(config, 1, num_timesteps=40)
        for episode in episodes:
            del episode.extra_model_outputs[Columns.STATE_OUT]
            episode.custom_data.clear()
        batches.append(train_batch(config, episodes, spaces))
    assert_identical(*batches)
    assert not batches[0]["default_policy"][Columns.STATE_IN]["state"].any()


def test_episodes_with_and_without_states_of_their_own_in_one_batch():
    sparse, dense = recurrent_config(sparse=True, lengths=(9, 5)), recurrent_config(sparse=False, lengths=(9, 5))
    (apart,), spaces = sample(sparse, 1, num_timesteps=40)
    (in_columns,), _ = sample(dense, 1, num_timesteps=40)
    mixed = [a if i % 2 else b for i, (a, b) in enumerate(zip(apart, in_columns, strict=True))]
    expected = train_batch(dense, copy.deepcopy(in_columns), spaces)
    assert_identical(train_batch(sparse, mixed, spaces), expected)
