"""Ctrl-C: what signals do, and that a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import pickle
import shlex
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import tree
from ray.rllib.algorithms.algorithm import Algorithm
from ray.tune.schedulers import TrialScheduler

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.checkpoints.checkpoint import module_directory
from rllib_recattn.experiment.records.metrics import read_history
from rllib_recattn.experiment.records.run_directory import find_unfinished_run
from rllib_recattn.experiment.training.interrupt import (
    PauseOnInterrupt,
    exit_code_of_interrupt,
    handle_interrupts,
    interrupt_requested,
    request_interrupt,
)
from rllib_recattn.experiment.training.progress.report import ProgressReport
from rllib_recattn.experiment.training.run import run_experiment
from tests.programs import RLLIB_PROGRAM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_the_second_ends_at_once(number):
    before = signal.getsignal(number)
    with handle_interrupts():
        assert not interrupt_requested()
        signal.raise_signal(number)
        assert interrupt_requested()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(number) == before


def test_an_earlier_request_does_not_interrupt_a_later_run():
    request_interrupt(signal.SIGTERM)
    assert exit_code_of_interrupt() == 143
    with handle_interrupts():
        assert not interrupt_requested()
        assert exit_code_of_interrupt() == 130


def test_other_threads_may_run_experiments_too():
    errors = []

    def run():
        try:
            with handle_interrupts():
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []


def test_the_scheduler_pauses_a_trial_only_when_asked_to():
    scheduler = pickle.loads(pickle.dumps(PauseOnInterrupt()))
    with handle_interrupts():
        assert scheduler.on_trial_result(None, None, {}) == TrialScheduler.CONTINUE
        request_interrupt()
        assert scheduler.on_trial_result(None, None, {}) == TrialScheduler.PAUSE
        assert scheduler.choose_trial_to_run(None) is None


@pytest.fixture
def interrupt_in(monkeypatch):
    """Sends a signal as the lines of some iterations are printed: too late for those, in time for the next."""

    def interrupt(*iterations, number=signal.SIGINT):
        report = ProgressReport.on_trial_result

        def on_trial_result(self, *, result, **info):
            report(self, result=result, **info)
            if result["training_iteration"] in iterations:
                signal.raise_signal(number)

        monkeypatch.setattr(ProgressReport, "on_trial_result", on_trial_result)

    return interrupt


def assert_equal_states(first, second):
    tree.assert_same_structure(first, second)
    for one, other in zip(tree.flatten(first), tree.flatten(second), strict=True):
        if isinstance(one, float):  # a setting of the optimizer, which before Ray 2.55 comes back as float32
            one, other = np.float32(one), np.float32(other)
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_an_interrupted_run_goes_on_with_the_same_weights_optimizer_and_history(
    ray_session, small_experiment, tmp_path, interrupt_in, monkeypatch, capsys
):
    restored = tmp_path / "restored.pkl"

    def keep_restored_state(*, algorithm, **kwargs):
        restored.write_bytes(pickle.dumps(algorithm.learner_group.get_state()["learner"]))

    experiment = small_experiment(tmp_path, iterations=4)
    config = build_config(experiment).callbacks(on_checkpoint_loaded=keep_restored_state)

    interrupt_in(1)
    interrupted = run_experiment(experiment, config)
    monkeypatch.undo()
    output = capsys.readouterr().out
    assert interrupted.status == "interrupted"
    assert interrupted.exit_code == 130
    assert interrupted.metrics["training_iteration"] == 2
    assert "press Ctrl-C again to stop at once" in output
    assert f"rllib train file {experiment.path} --resume --storage-path {experiment.storage_path}" in output
    assert not (interrupted.run_dir / "summary.json").exists()
    assert not restored.exists()

    run_dir = find_unfinished_run(experiment.storage_path, experiment.name)
    assert run_dir == interrupted.run_dir
    # By now the file may say something else: a longer training, more env runners than there are CPUs.
    changed = experiment.model_copy(update={"stop": {"training_iteration": 100}})
    changed_config = build_config(experiment).env_runners(num_env_runners=50)
    finished = run_experiment(changed, changed_config, resume=run_dir)
    assert finished.status == "finished"
    history = read_history(run_dir)
    assert list(history["training_iteration"]) == [1, 2, 3, 4]
    assert (history["num_env_steps_sampled_lifetime"].diff().dropna() >= 128).all()
    assert history["time_total_s"].is_monotonic_increasing

    learner = interrupted.checkpoint / "learner_group" / "learner"
    state = pickle.loads(restored.read_bytes())
    saved_weights = pickle.loads((module_directory(interrupted.checkpoint) / "module_state.pkl").read_bytes())
    assert_equal_states(state["rl_module"]["default_policy"], saved_weights)
    saved_optimizer = pickle.loads((learner / "state.pkl").read_bytes())["optimizer"]
    assert len(tree.flatten(saved_optimizer)) > len(saved_weights)
    assert_equal_states(state["optimizer"], saved_optimizer)


def test_a_second_signal_ends_at_once_without_a_checkpoint(
    ray_session, small_experiment, tmp_path, interrupt_in, capsys
):
    experiment = small_experiment(tmp_path, iterations=50)
    interrupt_in(1, 2, number=signal.SIGTERM)
    result = run_experiment(experiment, build_config(experiment))
    assert result.status == "interrupted"
    assert result.exit_code == 143
    assert result.checkpoint is None
    lines = capsys.readouterr().out.splitlines()
    assert "Finishing the iteration and saving a checkpoint; send SIGTERM again to stop at once." in lines
    assert not any("Ctrl-C" in line for line in lines)
    assert [line.split()[0] for line in lines if line.split()[0].isdigit()] == ["1", "2"]
    assert lines[-1].startswith("Interrupted")


def test_an_interrupt_before_the_first_iteration_leaves_nothing(
    ray_session, small_experiment, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(ProgressReport, "setup", lambda self, **info: signal.raise_signal(signal.SIGINT))
    experiment = small_experiment(tmp_path)
    result = run_experiment(experiment, build_config(experiment))
    assert result.exit_code == 130
    assert "there is nothing to resume" in capsys.readouterr().out
    assert list(experiment.storage_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_can_be_interrupted_and_resumed(small_experiment, tmp_path):
    experiment = small_experiment(tmp_path, iterations=60)
    command = [sys.executable, "-u", "-c", RLLIB_PROGRAM, "train", "file", str(experiment.path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.split()[:1] == ["1"]:
                process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130, errors
    assert errors == ""
    assert "Finishing the iteration and saving a checkpoint; press Ctrl-C again to stop at once.\n" in lines
    assert lines[-1].startswith("  rllib train file ")

    resume = shlex.split(lines[-1])[1:]
    resumed = subprocess.run([*command[:4], *resume], capture_output=True, text=True, check=True)
    assert resumed.stderr == ""
    run_dir = experiment.storage_path / experiment.name
    assert list(read_history(run_dir)["training_iteration"]) == list(range(1, 61))
    assert (run_dir / "summary.json").exists()


def test_a_checkpoint_continues_outside_of_tune_too(finished_run):
    checkpoint = finished_run.result.checkpoint
    algorithm = Algorithm.from_checkpoint(checkpoint)
    try:
        saved = pickle.loads((module_directory(checkpoint) / "module_state.pkl").read_bytes())
        restored = algorithm.learner_group.get_state()["learner"]["rl_module"]["default_policy"]
        assert_equal_states(restored, saved)
        before = finished_run.result.metrics["num_env_steps_sampled_lifetime"]
        assert algorithm.train()["num_env_steps_sampled_lifetime"] >= before + 128
    finally:
        algorithm.stop()
