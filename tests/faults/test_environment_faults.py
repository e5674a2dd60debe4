"""Training survives an environment that raises, hangs or returns NaN, or ends with a message that helps."""

from __future__ import annotations

import pytest

from tests.faults.experiments import assert_nothing_lost, results, run
from tests.faults.faulty_env import FAULTY

HANG_S = 3
SAID = {
    "raise": "raised RuntimeError: the motor is broken, at ",
    "hang": f"took longer than {HANG_S} s",
    "nan_observation": "returned an observation that is nan at (1,)",
    "infinite_reward": "returned a reward that is inf",
}
ADVICE = {
    "raise": "mend the environment, or have it end the episode",
    "hang": "mend the environment, or raise config.sample_timeout_s",
    "nan_observation": "let the environment return finite numbers",
    "infinite_reward": "let the environment return finite numbers",
}


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "num_env_runners"), [("raise", 1), ("hang", 1), ("nan_observation", 0)])
def test_a_fault_that_comes_once_is_survived_and_said(ray_session, tmp_path, capsys, fault, num_env_runners):
    config = {
        "env_config": {"fault": fault, "once": str(tmp_path / "once")},
        "num_env_runners": num_env_runners,
        "sample_timeout_s": HANG_S if fault == "hang" else 60,
    }
    result = run(tmp_path, stop={"training_iteration": 5}, config=config)
    output = capsys.readouterr().out
    assert result.status == "finished", output
    assert_nothing_lost(result.run_dir, 5)
    said = [sentence for each in results(result.run_dir) for sentence in each.get("faults", [])]
    assert len(said) == 1
    assert said[0].startswith(f"The environment {FAULTY} {SAID[fault]}")
    assert said[0].endswith(f"EnvRunner {num_env_runners})")
    assert f"Survived: {said[0]}" in output.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "num_env_runners"),
    [("raise", 0), ("raise", 2), ("hang", 2), ("nan_observation", 2), ("infinite_reward", 0)],
)
def test_a_fault_that_always_comes_ends_training(ray_session, tmp_path, capsys, fault, num_env_runners):
    config = {
        "env_config": {"fault": fault},
        "num_env_runners": num_env_runners,
        "sample_timeout_s": HANG_S if fault == "hang" else 60,
        "num_consecutive_env_runner_failures_tolerance": 1,
    }
    result = run(tmp_path, config=config)
    output = capsys.readouterr().out
    assert result.status == "failed"
    assert result.exit_code == 1
    assert f"The environment {FAULTY} {SAID[fault]}" in output
    assert "step 5 of the episode" in output or "in the steps 5, 5 of their episodes" in output
    assert "Failure 2 in a row; num_consecutive_env_runner_failures_tolerance = 1" in output
    assert f"What to do: {ADVICE[fault]}" in output


@pytest.mark.slow
def test_impala_survives_a_fault_as_well_and_ends_with_one_that_always_comes(ray_session, tmp_path, capsys):
    config = {"rollout_fragment_length": 20, "min_time_s_per_iteration": 1, "minibatch_size": None}
    for always in (False, True):
        fault = {"fault": "raise"} if always else {"fault": "raise", "once": str(tmp_path / "once")}
        stop = {"training_iteration": 12}  # a busy machine asks after its EnvRunners some iterations later
        result = run(tmp_path, run="IMPALA", stop=stop, config={**config, "env_config": fault})
        output = capsys.readouterr().out
        assert result.status == ("failed" if always else "finished"), output
        assert ("Failure 4 in a row" in output) == always
        assert ("Survived: The environment" in output) != always


@pytest.mark.slow
def test_an_env_runner_that_cannot_be_interrupted_is_replaced(ray_session, tmp_path, capsys, until_survived):
    config = {
        "env_config": {"fault": "deaf", "once": str(tmp_path / "once")},
        "sample_timeout_s": 2,
        "env_runner_health_probe_timeout_s": 4,
        "sync_filters_on_rollout_workers_timeout_s": 1,
    }
    until_survived("has been started again")
    result = run(tmp_path, stop={"training_iteration": 5000}, config=config)
    output = capsys.readouterr().out
    assert result.status == "interrupted", output
    assert_nothing_lost(result.run_dir)
    assert "did not answer for 8 s and could not be interrupted: it was replaced." in output
