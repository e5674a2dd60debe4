"""Running experiments: what is printed, what is written, and how a run ends."""

from __future__ import annotations

import json
import logging
import os

import pytest
import ray

from rllib_recattn.checkpoint_files import iteration_of
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.cluster.ray_session import quiet_ray
from rllib_recattn.experiment.definition.logging_block import LoggingBlock, MlflowBlock
from rllib_recattn.experiment.training import run
from rllib_recattn.experiment.training.loggers.tensorboard_logger import TensorBoardLogger
from rllib_recattn.experiment.training.outcome import resume_command
from rllib_recattn.experiment.training.run import run_experiment


def test_a_finished_run_prints_a_line_per_iteration_and_a_summary(finished_run):
    lines = finished_run.output.splitlines()
    assert lines[0].startswith("Training small-tmaze in ")
    assert lines[1].split() == ["iteration", "env", "steps", "return", "success", "steps/s", "elapsed"]
    assert [line.split()[0] for line in lines[2:4]] == ["1", "2"]
    assert "Budget exhausted, not solved: training_iteration 2 ≥ 2" in lines
    assert any(line.startswith("  rllib evaluate ") and line.endswith(" --episodes 100") for line in lines)
    assert not any("Warning" in line or "WARNING" in line for line in lines)


def test_a_finished_run_leaves_checkpoint_curve_and_summary(finished_run):
    result = finished_run.result
    assert result.status == "finished"
    assert result.exit_code == 0
    assert result.checkpoint == result.run_dir / "trial_00000" / "checkpoint_000000"
    assert iteration_of(result.checkpoint) == 2
    summary = json.loads((result.run_dir / "summary.json").read_text())
    assert summary["solved"] is False
    assert summary["iterations"] == 2
    assert summary["env_steps"] == result.metrics["num_env_steps_sampled_lifetime"] >= 256
    assert (result.run_dir / summary["checkpoint"]).is_dir()
    assert (result.run_dir / summary["learning_curve"]).stat().st_size > 1000
    assert (result.run_dir / "summary.txt").read_text() in finished_run.output
    experiment = json.loads((result.run_dir / "experiment.json").read_text())
    assert experiment["config"]["env_config"] == {"corridor_length": 3, "max_episode_steps": 12}


def test_the_name_links_to_the_run(finished_run):
    link = finished_run.experiment.storage_path / "small-tmaze"
    assert link.is_symlink()
    assert link.resolve() == finished_run.result.run_dir.resolve()
    assert not os.path.isabs(os.readlink(link))


@pytest.mark.parametrize(
    ("ray_options", "written"),
    [
        ((None, None, None), ""),
        ((2, None, None), " --ray-num-cpus 2"),
        ((None, "10.0.0.1:6379", None), " --ray-address 10.0.0.1:6379"),
        ((None, "auto", False), " --ray-address auto --no-ship-package"),
    ],
)
def test_a_run_is_resumed_where_it_was(small_experiment, tmp_path, ray_options, written):
    experiment = small_experiment(tmp_path)
    command = resume_command(experiment, *ray_options)
    assert command == f"rllib train file {experiment.path} --resume --storage-path {experiment.storage_path}{written}"


def test_a_crash_shows_the_error_and_where_its_traceback_is(ray_session, small_experiment, tmp_path, capsys):
    def fail(**kwargs):
        raise RuntimeError("the motor is broken")

    experiment = small_experiment(tmp_path)
    config = build_config(experiment).callbacks(on_sample_end=fail)
    result = run_experiment(experiment, config)
    output = capsys.readouterr().out
    assert result.status == "failed"
    assert result.exit_code == 1
    assert "the motor is broken" in output
    error_file = result.run_dir / "trial_00000" / "error.txt"
    assert str(error_file) in output
    assert "the motor is broken" in error_file.read_text()
    assert not (result.run_dir / "summary.json").exists()


def test_more_cpus_than_there_are_is_refused_before_anything_is_written(ray_session, small_experiment, tmp_path):
    experiment = small_experiment(tmp_path)
    config = build_config(experiment).env_runners(num_env_runners=50)
    with pytest.raises(SettingsError, match=r"needs 51 CPUs .*Ray has 4: lower num_env_runners \(50\)"):
        run_experiment(experiment, config)
    assert not experiment.storage_path.exists()


@pytest.mark.parametrize("resumes", [False, True])
def test_a_database_for_logs_that_is_none_is_refused_before_ray_starts(
    small_experiment, tmp_path, monkeypatch, resumes
):
    pytest.importorskip("mlflow", reason="an extra of this package")
    (tmp_path / "text.db").write_text("no database")
    block = LoggingBlock(mlflow=MlflowBlock(tracking_uri=f"sqlite:///{tmp_path / 'text.db'}"))
    experiment = small_experiment(tmp_path, logging=block)
    monkeypatch.setattr(run, "ray_session", None)
    monkeypatch.setattr(run, "check_resumable", lambda run_dir: None)
    monkeypatch.setattr(run, "find_checkpoint", lambda run_dir: None)
    monkeypatch.setattr(run, "load_config", lambda checkpoint: None)
    with pytest.raises(SettingsError, match=r"small-tmaze.logging.mlflow.tracking_uri = 'sqlite:.*not a database"):
        run_experiment(experiment, build_config(experiment), resume=tmp_path if resumes else None)
    assert not experiment.storage_path.exists()


def test_a_logger_that_cannot_begin_ends_a_run_without_a_trace(ray_session, small_experiment, tmp_path, monkeypatch):
    def fail(self, **info):
        raise OSError("no such server")

    monkeypatch.setattr(TensorBoardLogger, "setup", fail)
    experiment = small_experiment(tmp_path)
    with pytest.raises(SettingsError, match=r"^logging.tensorboard cannot begin: OSError: no such server$"):
        run_experiment(experiment, build_config(experiment))
    assert list(experiment.storage_path.iterdir()) == []


def test_training_goes_on_without_a_logger(ray_session, small_experiment, tmp_path, monkeypatch, capsys):
    def fail(self, **info):
        raise OSError("the server is away")

    monkeypatch.setattr(TensorBoardLogger, "on_trial_start", fail)
    monkeypatch.setattr(TensorBoardLogger, "on_trial_result", fail)
    experiment = small_experiment(tmp_path)
    result = run_experiment(experiment, build_config(experiment))
    assert (result.status, result.metrics["training_iteration"]) == ("finished", 2)
    assert capsys.readouterr().out.count("logging.tensorboard failed, training goes on: OSError: the server") == 1


def test_ray_keeps_running_if_it_ran_before(finished_run):
    assert ray.is_initialized()
    assert ray.cluster_resources()["CPU"] == 4


def test_environment_variables_and_log_levels_are_as_before(finished_run):
    assert "TUNE_DISABLE_SIGINT_HANDLER" not in os.environ
    before = logging.getLogger("ray.rllib").level
    with quiet_ray():
        assert not logging.getLogger("ray.rllib").isEnabledFor(logging.WARNING)
        assert logging.getLogger("ray.rllib").isEnabledFor(logging.ERROR)
    assert logging.getLogger("ray.rllib").level == before
