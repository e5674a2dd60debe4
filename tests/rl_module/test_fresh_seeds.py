"""With a seed, what starts again begins neither its levels nor its random numbers again; stock RLlib does both."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import rllib_recattn as ra
from rllib_recattn.rl_module.extension import add_callback
from rllib_recattn.rl_module.fixes.fresh_seeds import FreshSeedsCallback, _trial_number
from rllib_recattn.rl_module.restore import MakeRestoreCallback
from tests.rl_module.levels import LevelsEnv, MultiAgentLevelsEnv, levels, take_diaries
from tests.rl_module.small_agents import CONFIGS

STOCK = {"fresh_seeds": False}


def config_of(directory, algorithm="PPO", *, several=False, runners=0, fixes=None, seed=3, **env_runners):
    config = CONFIGS[algorithm]()
    config.environment(MultiAgentLevelsEnv if several else LevelsEnv, env_config={"diary": str(directory)})
    config.environment(disable_env_checking=True)  # which resets each environment with a seed of its own
    config.env_runners(num_env_runners=runners, num_envs_per_env_runner=2, rollout_fragment_length=24, **env_runners)
    config.training(train_batch_size_per_learner=96).learners(num_learners=0)
    config.debugging(seed=seed, log_level="ERROR")
    if several:
        config.multi_agent(policies={"p"}, policy_mapping_fn=lambda *args, **kwargs: "p")
    if algorithm == "PPO":
        config.training(minibatch_size=48, num_epochs=2)
    else:
        config.reporting(min_time_s_per_iteration=0)
    return ra.use_model(config, "gru", d_model=8, max_seq_len=7, rllib_fixes=fixes)


def trained(algorithm, iterations=2):
    """Train, and stop; returns the checkpoint."""
    for _ in range(iterations):
        algorithm.train()


def restored(checkpoint, directory, iterations=2):
    """What a training that goes on from a checkpoint writes down."""
    algorithm = Algorithm.from_checkpoint(str(checkpoint))
    try:
        trained(algorithm, iterations)
    finally:
        algorithm.stop()
    return take_diaries(directory)


@pytest.fixture
def diary(tmp_path):
    path = tmp_path / "diary"
    path.mkdir()
    return path


def first_run(config, tmp_path, diary, iterations=2):
    """Train and save; returns the checkpoint and what was written down until then."""
    algorithm = config.build_algo()
    try:
        trained(algorithm, iterations)
        algorithm.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        algorithm.stop()
    return tmp_path / "checkpoint", take_diaries(diary)


RUNS = [
    pytest.param("PPO", False, 0, id="ppo"),
    pytest.param("PPO", True, 0, id="ppo-multi-agent", marks=pytest.mark.slow),
    pytest.param("PPO", False, 2, id="ppo-two-env-runners", marks=pytest.mark.slow),
    pytest.param("PPO", True, 1, id="ppo-multi-agent-env-runner", marks=pytest.mark.slow),
    pytest.param("IMPALA", False, 1, id="impala", marks=pytest.mark.slow),
    pytest.param("APPO", False, 0, id="appo", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("algorithm", "several", "runners"), RUNS)
def test_a_restored_algorithm_meets_new_levels_and_can_be_repeated(
    ray_session, tmp_path, diary, algorithm, several, runners
):
    config = config_of(diary, algorithm, several=several, runners=runners)
    checkpoint, before = first_run(config, tmp_path, diary)
    after = restored(checkpoint, diary)
    assert len(before) == len(after) == 2 * max(runners, 1)
    assert len(levels(after)) == len(set(levels(after))) >= 8
    assert not set(levels(before)) & set(levels(after))
    again = restored(checkpoint, diary)
    if algorithm == "PPO":
        assert again == after  # the actions as well
    else:  # how many samples there are in two iterations is up to the scheduling
        assert set(levels(again)) & set(levels(after))


@pytest.mark.parametrize(("algorithm", "several", "runners"), RUNS)
def test_stock_rllib_begins_the_levels_again(ray_session, tmp_path, diary, algorithm, several, runners):
    config = config_of(diary, algorithm, several=several, runners=runners, fixes=STOCK)
    checkpoint, before = first_run(config, tmp_path, diary)
    after = restored(checkpoint, diary)
    first = {diary[0][0] for diary in before}
    assert first == {diary[0][0] for diary in after}


def test_the_first_start_is_rllibs_own(ray_session, tmp_path, diary):
    _, ours = first_run(config_of(diary), tmp_path, diary)
    _, stock = first_run(config_of(diary, fixes=STOCK), tmp_path, diary)
    assert ours == stock


def test_without_a_seed_nothing_is_seeded(ray_session, tmp_path, diary):
    checkpoint, _ = first_run(config_of(diary, seed=None), tmp_path, diary, iterations=1)
    assert not set(levels(restored(checkpoint, diary, 1))) & set(levels(restored(checkpoint, diary, 1)))


def test_a_state_that_is_set_seeds_as_well(ray_session, tmp_path, diary):
    """As of ``restore_from_path`` into an algorithm that has trained already."""
    checkpoint, _ = first_run(config_of(diary), tmp_path, diary)
    after = restored(checkpoint, diary, 1)
    algorithm = config_of(diary).build_algo()
    try:
        trained(algorithm, 1)
        take_diaries(diary)
        algorithm.restore_from_path(str(checkpoint))
        trained(algorithm, 1)
    finally:
        algorithm.stop()
    assert set(levels(take_diaries(diary))) >= set(levels(after))


def test_weights_for_another_algorithm_bring_new_levels(ray_session, tmp_path, diary):
    checkpoint, before = first_run(config_of(diary), tmp_path, diary, 1)
    config = add_callback(config_of(diary, "APPO"), MakeRestoreCallback(checkpoint))
    algorithm = config.build_algo()
    try:
        trained(algorithm, 1)
    finally:
        algorithm.stop()
    assert not set(levels(before)) & set(levels(take_diaries(diary)))


def sampled_twice(config, diary, between=lambda runner: None, **kwargs):
    runner = (MultiAgentEnvRunner if config.is_multi_agent else SingleAgentEnvRunner)(config=config, worker_index=1)
    try:
        runner.sample(**kwargs)
        first = levels(take_diaries(diary))
        between(runner)
        runner.sample(**kwargs)
        return first, levels(take_diaries(diary))
    finally:
        runner.stop()


@pytest.mark.parametrize("several", [False, True])
def test_an_environment_that_is_made_anew_has_new_levels(diary, several):
    for fixes, are_new in ((None, True), (STOCK, False)):
        config = config_of(diary, several=several, fixes=fixes)
        first, second = sampled_twice(config, diary, lambda runner: runner.make_env())
        assert set(first).isdisjoint(second) == are_new


@pytest.mark.parametrize("several", [False, True])
def test_whole_episodes_are_of_new_levels_each_time(diary, several):
    for fixes, are_new in ((None, True), (STOCK, False)):
        config = config_of(diary, several=several, fixes=fixes, batch_mode="complete_episodes")
        first, second = sampled_twice(config, diary)
        assert first
        assert set(first).isdisjoint(second) == are_new


def test_evaluation_plays_the_same_levels_each_time(diary):
    config = config_of(diary).evaluation(evaluation_interval=1).get_evaluation_config_object()
    first, second = sampled_twice(config, diary, num_episodes=4)
    assert first == second


@pytest.mark.slow
def test_an_env_runner_that_was_lost_has_new_levels(ray_session, diary):
    for fixes, are_new in ((None, True), (STOCK, False)):
        config = config_of(diary, runners=1, fixes=fixes).fault_tolerance(restart_failed_env_runners=True)
        algorithm = config.build_algo()
        try:
            trained(algorithm, 1)
            before = levels(take_diaries(diary))
            algorithm.env_runner_group.foreach_env_runner(
                lambda env_runner: os._exit(1), local_env_runner=False, timeout_seconds=0
            )
            deadline, after = time.monotonic() + 120, []
            while not after and time.monotonic() < deadline:
                trained(algorithm, 1)
                after = levels(take_diaries(diary))
        finally:
            algorithm.stop()
        assert after
        assert set(before).isdisjoint(after) == are_new, fixes


@pytest.mark.parametrize(
    ("trial_id", "directory", "number"),
    [
        (None, "PPO_env_2026-11-30_00012", 0),
        ("1a2b3_00007", "trial_00007", 7),
        ("1a2b3c4d", "trial_00004", 4),
        ("1a2b3_00002", "PPO_env_1a2b3_00002_2_lr=0.1_2026-11-30_07-38-40", 2),
        ("1a2b3c4d", "mine", 0),
    ],
)
def test_trials_of_a_sweep_that_go_on_from_one_checkpoint_have_numbers(trial_id, directory, number):
    assert _trial_number(SimpleNamespace(trial_id=trial_id, logdir=f"/results/{directory}")) == number


def test_the_callback_is_there_once():
    config = config_of("unused")
    ra.use_model(config, "lstm")
    assert list(config.callbacks_class).count(FreshSeedsCallback) == 1
