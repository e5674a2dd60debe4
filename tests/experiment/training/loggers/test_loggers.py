"""What Tune's loggers write: every setting, over environment steps."""

from __future__ import annotations

import json
import sqlite3
from types import SimpleNamespace

import pytest
from ray import tune
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.training.loggers.trial_loggers import TrialSettings, check_services, logger_callbacks
from tests.experiment.records.run_directories import SWEEP

CHOICES = {"model": "gru", "config.lr": 0.002}


@pytest.fixture
def sweep(tmp_path):
    """Makes the experiment of a sweep, with a logging block."""

    def make(logging="{}", text=SWEEP):
        file = tmp_path / "experiment.yaml"
        file.write_text(f"{text}  logging: {logging}\n  storage_path: {tmp_path}\n")
        return load_experiment(file)

    return make


@pytest.fixture
def run(ray_session, tmp_path, monkeypatch):
    """Runs a trial that reports three results, with the loggers of an experiment; returns its directory."""
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")

    def train(config):
        for iteration in (1, 2, 3):
            tune.report(
                {
                    "num_env_steps_sampled_lifetime": 1000.0 * iteration,
                    "env_runners": {"success_rate": iteration / 4, "episode_return_mean": float("nan")},
                }
            )

    def run(experiment, choices=CHOICES):
        tuner = tune.Tuner(
            train,
            param_space={key: tune.choice([value]) for key, value in choices.items()} | {"experiment": "x.json"},
            tune_config=tune.TuneConfig(trial_dirname_creator=lambda trial: "trial_00000"),
            run_config=tune.RunConfig(
                # Tune keeps the files of runs of one name that begin in the same second in one place at first.
                name=tmp_path.name,
                storage_path=str(tmp_path),
                callbacks=logger_callbacks(experiment),
                verbose=0,
            ),
        )
        assert not tuner.fit().errors
        return tmp_path / tmp_path.name / "trial_00000"

    return run


def events(directory):
    """Read TensorBoard's newest file in a directory: records of a length, a checksum, the event, a checksum."""
    # Each name tells when its file was begun. Tune copies all of them into place when a run ends, in no order.
    file = max(directory.glob("events.out.tfevents.*"), key=lambda path: path.name)
    data = file.read_bytes()
    while data:
        length = int.from_bytes(data[:8], "little")
        event = data[12 : 12 + length]
        assert int.from_bytes(data[12 + length : 16 + length], "little") == masked_crc32c(event)
        yield Event.FromString(event)
        data = data[16 + length :]


def test_the_settings_of_a_trial_are_all_that_it_was_trained_with(sweep):
    settings = TrialSettings(sweep())(SimpleNamespace(config={**CHOICES, "experiment": "x.json"}))
    assert settings["model"] == settings["model.name"] == "gru"
    assert settings["config.lr"] == 0.002
    assert settings["env"] == "rllib_recattn/TMaze-v0"
    assert settings["config.env_config.corridor_length"] == 3
    assert settings["model.n_layers"] == 1, "a default of the model's"
    assert settings["model.d_model"] == 16


def test_tensorboard_counts_environment_steps(run, sweep):
    directory = run(sweep())
    found = list(events(directory))
    points = [
        (event.step, value.simple_value)
        for event in found
        for value in event.summary.value
        if value.tag == "ray/tune/env_runners/success_rate" and event.step
    ]
    assert points == [(1000, 0.25), (2000, 0.5), (3000, 0.75)]
    assert not any("episode_return_mean" in value.tag for event in found for value in event.summary.value)


