"""``result.json`` and ``progress.csv``: no iteration is lost, and none stands there twice, whenever a trial starts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from ray import tune
from ray.train import Checkpoint
from ray.train._internal.session import _TrainingResult
from ray.train._internal.storage import StorageContext
from ray.tune.experiment import Trial

from rllib_recattn.checkpoint_files import ITERATION_FILE
from rllib_recattn.experiment.training.loggers.record_loggers import CsvLogger, JsonLogger


def lines(path: Path) -> list[int]:
    return [json.loads(line)["training_iteration"] for line in path.read_text().splitlines()]


def rows(path: Path) -> list[int]:
    with path.open(newline="") as file:
        return [int(row["training_iteration"]) for row in csv.DictReader(file)]


LOGGERS = pytest.mark.parametrize(
    ("make", "file", "iterations"), [(JsonLogger, "result.json", lines), (CsvLogger, "progress.csv", rows)]
)


@pytest.fixture
def trial(ray_session, tmp_path):
    """A trial whose files are written in one place and copied to another."""
    tune.register_trainable("of the records", tune.Trainable)
    storage = StorageContext(str(tmp_path / "storage"), f"{tmp_path.name}-experiment", trial_dir_name="trial")
    trial = Trial("of the records", storage=storage)
    trial.init_local_path()
    assert Path(trial.local_path) != Path(trial.storage.trial_fs_path)
    Path(trial.storage.trial_fs_path).mkdir(parents=True)
    return trial


def log(logger, trial, *iterations):
    for iteration in iterations:
        logger.log_trial_result(iteration, trial, {"training_iteration": iteration})


def copy_to_storage(trial, file):
    Path(trial.storage.trial_fs_path, file).write_bytes(Path(trial.local_path, file).read_bytes())


def save(trial, iteration):
    """Have the trial go on from a checkpoint that was written after an iteration."""
    directory = Path(trial.storage.trial_fs_path, f"checkpoint_{iteration:06d}")
    directory.mkdir()
    (directory / ITERATION_FILE).write_text(f"{iteration}\n")
    metrics = {"training_iteration": iteration}
    trial.on_checkpoint(_TrainingResult(checkpoint=Checkpoint(str(directory)), metrics=metrics))


@LOGGERS
def test_what_the_storage_has_not_got_yet_is_kept(trial, make, file, iterations):
    logger = make()
    logger.log_trial_start(trial)
    log(logger, trial, 1)
    copy_to_storage(trial, file)
    log(logger, trial, 2, 3)
    save(trial, 2)
    logger.log_trial_start(trial)  # it was killed
    log(logger, trial, 3, 4)
    assert iterations(Path(trial.local_path, file)) == [1, 2, 3, 4]


@LOGGERS
def test_another_process_goes_on_with_what_the_storage_has(trial, make, file, iterations):
    logger = make()
    logger.log_trial_start(trial)
    log(logger, trial, 1, 2, 3)
    save(trial, 2)
    copy_to_storage(trial, file)
    logger.log_trial_end(trial)
    Path(trial.local_path, file).unlink()  # as on another machine
    logger = make()
    logger.log_trial_start(trial)
    log(logger, trial, 3)
    assert iterations(Path(trial.local_path, file)) == [1, 2, 3]
