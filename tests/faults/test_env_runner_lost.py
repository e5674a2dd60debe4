"""The process of an EnvRunner is killed in the middle of a sample."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.faults.agents import assert_states_are_the_episodes_own, by_episode, faulty_config
from tests.faults.experiments import STEPS, assert_nothing_lost, results, run
from tests.faults.faulty_env import LENGTH


@pytest.mark.slow
@pytest.mark.parametrize("num_env_runners", [1, 2])
def test_training_goes_on_and_the_env_runner_comes_back(ray_session, tmp_path, capsys, until_survived, num_env_runners):
    # With one EnvRunner nobody is left: training waits. With two it goes on with the other one.
    config = {
        "env_config": {"fault": "kill", "once": str(tmp_path / "once")},
        "num_env_runners": num_env_runners,
        "env_runner_health_probe_timeout_s": 5,
    }
    until_survived("was lost, and has been started again.")
    result = run(tmp_path, stop={"training_iteration": 5000}, config=config)
    output = capsys.readouterr().out
    assert result.status == "interrupted", output
    assert_nothing_lost(result.run_dir)
    steps = [
        each["num_env_steps_sampled_lifetime"]
        for each in results(result.run_dir)
        if each["num_env_steps_sampled_lifetime"]
    ]
    assert all(after - before >= STEPS for before, after in pairwise(steps))


@pytest.mark.slow
def test_impala_waits_for_its_only_env_runner_where_rllib_fails(ray_session, tmp_path, capsys):
    config = {
        "env_config": {"fault": "kill", "once": str(tmp_path / "once"), "back_after_s": 3},
        "num_env_runners": 1,
        "rollout_fragment_length": 20,
        "min_time_s_per_iteration": 1,
        "minibatch_size": None,
        "env_runner_health_probe_timeout_s": 1,
    }
    result = run(tmp_path, run="IMPALA", stop={"num_env_steps_sampled_lifetime": 1000}, config=config)
    output = capsys.readouterr().out
    assert result.status == "finished", output
    assert_nothing_lost(result.run_dir)
    assert "training waited." in output


@pytest.mark.slow
def test_the_process_with_the_learner_is_killed_and_training_resumes_from_the_checkpoint(ray_session, tmp_path, capsys):
    # Without EnvRunners of its own, the trial's process samples, and learns, and is killed.
    config = {"env_config": {"fault": "kill", "in_episode": 10, "once": str(tmp_path / "once")}, "num_env_runners": 0}
    result = run(tmp_path, config=config, max_failures=1)
    output = capsys.readouterr().out
    assert result.status == "finished", output
    history = results(result.run_dir)
    assert [each["training_iteration"] for each in history] == list(range(1, len(history) + 1))
    assert history[-1]["iterations_since_restore"] < len(history), "it was not restored"
    assert "Failure 1: going on from the newest checkpoint." in output
    assert "The actor died" in output


@pytest.mark.slow
def test_the_new_process_starts_new_episodes_from_their_own_states(ray_session, tmp_path):
    config = faulty_config(fault="kill", at_step=9, in_episode=7, once=str(tmp_path / "once")).env_runners(
        num_env_runners=1
    )
    algorithm = config.build_algo()
    try:
        group = algorithm.env_runner_group
        algorithm.train()  # so that the weights are not those of a new module
        chunks, lost = [], 0
        for _ in range(14):
            samples = group.foreach_env_runner(
                lambda env_runner: env_runner.sample(num_timesteps=10), local_env_runner=False
            )
            chunks += [chunk for sample in samples for chunk in sample]
            lost += len(algorithm.restore_env_runners(group))
        assert lost == 1
        episodes = by_episode(chunks)
        began = [parts for parts in episodes.values() if parts[0].t_started == 0]
        assert any(not parts[-1].is_done and sum(map(len, parts)) < LENGTH for parts in began[:-2]), "none was cut"
        module, spaces = algorithm.env_runner.module, algorithm.env_runner.get_spaces()
        assert_states_are_the_episodes_own(config, module, spaces, began)
    finally:
        algorithm.stop()
