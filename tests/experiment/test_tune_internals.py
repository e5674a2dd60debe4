"""What Ray Tune keeps to itself is still there: each function gets Tune's own objects.

A new version of Ray that breaks one fails here with the sentence that a user would read.
"""

from __future__ import annotations

import inspect
import json
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.rllib.algorithms.algorithm import Algorithm
from ray.train import Checkpoint, CheckpointConfig
from ray.train._internal.checkpoint_manager import _CheckpointManager
from ray.train._internal.storage import StorageContext
from ray.tune import Callback, ResultGrid
from ray.tune.analysis.experiment_analysis import ExperimentAnalysis
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, TBXLoggerCallback
from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, MedianStoppingRule, PopulationBasedTraining
from ray.tune.schedulers.pb2 import PB2
from ray.tune.search import Searcher
from ray.tune.utils import serialization
from ray.tune.utils.serialization import TuneFunctionEncoder

from rllib_recattn.experiment.tune_internals import bases, loggers, records, schedulers, trials
from rllib_recattn.private_names import MissingNameError, private
from rllib_recattn.tested_versions import UntestedVersionWarning
from tests.internals import functions_of
from tests.typed_bases import expected_of

MODULES = (loggers, records, schedulers, trials)
SCORE = {"metric": "score", "mode": "min"}
SCHEDULERS = [
    AsyncHyperBandScheduler(**SCORE),
    HyperBandScheduler(**SCORE),
    MedianStoppingRule(**SCORE),
    PopulationBasedTraining(**SCORE, hyperparam_mutations={"lr": [1, 2]}, perturbation_interval=4),
    PB2(**SCORE, hyperparam_bounds={"lr": [0, 1]}, perturbation_interval=4),
]


@pytest.fixture
def trial(ray_session, tmp_path):
    tune.register_trainable("of the internals", tune.Trainable)
    storage = StorageContext(str(tmp_path), "experiment", trial_dir_name="trial")
    trial = Trial("of the internals", storage=storage)
    trial.init_local_path()
    return trial


def test_objects_in_json():
    written = json.loads(json.dumps({"it": {1}}, cls=TuneFunctionEncoder))["it"]
    assert records.unpickled(written) == {1}
    assert records.pickled({1}) == written


def test_checkpoints_of_a_trial(tmp_path):
    manager = _CheckpointManager(CheckpointConfig())
    result = records.checkpoint_result(tmp_path, None, {"training_iteration": 1})
    assert isinstance(result.checkpoint, Checkpoint)
    assert (records.listed_checkpoints(manager), records.latest_checkpoint(manager)) == ([], None)
    records.list_checkpoints(manager, [result])
    records.set_latest_checkpoint(manager, result)
    assert (manager.best_checkpoint_results, manager.latest_checkpoint_result) == ([result], result)


def test_decisions_on_trials(ray_session, tmp_path):
    controller = TuneController(storage=StorageContext(str(tmp_path), "experiment"), reuse_actors=False)
    controller._cached_trial_decisions["a"] = "STOP"
    record = {"runner_data": json.loads(json.dumps(controller.__getstate__(), cls=TuneFunctionEncoder))}
    assert records.decisions_on_trials(record) == {"a": "STOP"}
    with pytest.raises(MissingNameError, match="record of a run has no _cached_trial_decisions, which rllib_recattn"):
        records.decisions_on_trials({"runner_data": {}})


def test_forgetting_encoded_texts(monkeypatch):
    before = serialization.log_once
    with records.forgetting_encoded_texts():
        assert serialization.log_once("a text") is False
    assert serialization.log_once is before
    assert "log_once(" in inspect.getsource(TuneFunctionEncoder), (
        "Tune's TuneFunctionEncoder does not call log_once, by which rllib_recattn keeps it from remembering texts"
    )
    monkeypatch.delattr(serialization, "log_once")
    with pytest.warns(UntestedVersionWarning, match="has no log_once, which"), records.forgetting_encoded_texts():
        pass


