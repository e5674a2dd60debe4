"""Whole algorithms: the same training with and without states apart, evaluation, restarts, memory."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.sparse_states.kept_states import KEY, are_kept_apart
from tests.rl_module.sparse_states.agents import ALGORITHMS, assert_identical, recurrent_config


def trained(sparse, iterations):
    """The losses of each iteration and the weights after the last."""
    config = recurrent_config(sparse=sparse, lengths=(1, 7, 40))
    torch.manual_seed(0)
    np.random.seed(0)
    algorithm = config.build_algo()
    try:
        losses = []
        for _ in range(iterations):
            result = algorithm.train()["learners"][DEFAULT_MODULE_ID]
            losses.append({key: float(result[key]) for key in ("total_loss", "policy_loss", "vf_loss", "entropy")})
        return losses, algorithm.learner_group.get_weights()[DEFAULT_MODULE_ID]
    finally:
        algorithm.stop()


def test_losses_and_weights_after_five_iterations(ray_session):
    (losses, weights), (expected_losses, expected_weights) = trained(True, 5), trained(False, 5)
    assert losses == expected_losses
    assert len({loss["total_loss"] for loss in losses}) == 5
    assert_identical(weights, expected_weights)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["IMPALA", "APPO"])
@pytest.mark.parametrize("n_aggregators", [0, 1])
def test_asynchronous_algorithms_train(ray_session, algorithm, n_aggregators):
    config = recurrent_config(algorithm, sparse=True, lengths=(1, 7, 40), train_batch_size=32)
    config.env_runners(num_env_runners=1, rollout_fragment_length=16)
    config.learners(num_learners=n_aggregators, num_aggregator_actors_per_learner=n_aggregators)
    algorithm = config.build_algo()
    try:
        losses, give_up = {}, time.monotonic() + 100
        while "total_loss" not in losses and time.monotonic() < give_up:
            losses = algorithm.train().get("learners", {}).get(DEFAULT_MODULE_ID, {})
    finally:
        algorithm.stop()
    assert np.isfinite(losses["total_loss"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_evaluation_carries_the_state(ray_session, algorithm):
    config = recurrent_config(algorithm, sparse=True, lengths=(13,), num_envs=1)
    config.evaluation(evaluation_num_env_runners=0, evaluation_interval=1, evaluation_duration=2)
    built = config.build_algo()
    try:
        runner = built.eval_env_runner
        assert built.evaluate()["env_runners"]["num_episodes"] == 2
        (episode,) = runner.sample(num_episodes=1, explore=False)
        expected, _ = replay(runner.module, episode)
    finally:
        built.stop()
    assert are_kept_apart(episode)
    np.testing.assert_allclose(
        episode.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS), expected, rtol=1e-5, atol=1e-6
    )


def replay(module, *chunks):
    """The action logits of an episode from its initial state on, and the state after it."""
    observations = np.concatenate([chunk.get_observations()[: len(chunk)] for chunk in chunks])
    model = module.encoder.encoder.model
    with torch.no_grad():
        encoded, state = model(torch.from_numpy(observations)[None], model.initial_state(1))
        return module.pi(encoded)[0].numpy(), state


def test_new_weights_in_the_middle_of_an_episode_do_not_reset_its_state():
    config = recurrent_config(sparse=True, lengths=(1000,), num_envs=1)
    runner = SingleAgentEnvRunner(config=config)
    other = SingleAgentEnvRunner(config=config)
    try:
        (first,) = runner.sample(num_timesteps=11)
        state = pickle.loads(pickle.dumps(first.custom_data[KEY]["newest"]))
        _, expected = replay(runner.module, first)
        np.testing.assert_allclose(state["state"], expected[0], rtol=0, atol=1e-6)
        runner.set_state(other.get_state())
        (second,) = runner.sample(num_timesteps=5)
    finally:
        runner.stop()
        other.stop()
    assert second.id_ == first.id_
    np.testing.assert_array_equal(second.custom_data[KEY]["rows"][0]["state"], state["state"])


def test_a_new_env_runner_starts_new_episodes():
    config = recurrent_config(sparse=True, lengths=(1000,), num_envs=1)
    old, new = SingleAgentEnvRunner(config=config), SingleAgentEnvRunner(config=config)
    try:
        (first,) = old.sample(num_timesteps=11)
        new.set_state(old.get_state())
        (episode,) = new.sample(num_timesteps=7)
        expected, _ = replay(new.module, episode)
    finally:
        old.stop()
        new.stop()
    assert episode.id_ != first.id_
    np.testing.assert_allclose(
        episode.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS), expected, rtol=1e-5, atol=1e-6
    )


def test_an_endless_episode_leaves_nothing_behind():
    config = recurrent_config(sparse=True, lengths=(10_000,), num_envs=1)
    runner = SingleAgentEnvRunner(config=config)
    try:
        for _ in range(5):
            (chunk,) = runner.sample(num_timesteps=20)
        (left,) = runner._ongoing_episodes_for_metrics.values()
        assert len(left) == 5
        assert not any(each.observations.data or each.extra_model_outputs or KEY in each.custom_data for each in left)
    finally:
        runner.stop()
    assert len(chunk.custom_data[KEY]["rows"]) == 5


def test_metrics_of_episodes_in_several_chunks_are_those_of_rllib():
    collected = []
    for sparse in (True, False):
        torch.manual_seed(0)
        runner = SingleAgentEnvRunner(config=recurrent_config(sparse=sparse, lengths=(50, 9), num_envs=2))
        try:
            for _ in range(8):
                runner.sample(num_timesteps=24)
            metrics = runner.get_metrics()
        finally:
            runner.stop()
        names = ("episode_return_mean", "episode_len_mean", "episode_len_max", "num_episodes")
        collected.append({name: str(metrics[name]) for name in names})
    assert collected[0] == collected[1]
    assert "50" in collected[0]["episode_len_max"]


def test_what_is_shipped_is_small():
    sizes = {}
    for sparse in (True, False):
        config = recurrent_config(sparse=sparse, lengths=(60,), max_seq_len=20, num_envs=1)
        config.rl_module(model_config={**config.model_config, "recattn": {"model": "gru", "d_model": 1000}})
        runner = SingleAgentEnvRunner(config=config)
        try:
            runner.sample(num_timesteps=7)
            sizes[sparse] = len(pickle.dumps(runner.sample(num_timesteps=40)))
        finally:
            runner.stop()
    state = 4 * 1000
    assert sizes[True] < 2 * state + 10_000
    assert sizes[False] > 40 * state
