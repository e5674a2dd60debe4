"""An EnvRunner goes on after a fault of its environment, with new episodes and their own states, or gives up."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
import ray
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.faults.env_runners import EnvironmentFault, MendingSingleAgentEnvRunner
from rllib_recattn.rl_module.faults.watched_env import NotFinite, TookTooLong, check_finite, time_limit
from tests.faults.agents import assert_states_are_the_episodes_own, by_episode, faulty_config
from tests.faults.faulty_env import FAULTY, LENGTH

SAID = {  # what the messages say of each fault
    "raise": "raised RuntimeError: the motor is broken, at ",
    "raise_in_reset": "raised RuntimeError: the motor is broken, at ",
    "hang": "took longer than 0.5 s",
    "hang_in_reset": "took longer than 0.5 s",
    "nan_observation": "returned an observation that is nan at (1,)",
    "infinite_reward": "returned a reward that is inf",
}


@pytest.fixture
def make_runner():
    """Makes an EnvRunner in this process."""
    runners = []

    def make(**env_config):
        config = faulty_config(**env_config)
        if str(env_config.get("fault")).startswith("hang"):
            config.env_runners(sample_timeout_s=0.5)
        runners.append(MendingSingleAgentEnvRunner(config=config))
        return runners[-1]

    yield make
    for runner in runners:
        runner.stop()


@pytest.mark.parametrize("fault", SAID)
@pytest.mark.parametrize("sparse_states", [True, False])
def test_after_a_fault_episodes_are_new_and_start_from_their_own_states(make_runner, tmp_path, fault, sparse_states):
    runner = make_runner(fault=fault, once=str(tmp_path / "once"), in_episode=3, sparse_states=sparse_states)
    chunks = [chunk for _ in range(10) for chunk in runner.sample(num_timesteps=10)]
    episodes = by_episode(chunks)
    cut = [parts for parts in episodes.values() if not parts[-1].is_done and sum(map(len, parts)) < LENGTH]
    assert len(cut) >= 1, "no episode was cut by the fault"
    assert any(len(parts) > 1 for parts in episodes.values()), "no episode was cut by the end of a fragment"
    assert_states_are_the_episodes_own(runner.config, runner.module, runner.get_spaces(), episodes.values())
    values = [part.get_rewards() for part in chunks] + [part.get_observations() for part in chunks]
    assert np.isfinite(np.concatenate([np.ravel(value) for value in values])).all()

    report = runner.report_faults()
    assert report.fatal is None
    (sentence,) = report.survived
    assert sentence.startswith(f"The environment {FAULTY} {SAID[fault]}")
    assert runner.report_faults().survived == ()
    assert runner.metrics.peek("num_env_faults") == 1


@pytest.mark.parametrize("fault", ["raise", "infinite_reward"])
def test_a_runner_gives_up_after_too_many_faults_in_a_row_and_stays_so(make_runner, fault):
    runner = make_runner(fault=fault)
    for _ in range(2):
        with pytest.raises(EnvironmentFault) as error:
            runner.sample(num_timesteps=100)
        assert f"The environment {FAULTY} {SAID[fault]}" in str(error.value)
        assert "Failure 4 in a row; num_consecutive_env_runner_failures_tolerance = 3. What to do: " in str(error.value)
    assert runner.report_faults().fatal == str(error.value)


def test_a_complete_sample_in_between_is_a_new_beginning(make_runner):
    # Each environment fails in its second episode, and each sample of six steps gets through before that.
    runner = make_runner(fault="raise")
    for _ in range(12):
        runner.sample(num_timesteps=2 * 6)
    assert len(runner.report_faults().survived) > 3


def test_without_restarts_the_first_fault_is_raised(make_runner, tmp_path):
    config = faulty_config(fault="raise").fault_tolerance(restart_failed_sub_environments=False)
    runner = MendingSingleAgentEnvRunner(config=config)
    with pytest.raises(EnvironmentFault, match="the motor is broken"):
        runner.sample(num_timesteps=100)
    runner.stop()


def test_which_environment_and_step_it_was_is_said_if_it_can_be_known(make_runner, tmp_path):
    runner = make_runner(fault="nan_observation", at_step=9, once=str(tmp_path / "once"))
    runner.sample(num_timesteps=60)
    (sentence,) = runner.report_faults().survived
    assert sentence.endswith("in step() (environment 0 of 2, step 9 of the episode, EnvRunner 0)")


def test_stock_rllib_takes_what_is_not_finite():
    config = faulty_config(fault="infinite_reward")
    runner = SingleAgentEnvRunner(config=config)
    rewards = np.concatenate([chunk.to_numpy().get_rewards() for chunk in runner.sample(num_timesteps=60)])
    assert not np.isfinite(rewards).all()
    runner.stop()


def test_a_remote_runner_hands_its_error_on_and_begins_anew_in_the_same_process(ray_session):
    config = faulty_config(fault=None).env_runners(num_env_runners=1)
    runner = ray.remote(MendingSingleAgentEnvRunner).remote(config=config, worker_index=1, num_workers=1)

    def fail(env_runner):
        env_runner._cached_to_module = None  # as a failure in the middle of a sample leaves it
        raise ValueError("no such luck")

    before = ray.get(runner.apply.remote(lambda env_runner: (os.getpid(), len(env_runner.sample(num_timesteps=20)))))
    with pytest.raises(ValueError, match="no such luck"):
        ray.get(runner.apply.remote(fail))
    after = ray.get(runner.apply.remote(lambda env_runner: (os.getpid(), env_runner.sample(num_timesteps=20))))
    assert after[0] == before[0]
    assert all(chunk.t_started == 0 for chunk in after[1])
    (sentence,) = ray.get(runner.apply.remote(lambda env_runner: env_runner.report_faults())).survived
    assert sentence.startswith("EnvRunner 1 failed: ValueError: no such luck, at ")
    ray.kill(runner)


@pytest.mark.parametrize(
    ("values", "index"),
    [
        (np.array([0.0, 1.0, np.nan]), 2),
        (np.array([[0, 1], [-np.inf, 1], [0, 0]], np.float32), 1),
        ({"image": np.zeros((3, 2, 2), np.uint8), "vector": np.array([[0.0], [np.nan], [0.0]])}, 1),
        ([{"a": np.zeros(2)}, {"b": np.array([0, np.nan])}, {}], 1),
        ([{"a": 0.5}, {}, {"b": float("inf")}], 2),
        (np.array([{"a": 0.5}, {"b": float("nan")}, {}]), 1),
    ],
)
def test_numbers_that_are_not_finite_are_found_wherever_they_are(values, index):
    with pytest.raises(NotFinite, match=r"returned a value that is (nan|-?inf)") as error:
        check_finite(values, "a value", 3)
    assert error.value.index == index


@pytest.mark.parametrize(
    "values",
    [np.zeros((3, 2)), np.full((3, 2), 255, np.uint8), {"text": np.array(["a", "b", "c"])}, [{"a": 1.0}, {}, {}]],
)
def test_other_values_are_let_through(values):
    check_finite(values, "a value", 3)


def test_a_body_that_takes_too_long_is_interrupted_even_if_it_catches_the_error_once():
    def stubborn():
        for _ in range(2):
            try:
                time.sleep(60)
            except TookTooLong:
                if _ == 1:
                    raise

    with pytest.raises(TookTooLong, match=r"took longer than 0\.1 s"), time_limit(0.1):
        stubborn()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    signal.raise_signal(signal.SIGALRM)  # one that comes late does no harm


def test_somebody_elses_alarm_is_left_alone():
    def other(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGALRM, other)
    try:
        with time_limit(0.01):
            time.sleep(0.05)
        assert signal.getsignal(signal.SIGALRM) is other
    finally:
        signal.signal(signal.SIGALRM, before)