def test_trials_of(tmp_path, trial):
    (tmp_path / "experiment_state-x.json").write_text("{}")
    trial.update_last_result({"training_iteration": 1})
    analysis = ExperimentAnalysis(str(tmp_path), trials=[trial])
    assert records.trials_of(ResultGrid(analysis)) == [trial]


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda scheduler: type(scheduler).__name__)
def test_what_schedulers_compare(scheduler):
    assert schedulers.metric_of(scheduler) == "score"
    if not isinstance(scheduler, MedianStoppingRule):  # compares by itself
        assert schedulers.score(scheduler, 2) == -2
    assert schedulers.time_attribute(scheduler) in ("training_iteration", "time_total_s")


def test_what_schedulers_remember(trial):
    asha, _, median, *populations = SCHEDULERS
    asha.on_trial_add(None, trial)
    assert callable(schedulers.bracket_of(asha, trial).on_result)
    schedulers.results_of(median, trial).append({"score": 1})
    assert median._results[trial] == [{"score": 1}]
    for scheduler in populations:
        scheduler.on_trial_add(SimpleNamespace(search_alg=None), trial)
        schedulers.begin_population_member(scheduler, trial, 10)
        state = scheduler._trial_state[trial]
        assert (state.last_train_time, state.last_perturbation_time) == (10, 8)


def test_set_target():
    searcher = Searcher()
    schedulers.set_target(searcher, "score", "max")
    assert (searcher.metric, searcher.mode) == ("score", "max")


def test_csv(trial):
    logger = CSVLoggerCallback()
    assert not loggers.open_csv(logger, trial)
    logger.log_trial_result(1, trial, {"a": 1})
    logger.log_trial_end(trial)
    assert loggers.open_csv(logger, trial)
    loggers.write_columns(logger, trial, ["a", "b"])
    logger._trial_csv[trial].writerow({"a": 2, "b": 3})
    logger.log_trial_end(trial)
    assert Path(trial.local_path, "progress.csv").read_text().split() == ["a", "1", "2,3"]


def test_purging():
    logger = TBXLoggerCallback()
    make = logger._summary_writer_cls
    with loggers.purging(logger, 5):
        changed = logger._summary_writer_cls
    assert isinstance(changed, partial)
    assert (changed.func, changed.keywords, logger._summary_writer_cls) == (make, {"purge_step": 5}, make)
    with loggers.purging(logger, None):
        assert logger._summary_writer_cls is make


def test_mlflow(tmp_path):
    logger = MLflowLoggerCallback(tracking_uri=f"sqlite:///{tmp_path}/runs.db", experiment_name="bees")
    logger.setup()
    loggers.mlflow_runs(logger)["a trial"] = "a run"
    assert hasattr(loggers.mlflow_client(logger), "set_tag")


def test_wandb():
    logger = WandbLoggerCallback("a project")
    ended = []
    logger._trial_queues = {"a": SimpleNamespace(put=ended.append), "b": SimpleNamespace(put=ended.append)}
    loggers.end_wandb_runs(logger)
    assert len(ended) == 2


def test_files_of_loggers():
    wrapper, logger = Callback(), JsonLoggerCallback()
    loggers.take_over_files(wrapper, logger)
    assert wrapper._SAVED_FILE_TEMPLATES == logger._SAVED_FILE_TEMPLATES != []


def test_storage_of():
    assert trials.storage_of(tune.Trainable()) is None


@pytest.mark.parametrize("override", trials.OVERRIDES, ids=lambda override: f"{override.base}.{override.name}")
def test_methods_that_are_replaced_are_there(override):
    override.check()


NOT_OF_AN_OBJECT = {"pickled", "unpickled", "checkpoint_result", "decisions_on_trials", "forgetting_encoded_texts"}
FUNCTIONS = functions_of(MODULES)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - NOT_OF_AN_OBJECT))
def test_an_object_without_the_name_is_refused_with_a_sentence(name):
    """As a new version of Tune would have them."""
    function = FUNCTIONS[name]
    arguments = [SimpleNamespace() for _ in inspect.signature(function).parameters]
    with pytest.raises(MissingNameError, match=r"SimpleNamespace has no \w+, which rllib_recattn needs to "):
        function(*arguments).__enter__()  # those that return a context do nothing before


def test_each_function_is_tried_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert not [name for name in FUNCTIONS if not re.search(rf"\.{name}\(", text)]


def test_algorithms_have_what_the_mixins_of_trials_expect():
    for name in expected_of(bases, "AlgorithmBase"):
        private(Algorithm, name, "to make trials out of algorithms")