def test_csv_and_json_are_tunes(run, sweep):
    directory = run(sweep("{tensorboard: false}"))
    assert sorted(path.name for path in directory.iterdir()) == [
        *("params.json", "params.pkl", "progress.csv", "result.json")
    ]
    assert json.loads((directory / "params.json").read_text()) == {**CHOICES, "experiment": "x.json"}
    assert len((directory / "progress.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_mlflow_gets_every_setting_and_counts_environment_steps(run, sweep, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="an extra of this package")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run(sweep("{mlflow: {tags: {team: red}}}"))
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("select name from experiments where name != 'Default'").fetchall() == [("memory",)]
        params = dict(database.execute("select key, value from params"))
        points = database.execute(
            "select step, value from metrics where key = 'env_runners/success_rate' order by step"
        ).fetchall()
        tags = dict(database.execute("select key, value from tags"))
        runs = database.execute("select name, status from runs").fetchall()
    assert params["model.name"] == "gru"
    assert params["model.n_layers"] == "1"
    assert params["config.lr"] == "0.002"
    assert points == [(1000, 0.25), (2000, 0.5), (3000, 0.75)]
    assert tags["team"] == "red"
    assert runs == [("trial_00000", "FINISHED")]


@pytest.mark.slow
def test_mlflow_takes_choices_inside_lists(run, sweep, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="an extra of this package")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    text = SWEEP.replace("lr: {loguniform: [1e-5, 1e-2]}", "lr: [[0, {loguniform: [1e-5, 1e-2]}], [1000, 1e-5]]")
    run(sweep("{mlflow: {}}", text), {"model": "gru", "config.lr[0][1]": 0.002})
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        params = dict(database.execute("select key, value from params"))
        metrics = dict(database.execute("select key, count(*) from metrics group by key"))
        runs = database.execute("select name, status from runs").fetchall()
    assert params["config.lr.0.1"] == "0.002"
    assert params["config.lr"] == "[[0, 0.002], [1000, 1e-05]]"
    assert params["model.n_layers"] == "1", "what follows a name that MLflow would refuse"
    assert metrics["config/config.lr.0.1"] == 3
    assert runs == [("trial_00000", "FINISHED")]


@pytest.mark.slow
def test_mlflow_has_the_newest_of_settings_that_change(sweep, tmp_path, monkeypatch):
    """As population-based training changes them, when a trial goes on from another one's checkpoint."""
    pytest.importorskip("mlflow", reason="an extra of this package")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    text = SWEEP.replace("  tune: {", "  tune: {scheduler: pbt, ", 1).replace("grid_search:", "choice:")
    assert "pbt" in text
    logger = logger_callbacks(sweep("{mlflow: {}, tensorboard: false}", text))[-1]
    logger.setup()
    trial = type("Trial", (), {"trial_id": "1", "config": {**CHOICES, "experiment": "x.json"}, "experiment_tag": "0_x"})
    logger.on_trial_start(iteration=0, trials=[trial], trial=trial)
    trial.config["config.lr"] = 0.0005
    logger.on_trial_start(iteration=1, trials=[trial], trial=trial)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        params = dict(database.execute("select key, value from params"))
        tags = dict(database.execute("select key, value from tags"))
    assert tags["config.lr"] == "0.0005"
    assert "config.lr" not in params
    assert params["config.env_config.corridor_length"] == "3"


def test_wandb_is_told_of_the_end_of_trials_that_were_interrupted(sweep, monkeypatch):
    pytest.importorskip("wandb", reason="an extra of this package")
    from ray.air.integrations.wandb import WandbLoggerCallback, _QueueItem

    from rllib_recattn.experiment.training.loggers.wandb_logger import WandbLogger

    told = []
    monkeypatch.setattr(WandbLoggerCallback, "on_experiment_end", lambda *_, **__: told.append("waits"))
    logger = WandbLogger(TrialSettings(sweep()), project="p")
    logger._trial_queues = {"trial": SimpleNamespace(put=lambda item: told.append(item[0]))}
    logger.on_experiment_end([])
    assert told == [_QueueItem.END, "waits"], "else it would wait for its trial until upload_timeout"


@pytest.mark.slow
def test_wandb_gets_every_setting_offline(run, sweep, monkeypatch):
    pytest.importorskip("wandb", reason="an extra of this package")
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    directory = run(sweep("{wandb: {mode: offline, tags: [small]}}"))
    (log,) = directory.glob("wandb/offline-run-*/run-*.wandb")
    records = list(wandb_records(log))
    (begun,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert begun.display_name == "trial_00000"
    config = {update.key: json.loads(update.value_json) for update in begun.config.update}
    assert config["model.name"] == "gru"
    assert config["model.n_layers"] == 1
    assert config["config.lr"] == 0.002
    assert "experiment" not in config
    history = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    assert [point["env_runners/success_rate"] for point in history] == [0.25, 0.5, 0.75]
    assert [point["num_env_steps_sampled_lifetime"] for point in history] == [1000, 2000, 3000]


def wandb_records(file):
    """Read W&B's log, in LevelDB's format: blocks of parts, with a checksum, a length and a type before each."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, record, block = file.read_bytes(), b"", 32768
    at = 7
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(record)
            record = b""


def test_wandb_without_a_key_is_refused_before_anything_starts(sweep, monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="an extra of this package")
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"memory.logging.wandb: no API key: set WANDB_API_KEY, run `wandb login`"):
        check_services(sweep("{wandb: {project: p}}"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    check_services(sweep("{wandb: {project: p}}"))
    monkeypatch.delenv("WANDB_MODE")
    with pytest.raises(SettingsError, match=r"wandb.api_key_file = 'missing': there is no such file"):
        check_services(sweep("{wandb: {api_key_file: missing}}"))
