"""A run goes on after its process was killed at a bad moment: what is left is set right first."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path

import pytest
from ray import cloudpickle

from rllib_recattn.checkpoint_files import INCOMPLETE_FILE
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.checkpoints.recorded_checkpoints import mend_recorded_checkpoints
from rllib_recattn.experiment.definition.spec import CheckpointBlock
from rllib_recattn.experiment.records.metrics import read_results
from rllib_recattn.experiment.records.run_lock import training_in
from rllib_recattn.experiment.training.progress.report import ProgressReport
from rllib_recattn.experiment.training.run import run_experiment
from tests.experiment.training.loggers.test_loggers import events


def record_of(run_dir):
    (path,) = run_dir.glob("experiment_state-*.json")
    return path, json.loads(path.read_text())


def read(stored):
    return cloudpickle.loads(bytes.fromhex(stored["value"]))


def make_stale(run_dir, numbers, index):
    """Let the record list other checkpoints than there are, as if it had been written some iterations ago."""
    path, record = record_of(run_dir)
    trial, metadata = map(json.loads, record["trial_data"][0])
    manager, storage = read(metadata["checkpoint_manager"]), read(trial["storage"])
    assert len(manager._checkpoint_results) == len(numbers)
    for result, number in zip(manager._checkpoint_results, numbers, strict=True):
        result.checkpoint.path = f"{Path(result.checkpoint.path).parent}/checkpoint_{number:06d}"
    storage.current_checkpoint_index = index
    for holder, key, value in ((trial, "storage", storage), (metadata, "checkpoint_manager", manager)):
        holder[key]["value"] = cloudpickle.dumps(value).hex()
    record["trial_data"][0] = (json.dumps(trial), json.dumps(metadata))
    path.write_text(json.dumps(record))
    return record


@pytest.fixture(scope="module")
def interrupted(ray_session, small_experiment, tmp_path_factory):
    """A run of three iterations of six, with its last two checkpoints."""
    directory = tmp_path_factory.mktemp("interrupted")
    experiment = small_experiment(directory, iterations=6)
    experiment = experiment.model_copy(update={"checkpoint": CheckpointBlock(frequency=1, num_to_keep=2)})
    report = ProgressReport.on_trial_result

    def on_trial_result(self, *, result, **info):
        if result["training_iteration"] == 2:  # too late for this one, in time for the next
            signal.raise_signal(signal.SIGINT)
        report(self, result=result, **info)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressReport, "on_trial_result", on_trial_result)
        result = run_experiment(experiment, build_config(experiment))
    assert result.status == "interrupted"
    return experiment, result.run_dir


@pytest.fixture
def run_dir(interrupted, tmp_path):
    """A copy of the run, elsewhere."""
    return Path(shutil.copytree(interrupted[1], tmp_path / "results" / interrupted[1].name))


def names(directory):
    return sorted(path.name for path in directory.glob("*/checkpoint_*"))


def test_a_run_goes_on_from_what_there_is_and_no_iteration_is_there_twice(interrupted, run_dir, capsys):
    experiment = interrupted[0]
    before = [result["training_iteration"] for result in read_results(run_dir)]
    assert before == [1, 2, 3]
    assert names(run_dir) == ["checkpoint_000001", "checkpoint_000002"]
    make_stale(run_dir, (0, 1), 1)
    trial = run_dir / "trial_00000"
    # What the killed process had reported after its last checkpoint, and half a line.
    last = json.loads((trial / "result.json").read_text().splitlines()[-1])
    with (trial / "result.json").open("a") as file:
        file.write(json.dumps({**last, "training_iteration": 4}) + '\n{"training_iteration": 5, "don')
    rows = list(csv.DictReader((trial / "progress.csv").open()))
    with (trial / "progress.csv").open("a", newline="") as file:
        csv.DictWriter(file, list(rows[0])).writerow({**rows[-1], "training_iteration": 4})

    result = run_experiment(experiment, build_config(experiment), resume=run_dir)
    output = capsys.readouterr()
    assert result.status == "finished", output
    assert "rror" not in output.out + output.err
    assert [each["training_iteration"] for each in read_results(run_dir)] == [1, 2, 3, 4, 5, 6]
    assert (trial / "result.json").read_text().count("\n") == 6
    rows = list(csv.DictReader((trial / "progress.csv").open()))
    assert [int(row["training_iteration"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for row, each in zip(rows, read_results(run_dir), strict=True):
        assert float(row["time_total_s"]) == each["time_total_s"], "its columns are others'"
    assert names(run_dir) == ["checkpoint_000004", "checkpoint_000005"]
    starts = [event.step for event in events(trial) if event.HasField("session_log")]
    assert starts == [last["num_env_steps_sampled_lifetime"] + 1]


def test_a_trial_that_had_met_a_stop_criterion_trains_no_further(interrupted, run_dir):
    experiment = interrupted[0]
    # Tune keeps files of a run in one place for all runs of that name that one Ray has seen.
    run_dir = run_dir.rename(run_dir.with_name(f"through-{run_dir.name}"))
    path, record = record_of(run_dir)
    trial = json.loads(record["trial_data"][0][0])
    trial |= {"stopping_criterion": {"training_iteration": 3}, "status": "RUNNING"}  # killed before it was through
    record["trial_data"][0][0] = json.dumps(trial)
    path.write_text(json.dumps(record))
    result = run_experiment(experiment, build_config(experiment), resume=run_dir)
    assert result.status == "finished"
    assert [each["training_iteration"] for each in read_results(run_dir)] == [1, 2, 3]
    assert result.metrics["training_iteration"] == 3
    assert names(run_dir) == ["checkpoint_000001", "checkpoint_000002"]


def test_a_run_that_still_trains_is_not_taken_over(interrupted, run_dir):
    with training_in(run_dir), pytest.raises(SettingsError, match=r"is still training, process \d+ on host"):
        run_experiment(interrupted[0], build_config(interrupted[0]), resume=run_dir)
    assert record_of(run_dir)[1] == record_of(interrupted[1])[1], "something was changed"


def test_a_right_record_stays(run_dir):
    record = record_of(run_dir)[1]
    assert not mend_recorded_checkpoints(record, run_dir)
    assert record == record_of(run_dir)[1]


def test_a_checkpoint_that_was_not_written_to_the_end_is_not_gone_on_from(run_dir):
    (run_dir / "trial_00000" / "checkpoint_000002" / INCOMPLETE_FILE).touch()
    record = record_of(run_dir)[1]
    assert mend_recorded_checkpoints(record, run_dir)
    trial, metadata = map(json.loads, record["trial_data"][0])
    manager = read(metadata["checkpoint_manager"])
    assert [Path(each.checkpoint.path).name for each in manager._checkpoint_results] == ["checkpoint_000001"]
    assert Path(manager._latest_checkpoint_result.checkpoint.path).name == "checkpoint_000001"
    assert read(trial["storage"]).current_checkpoint_index == 2


def test_a_trial_without_a_checkpoint_begins_anew(run_dir):
    for path in run_dir.glob("*/checkpoint_*"):
        shutil.rmtree(path)
    record = record_of(run_dir)[1]
    assert mend_recorded_checkpoints(record, run_dir)
    manager = read(json.loads(record["trial_data"][0][1])["checkpoint_manager"])
    assert manager._checkpoint_results == []
    assert manager._latest_checkpoint_result is None


def test_the_checkpoint_of_another_trial_is_gone_on_from(run_dir):
    """As population-based training does."""
    other = run_dir / "trial_00001" / "checkpoint_000007"
    shutil.copytree(run_dir / "trial_00000" / "checkpoint_000002", other)
    record = make_stale(run_dir, (0, 1), 1)
    trial, metadata = map(json.loads, record["trial_data"][0])
    manager = read(metadata["checkpoint_manager"])
    latest = type(manager._latest_checkpoint_result)
    manager._latest_checkpoint_result = latest(type(manager._checkpoint_results[0].checkpoint)(str(other)), {})
    metadata["checkpoint_manager"]["value"] = cloudpickle.dumps(manager).hex()
    record["trial_data"][0] = (json.dumps(trial), json.dumps(metadata))
    assert mend_recorded_checkpoints(record, run_dir)
    manager = read(json.loads(record["trial_data"][0][1])["checkpoint_manager"])
    assert manager._latest_checkpoint_result.checkpoint.path == str(other)
