"""What happens in the middle of a sample: callbacks of the user's, and environments that fail."""

from __future__ import annotations

import pytest
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.faults.env_runners import MendingSingleAgentEnvRunner
from tests.rl_module.lean_sampling.both_ways import Lengths, assert_same, config_of, described, run

CALLS = ({"num_timesteps": 13}, {"num_timesteps": 22}, {"num_episodes": 3}, {"num_timesteps": 15})


class Recorder(RLlibCallback):
    """Looks at episodes when they begin and end, and changes them."""

    seen: list = []  # noqa: RUF012 - filled by all of them, emptied by the test

    def on_episode_created(self, *, episode, env_index, **kwargs):
        episode.custom_data["index"] = env_index

    def on_episode_start(self, *, episode, env_index, metrics_logger, **kwargs):
        metrics_logger.log_value("begun", 1, reduce="sum")
        self.seen.append(("start", env_index, described(episode, {})))

    def on_episode_end(self, *, episode, prev_episode_chunks, env_index, **kwargs):
        assert not episode.is_numpy
        self.seen.append(("end", env_index, described(episode, {}), sum(map(len, prev_episode_chunks))))
        self.seen.append(("returns", sum(chunk.get_return() for chunk in [*prev_episode_chunks, episode])))
        episode.set_rewards(new_data=[reward + 100 for reward in episode.get_rewards()])


@pytest.mark.parametrize("previous", [False, True])
def test_callbacks_of_the_users_see_and_change_the_same(previous):
    seen = []
    for lean in (True, False):
        Recorder.seen = []
        config = config_of(
            "gru",
            before=lambda config: config.callbacks(Recorder),
            after=lambda config: config.callbacks(
                callbacks_class=config.callbacks_class, on_episode_end=lambda *, episode, **kwargs: ended(episode)
            ),
            use_prev_reward=previous,
            lean_sampling=lean,
        )
        seen.append((run(config, CALLS), Recorder.seen))
    (found, called), (expected, expected_calls) = seen
    assert_same(found, expected)
    assert_same(called, expected_calls)
    assert len(called) > 20


class Interrupted(RLlibCallback):
    """Raises an error in the middle of the third call, once."""

    def __init__(self):
        super().__init__()
        self.n_calls = 0

    def on_sample_end(self, **kwargs):
        self.n_calls += 1

    def on_episode_end(self, *, episode, **kwargs):
        if self.n_calls == 2:
            self.n_calls += 1
            raise KeyboardInterrupt


def test_after_an_interruption_new_episodes_begin():
    runner = SingleAgentEnvRunner(config=config_of("gru", before=lambda config: config.callbacks(Interrupted)))
    try:
        for _ in range(2):
            runner.sample(num_timesteps=13)
        with pytest.raises(KeyboardInterrupt):
            runner.sample(num_timesteps=100)
        episodes = runner.sample(num_timesteps=13)
        assert sum(map(len, episodes)) >= 13
        assert all(episode.t_started == 0 for episode in episodes)
    finally:
        runner.stop()


class Changes(RLlibCallback):
    """Changes the observation with which an episode begins, now in place and now by another."""

    def on_episode_start(self, *, episode, env_index, **kwargs):
        observation = episode.get_observations(0)
        if env_index == 0:
            observation[:] = 7
        elif env_index == 1:
            episode.set_observations(new_data=observation + 0.5, at_indices=0)
        else:
            episode.set_observations(new_data=observation.astype("float64") / 3, at_indices=0)


def test_an_observation_that_a_callback_changes_at_the_start_stays_changed():
    found, expected = (
        run(config_of("gru", before=lambda config: config.callbacks(Changes), lean_sampling=lean), CALLS)
        for lean in (True, False)
    )
    assert_same(found, expected)


def ended(episode):
    episode.custom_data["last reward"] = episode.get_rewards(-1)


@pytest.mark.parametrize("fails_at", [(1,), (17,), (41, 42)])
def test_after_a_fault_both_go_on_in_the_same_way(fails_at, caplog):
    said, seen = [], []
    for lean in (True, False):
        caplog.clear()
        config = config_of("gru", env_config={"fails_at": fails_at}, lean_sampling=lean)
        config.fault_tolerance(restart_failed_sub_environments=True, num_consecutive_env_runner_failures_tolerance=3)
        runner_reports.clear()
        seen.append(run(config, CALLS, Reporting))
        said.append(list(runner_reports))
        assert Lengths.n_steps > max(fails_at)
    assert_same(*seen)
    assert said[0] == said[1]
    assert len(said[0]) == len(fails_at)
    assert "in the steps" in said[0][0]


runner_reports: list[str] = []


class Reporting(MendingSingleAgentEnvRunner):
    def stop(self):
        runner_reports.extend(self.report_faults().survived)
        super().stop()
