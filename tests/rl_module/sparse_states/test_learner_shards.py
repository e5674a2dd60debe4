"""Several learners get whole rows with their states."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.sparse_states.learner_shards import TrainingDataInRows, send_whole_rows, share_episodes
from tests.cases import in_turns
from tests.rl_module.sparse_states.agents import assert_identical, recurrent_config, sample, train_batch
from tests.rl_module.sparse_states.multi_agent import ALWAYS_THERE, crowd_config

MAX_SEQ_LEN = 4


def sampled(sparse, lengths, steps=121, num_envs=2, fragments=1):
    config = recurrent_config(sparse=sparse, lengths=lengths, max_seq_len=MAX_SEQ_LEN, num_envs=num_envs)
    chunks, spaces = sample(config, fragments, num_timesteps=steps)
    return config, chunks[-1], spaces


@pytest.mark.parametrize(
    ("n_learners", "lengths", "fragments"), in_turns([1, 2, 3, 5], [(3,), (1, 7, 20), (10_000,), (4, 8)], [1, 2])
)
def test_each_learner_gets_about_as_much_and_nothing_is_lost(n_learners, lengths, fragments):
    _, episodes, _ = sampled(True, lengths, fragments=fragments)
    n_steps = sum(map(len, episodes))
    actions = sorted(
        map(float, np.concatenate([episode.get_extra_model_outputs("action_logp") for episode in episodes]))
    )
    shares = share_episodes(episodes, n_learners)
    totals = [sum(map(len, share)) for share in shares]
    assert sum(totals) == n_steps
    assert max(totals) - min(totals) <= 2 * MAX_SEQ_LEN
    shared = [episode.get_extra_model_outputs("action_logp") for share in shares for episode in share]
    assert sorted(map(float, np.concatenate(shared))) == actions


@pytest.mark.parametrize(
    ("lengths", "n_learners", "fragments"), in_turns([(5, 37), (10_000,), (4, 100)], [2, 3], [1, 2])
)
def test_rows_have_the_states_that_rllib_stores_for_every_step(n_learners, lengths, fragments):
    config, episodes, spaces = sampled(True, lengths, num_envs=1, fragments=fragments)
    dense_config, dense, _ = sampled(False, lengths, num_envs=1, fragments=fragments)
    whole = {(episode.id_, episode.t_started): reference for episode, reference in zip(episodes, dense, strict=True)}
    n_cut = 0
    for share in share_episodes(episodes, n_learners, len_lookback_buffer=1):
        for part in share:
            ((_, start), reference), *_ = [
                (key, episode)
                for key, episode in whole.items()
                if key[0] == part.id_ and key[1] <= part.t_started < key[1] + len(episode)
            ]
            first = part.t_started - start
            n_cut += len(part) != len(reference)
            expected = copy.deepcopy(reference).slice(slice(first, first + len(part)), len_lookback_buffer=1)
            assert_identical(train_batch(config, [part], spaces), train_batch(dense_config, [expected], spaces))
    assert n_cut > 0


def test_a_share_for_nobody_is_refused():
    _, episodes, _ = sampled(True, (10_000,), steps=6, num_envs=1)
    with pytest.raises(SettingsError, match="num_learners = 3: should be at most 2"):
        share_episodes(episodes, 3)


def test_multi_agent_episodes_are_not_cut():
    config = crowd_config(agents=ALWAYS_THERE, length=11)
    (episodes,), _ = sample(config, 1, MultiAgentEnvRunner, num_timesteps=60)
    shares = share_episodes(episodes, 2)
    assert sorted(map(id, [*shares[0], *shares[1]])) == sorted(map(id, episodes))
    totals = [sum(map(len, share)) for share in shares]
    assert abs(totals[0] - totals[1]) <= 11


def test_a_learner_group_is_sent_whole_rows_and_all_else_as_before():
    sent = []
    update = send_whole_rows(lambda **kwargs: sent.append(kwargs))
    _, episodes, _ = sampled(True, (10_000,))
    update(episodes=episodes, num_epochs=3)
    data = TrainingData(episodes_refs=[1])
    update(training_data=data, return_state=True)
    assert sent[0]["num_epochs"] == 3
    assert type(sent[0]["training_data"]) is TrainingDataInRows
    assert sent[1]["training_data"] is data
    assert sent[1]["return_state"]

    shards = sent[0]["training_data"].shard(2, 1, minibatch_size=16, num_epochs=3)
    assert [keywords for _, keywords in shards] == [{"num_total_minibatches": 11}] * 2
    # Not even a minibatch for each: one, so that none of the learners waits for the other.
    shards = sent[0]["training_data"].shard(2, 1, minibatch_size=1024, num_epochs=1)
    assert [keywords for _, keywords in shards] == [{"num_total_minibatches": 1}] * 2

    # Whole epochs, where there are no minibatches or nobody waits.
    for n_learners, keywords in ((2, {"num_epochs": 3}), (1, {"num_epochs": 3, "minibatch_size": 16})):
        shards = sent[0]["training_data"].shard(n_learners, 1, **keywords)
        assert [keywords for _, keywords in shards] == [{"num_total_minibatches": 0}] * n_learners


def test_episodes_with_states_in_their_columns_are_cut_as_before():
    _, episodes, _ = sampled(False, (10_000,))
    (one, _), (other, _) = TrainingDataInRows(episodes=episodes).shard(2, 1)
    assert sum(map(len, one.episodes)) == sum(map(len, other.episodes))


@pytest.mark.slow
@pytest.mark.parametrize("callbacks", ["ours", "none"])
def test_two_learners(ray_session, callbacks):
    config = recurrent_config(sparse=True, lengths=(1, 7, 10_000), train_batch_size=64, num_envs=1)
    config.learners(num_learners=2, num_cpus_per_learner=1).training(minibatch_size=16)
    if callbacks == "none":
        config.callbacks([])
    algorithm = config.build_algo()
    try:
        if callbacks == "none":
            with pytest.raises(Exception, match="lost its recurrent states"):
                algorithm.train()
            return
        before = algorithm.learner_group.get_weights()["default_policy"]
        result = algorithm.train()["learners"]["default_policy"]
        weights = [
            learner.get() for learner in algorithm.learner_group.foreach_learner(lambda learner: learner.get_state())
        ]
        after = [state["rl_module"]["default_policy"] for state in weights]
    finally:
        algorithm.stop()
    assert np.isfinite(result["policy_loss"])
    for name, value in after[0].items():
        np.testing.assert_array_equal(value, after[1][name], err_msg=name)
    assert any(not np.array_equal(value, before[name]) for name, value in after[0].items())
    assert Columns.STATE_IN not in result
