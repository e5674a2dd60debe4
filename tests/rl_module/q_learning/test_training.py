"""Recurrent DQN in RLlib: it trains, samples in both ways, saves, restores, and evaluates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.algorithm import Algorithm

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.q_learning.replay import SequenceEpisodeReplayBuffer
from tests.rl_module.q_learning.agents import config, stock_config


def trained(of, iterations=2):
    algorithm = of.build_algo()
    results = [algorithm.train() for _ in range(iterations)]
    return algorithm, results


def module_of(algorithm):
    return algorithm.learner_group.get_weights()["default_policy"]


def test_it_trains_and_reports(ray_session):
    algorithm, results = trained(config({"n_step": 3}, burn_in=2, use_prev_action=True))
    learnt = results[-1]["learners"]["default_policy"]
    assert np.isfinite(learnt["qf_loss"])
    assert learnt["recattn"]["state_bytes_per_step"] > 0
    assert results[-1]["replay_buffer"]["num_sequences_stored"] > 0
    assert results[-1]["env_runners"]["lean_sampling"] == 1
    assert algorithm.local_replay_buffer._priorities.count(1.0) < len(algorithm.local_replay_buffer._priorities)
    target = {name: value for name, value in module_of(algorithm).items() if name.startswith("_target_")}
    assert target
    algorithm.stop()


def test_weights_change_and_reach_those_who_act(ray_session):
    algorithm = config().build_algo()
    before = module_of(algorithm)
    for _ in range(2):
        algorithm.train()
    after, acting = module_of(algorithm), algorithm.env_runner.module.state_dict()
    moved = [name for name in before if not name.startswith("_target_") and (before[name] != after[name]).any()]
    assert moved
    assert not any(name.startswith("_target_") for name in acting)
    for name, value in acting.items():
        assert torch.equal(value, torch.as_tensor(after[name])), name
    algorithm.stop()


def test_the_same_seed_learns_the_same(ray_session):
    weights = []
    for _ in range(2):
        algorithm, _ = trained(config())
        weights.append(module_of(algorithm))
        algorithm.stop()
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_it_trains_with_remote_env_runners_and_a_remote_learner(ray_session):
    spread = config({"epsilon": 0.5}, q_learning={"epsilon_spread": 3.0})
    spread.env_runners(num_env_runners=2, num_cpus_per_env_runner=0.5)
    spread.learners(num_learners=1, num_cpus_per_learner=0.5)
    algorithm, results = trained(spread)
    assert np.isfinite(results[-1]["learners"]["default_policy"]["qf_loss"])
    places = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: runner.module.environments, local_env_runner=False
    )
    assert sorted(places) == [(0, 6), (3, 6)]
    algorithm.stop()


def test_it_goes_on_from_a_checkpoint_when_the_buffer_is_full_enough(ray_session, tmp_path):
    algorithm, _ = trained(config())
    checkpoint = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    before = module_of(algorithm)
    algorithm.stop()
    again = Algorithm.from_checkpoint(checkpoint)
    assert type(again.local_replay_buffer) is SequenceEpisodeReplayBuffer
    assert len(again.local_replay_buffer) == 0
    after = module_of(again)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    n_before = again.metrics.peek(("env_runners", "num_env_steps_sampled_lifetime"))
    result = again.train()
    assert np.isfinite(result["learners"]["default_policy"]["qf_loss"])
    assert len(again.local_replay_buffer) >= again.config.num_steps_sampled_before_learning_starts
    added = result["replay_buffer"]["num_env_steps_added_lifetime"]
    assert result["env_runners"]["num_env_steps_sampled_lifetime"] == added > n_before + 60
    again.stop()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c.training(replay_buffer_config={"type": "EpisodeReplayBuffer"}), "came after use_model"),
        (lambda c: c.training(num_atoms=11), "num_atoms = 11: should be 1"),
        (lambda c: c.rl_module(model_config={**c.model_config, "max_seq_len": 1}), "max_seq_len = 1: should be at"),
    ],
)
def test_what_comes_after_use_model_and_takes_its_work_away_is_refused(ray_session, spoil, message):
    with pytest.raises(SettingsError, match=message):
        spoil(config()).build_algo()


def test_stock_dqn_is_as_it_was(ray_session):
    algorithm, results = trained(stock_config())
    assert np.isfinite(results[-1]["learners"]["default_policy"]["qf_loss"])
    assert not isinstance(algorithm.local_replay_buffer, SequenceEpisodeReplayBuffer)
    algorithm.stop()
