"""The process of the command is killed, as when a machine is switched off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rllib_recattn.checkpoint_files import iteration_of
from rllib_recattn.experiment.records.run_directory import find_unfinished_run, newest_checkpoint
from tests.faults.experiments import results, write_experiment
from tests.programs import RLLIB_PROGRAM


@pytest.mark.slow
def test_resume_goes_on_after_sigkill(tmp_path):
    file = write_experiment(tmp_path, config={"num_env_runners": 0}, stop={"training_iteration": 25})
    command = [sys.executable, "-u", "-c", RLLIB_PROGRAM, "train", "file", str(file), "--ray-num-cpus", "2"]
    # Tune stores its record of a run, and the results, every ten seconds; so often that there is something to lose.
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "0.1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        for line in process.stdout:
            if line.split()[:1] == ["8"]:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    run_dir = find_unfinished_run(tmp_path / "results", "faulty")
    reported = results(run_dir)
    assert reported
    (file_of_results,) = run_dir.glob("*/result.json")
    lines = file_of_results.read_text().splitlines()
    done = iteration_of(newest_checkpoint(run_dir))

    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, env=os.environ)
    assert resumed.returncode == 0, resumed.stderr
    assert "Resuming " in resumed.stdout
    history = results(run_dir)
    assert [each["training_iteration"] for each in history] == list(range(1, 26)), "one is missing, or is there twice"
    kept = sum(line in lines for line in file_of_results.read_text().splitlines())
    assert kept > 0, "it began again"
    assert file_of_results.read_text().splitlines()[:kept] == lines[:kept], "a result has been lost"
    assert kept == min(done, len(lines)), "not that is done again what came after the newest checkpoint"
    assert Path(run_dir, "summary.json").is_file()
