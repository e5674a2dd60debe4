"""Schedulers and search algorithms as an experiment describes them, and what they remember of a resumed trial."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
from ray import cloudpickle
from ray.rllib.algorithms.ppo import PPO
from ray.train import Checkpoint
from ray.train._internal.session import _TrainingResult
from ray.train._internal.storage import StorageContext
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from rllib_recattn.experiment.definition.domain import parse_domain
from rllib_recattn.experiment.training import schedulers
from rllib_recattn.experiment.training.interrupt import PauseOnInterrupt, handle_interrupts, request_interrupt
from rllib_recattn.experiment.training.schedulers import WithinBounds, make_scheduler
from rllib_recattn.experiment.training.searchers import (
    SeededSearcher,
    make_searcher,
    number_of_trials,
    tune_samples,
    tune_space,
)
from rllib_recattn.experiment.training.trial import choices_of, trial_class, trial_directory_name
from rllib_recattn.rl_module.algorithms import ALGORITHMS
from tests.experiment.training.sweeps import GRU, LSTM, load_sweep

METRIC = "env_runners/episode_return_mean"


@pytest.fixture(autouse=True)
def _no_earlier_interrupt():
    with handle_interrupts():
        yield


@pytest.fixture
def scheduler(tmp_path):
    def scheduler(block, **config):
        config = config or {"lr": {"uniform": [1e-4, 1e-2]}}
        experiment = load_sweep(tmp_path, config=config, tune={"num_samples": 4, "scheduler": block})
        made = cloudpickle.loads(cloudpickle.dumps(make_scheduler(experiment)))  # as Tune does
        assert made.set_search_properties(METRIC, "max")
        return made

    return scheduler


class FakeTrial(SimpleNamespace):
    """A trial as far as schedulers look at it; with a history it is one that is resumed."""

    def __init__(self, name, directory=None, history=(), status=Trial.PENDING):
        super().__init__(trial_id=name, relative_logdir=directory and name, status=status)
        self.config, self.evaluated_params, self.experiment_tag = {}, {}, ""
        checkpoints = SimpleNamespace(checkpoint_config=SimpleNamespace(num_to_keep=9))
        self.run_metadata = SimpleNamespace(checkpoint_manager=checkpoints)
        self.latest_checkpoint_result = None
        if directory:
            self.storage = SimpleNamespace(trial_fs_path=str(directory / name))
            (directory / name).mkdir()
            lines = [json.dumps(nested(iteration, value)) + "\n" for iteration, value in history]
            (directory / name / "result.json").write_text("".join(lines))

    def is_finished(self):
        return self.status in (Trial.TERMINATED, Trial.ERROR)

    __hash__ = object.__hash__


def nested(iteration, value):
    return {"training_iteration": iteration, "env_runners": {"episode_return_mean": value}}


def flat(iteration, value):
    return {"training_iteration": iteration, METRIC: value}


CONTROLLER = SimpleNamespace(search_alg=None, get_trials=list, get_live_trials=list)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("fifo", "PauseOnInterrupt"),
        ("asha", "Asha"),
        ("hyperband", "HyperBand"),
        ("median", "Median"),
        ("pbt", "Pbt"),
    ],
)
def test_every_scheduler_pauses_on_an_interrupt(scheduler, block, kind):
    made = scheduler(block)
    assert isinstance(made, PauseOnInterrupt)
    assert type(made).__name__ == kind
    trial = FakeTrial("a")
    made.on_trial_add(CONTROLLER, trial)
    request_interrupt()
    assert made.on_trial_result(CONTROLLER, trial, flat(1, 1.0)) == TrialScheduler.PAUSE
    assert made.choose_trial_to_run(CONTROLLER) is None


def test_arguments_reach_the_scheduler(scheduler):
    asha = scheduler({"asha": {"max_t": 50, "grace_period": 5, "reduction_factor": 2, "brackets": 2}})
    assert (asha._max_t, asha._reduction_factor, len(asha._brackets)) == (50, 2, 2)
    block = {"pbt": {"perturbation_interval": 3, "perturbation_factors": [2, 0.5]}}
    pbt = scheduler(block, gamma={"choice": [0.9, 0.99]})
    assert (pbt._perturbation_interval, pbt._perturbation_factors) == (3, (2, 0.5))
    assert pbt._hyperparam_mutations == {"config.gamma": [0.9, 0.99]}


@pytest.mark.parametrize(("history", "decision"), [([(1, 5.0), (2, 6.0)], "STOP"), ([], "CONTINUE")])
def test_asha_goes_on_to_compare_with_what_was_before(scheduler, tmp_path, history, decision):
    asha = scheduler({"asha": {"grace_period": 1, "max_t": 9}})
    finished = FakeTrial("finished", tmp_path, history, Trial.TERMINATED)
    worse = FakeTrial("worse")
    for trial in (finished, worse):
        asha.on_trial_add(CONTROLLER, trial)
    assert asha.on_trial_result(CONTROLLER, worse, flat(1, 1.0)) == decision


@pytest.mark.parametrize(("history", "decision"), [([(1, 5.0), (2, 6.0)], "STOP"), ([], "CONTINUE")])
def test_median_goes_on_to_compare_with_what_was_before(scheduler, tmp_path, history, decision):
    median = scheduler({"median": {"grace_period": 1, "min_samples_required": 1}})
    finished = FakeTrial("finished", tmp_path, history, Trial.TERMINATED)
    worse = FakeTrial("worse")
    for trial in (finished, worse):
        median.on_trial_add(CONTROLLER, trial)
    assert median.on_trial_result(CONTROLLER, worse, flat(2, 1.0)) == decision


def test_hyperband_waits_for_no_trial_that_is_through(scheduler, tmp_path):
    hyperband = scheduler("hyperband")
    hyperband.on_trial_add(CONTROLLER, FakeTrial("finished", tmp_path, [(1, 5.0)], Trial.TERMINATED))
    assert hyperband._trial_info == {}


@pytest.mark.parametrize("block", ["fifo", "asha", "hyperband", "median", "pbt"])
def test_a_resumed_trial_that_had_met_a_stop_criterion_is_through(scheduler, tmp_path, block):
    made = scheduler(block)
    heard, live = [], set()
    controller = SimpleNamespace(
        search_alg=SimpleNamespace(on_trial_complete=lambda name, result: heard.append((name, result))),
        get_trials=list,
        get_live_trials=lambda: live,
    )
    storage = StorageContext(str(tmp_path), "experiment", trial_dir_name="trial")
    for iteration, own in ((1, True), (2, False), (2, True)):
        trial = Trial("PPO", storage=storage, stub=True, stopping_criterion={"training_iteration": 2})
        trial.relative_logdir = storage.trial_dir_name
        directory = Path(storage.trial_fs_path if own else storage.experiment_fs_path, "checkpoint_000000")
        trial.on_checkpoint(_TrainingResult(checkpoint=Checkpoint(str(directory)), metrics=nested(iteration, 5.0)))
        live.add(trial)
        made.on_trial_add(controller, trial)
        is_through = own and iteration == 2
        assert trial.status == (Trial.TERMINATED if is_through else Trial.PENDING)
        assert (trial in live) != is_through
    assert heard == [(trial.trial_id, {**flat(2, 5.0), "done": True, "trial_id": trial.trial_id})]
    assert trial.last_result["done"]
    if block == "hyperband":
        assert trial not in made._trial_info


@pytest.mark.parametrize("value", [math.nan, None])
@pytest.mark.parametrize("block", ["asha", "hyperband", "median", "pbt"])
def test_an_iteration_in_which_no_episode_ends_decides_nothing(scheduler, block, value):
    made = scheduler(block)
    trials = [FakeTrial("a"), FakeTrial("b")]
    for trial in trials:
        made.on_trial_add(CONTROLLER, trial)
    made.on_trial_result(CONTROLLER, trials[0], flat(1, 1.0))
    result = {key: item for key, item in flat(1, value).items() if item is not None}
    assert made.on_trial_result(CONTROLLER, trials[1], result) != TrialScheduler.STOP
    if block == "asha":
        assert all(set(recorded) <= {"a"} for bracket in made._brackets for _, recorded in bracket._rungs)


def test_a_population_does_not_exchange_at_once_when_it_is_resumed(scheduler, tmp_path):
    pbt = scheduler({"pbt": {"perturbation_interval": 4}})
    trial = FakeTrial("a", tmp_path, [(iteration, 1.0) for iteration in range(1, 7)])
    pbt.on_trial_add(CONTROLLER, trial)
    assert pbt._trial_state[trial].last_perturbation_time == 4
    assert pbt._trial_state[trial].last_train_time == 6


def test_what_a_population_changes_stays_in_its_domain():
    within = WithinBounds(
        {
            "config.gamma": parse_domain("uniform", [0.9, 1], ""),
            "config.num_epochs": parse_domain("randint", [1, 5], ""),
            "config.grad_clip": parse_domain("choice", [None, 1], ""),
        }
    )
    config = {"config.gamma": 1.19, "config.num_epochs": 6.3, "config.grad_clip": None, "experiment": "x"}
    assert within(config) == {"config.gamma": 1.0, "config.num_epochs": 4, "config.grad_clip": None, "experiment": "x"}


class FakeSearcher(Searcher):
    def __init__(self):
        super().__init__()
        self.heard = []

    def set_search_properties(self, metric, mode, config, **spec):
        return True

    def suggest(self, trial_id):
        return {"config.lr": 0.1}

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.heard.append((trial_id, result, error))


def test_a_search_algorithm_gets_seeds_and_hears_of_no_result_that_is_none(tmp_path):
    inner = FakeSearcher()
    searcher = SeededSearcher(inner, [3, 4, 5])
    searcher.set_search_properties(METRIC, "max", {})
    assert searcher.suggest("a") == {"config.lr": 0.1, "config.seed": 3}
    searcher.on_trial_complete("a", flat(1, math.nan))
    searcher.on_trial_complete("b", flat(1, 1.0))
    searcher.on_trial_complete("c", {})
    assert inner.heard == [("a", None, True), ("b", flat(1, 1.0), False), ("c", None, True)]
    searcher.save(str(tmp_path / "state"))
    restored = SeededSearcher(FakeSearcher(), [])
    restored.restore(str(tmp_path / "state"))
    assert restored.suggest("d")["config.seed"] == 4


def test_the_space_is_flat_and_has_a_seed_for_each_sample(tmp_path):
    experiment = load_sweep(
        tmp_path,
        model={"grid_search": [GRU, LSTM]},
        config={"seed": 1, "lr": {"uniform": [0, 1]}},
        tune={"num_samples": 3},
    )
    space = tune_space(experiment)
    assert list(space) == ["model", "config.lr", "config.seed"]
    assert space["model"] == {"grid_search": ["gru", "lstm"]}
    assert space["config.seed"] == {"grid_search": [1, 2, 3]}
    assert (number_of_trials(experiment), tune_samples(experiment)) == (6, 1)


def test_the_seed_of_the_experiment_is_that_of_the_search(tmp_path):
    def searcher(seed, **arguments):
        return make_searcher(load_sweep(tmp_path, config={"seed": seed}, tune={"num_samples": 2, **arguments}))

    def draw(made):
        return made._random_state.integers(10**6)

    assert draw(searcher(1)) == draw(searcher(1)) != draw(searcher(2))
    assert draw(searcher(1, search_alg={"random": {"random_state": 2}})) == draw(searcher(2))


def test_seeds_of_a_grid_repeat_what_was_drawn_at_random(tmp_path):
    seeds = {"lr": {"uniform": [0, 1]}, "seed": {"grid_search": [5, 6, 7]}}
    experiment = load_sweep(tmp_path, config=seeds, tune={"num_samples": 2})
    drawn = _drawn(experiment)
    assert [choices["config.seed"] for choices in drawn] == [5, 6, 7] * 2
    rates = [choices["config.lr"] for choices in drawn]
    assert rates == [rates[0]] * 3 + [rates[3]] * 3
    assert rates[0] != rates[3]
    seeds["seed"] = 5
    samples = [choices["config.lr"] for choices in _drawn(load_sweep(tmp_path, config=seeds, tune={"num_samples": 2}))]
    assert len(set(samples)) == 2, "the seed of a sample is its own, and so is what was drawn for it"


def _drawn(experiment):
    """The choices of all trials, as Tune draws them."""
    searcher = make_searcher(experiment)
    run = {"run": "PPO", "config": tune_space(experiment), "num_samples": tune_samples(experiment)}
    searcher.add_configurations({"x": run})
    return [choices_of(searcher.next_trial().config) for _ in range(number_of_trials(experiment))]


@pytest.mark.parametrize(
    ("trial_id", "tag", "name"),
    [
        ("ab12c_00003", "3_lr=1", "trial_00003"),
        ("ab12c_00003", "3_lr=1@perturbed[lr=2]", "trial_00003"),
        ("ab12c_00000", "0", "trial_00000"),
        ("f00ba412", "4_lr=1", "trial_00003"),
    ],
)
def test_directories_are_numbered(trial_id, tag, name):
    assert trial_directory_name(SimpleNamespace(trial_id=trial_id, experiment_tag=tag)) == name


def test_choices_are_told_from_the_rest_of_a_config():
    config = {"config.lr": 1, "model": "gru", "config.x[0].y": 2, "experiment": "x", "__trial_info__": 3, "model2": 1}
    assert choices_of(config) == {"config.lr": 1, "model": "gru", "config.x[0].y": 2}


def test_every_algorithm_has_its_trial_and_a_trial_is_its_own():
    for algorithm in ALGORITHMS:
        algo_class = algorithm.config().algo_class
        trial = trial_class(algo_class)
        assert trial.__name__ == f"{algo_class.__name__}Trial"
        assert issubclass(trial, algo_class)
        assert trial_class(trial) is trial


def test_a_loaded_checkpoint_does_not_bring_another_trials_learning_rate(ray_session, tmp_path):
    # 64 steps are half of the way down.
    schedules = [[[0, 0.01], [128, 0.0]], [[0, 0.001], [128, 0.0]]]
    experiment = load_sweep(tmp_path, config={"lr": {"choice": [0.005, 0.0005, *schedules]}})
    path = tmp_path / "experiment.json"
    path.write_text(experiment.model_dump_json())

    def trial(lr):
        return trial_class(PPO)({"config.lr": lr, "experiment": str(path)})

    def rate(algorithm):
        (result,) = algorithm.learner_group.foreach_learner(
            lambda learner: learner._get_optimizer_lr(learner._named_optimizers["default_policy_default_optimizer"])
        )
        return result.get()

    labels = experiment.space["config.lr"].labels
    trials = [trial(label) for label in labels]
    try:
        for better, worse, rates in ((*trials[:2], (0.005, 0.0005)), (*trials[2:], (0.005, 0.0005))):
            checkpoint = tmp_path / str(better.config.lr)
            better.train()
            better.save_checkpoint(str(checkpoint))
            worse.load_checkpoint(str(checkpoint))
            assert (rate(better), rate(worse)) == pytest.approx(rates)
    finally:
        for each in trials:
            each.stop()


def test_the_scheduler_module_knows_all_schedulers_that_can_be_named():
    from rllib_recattn.experiment.definition.schedulers import SCHEDULERS

    assert set(SCHEDULERS) == {"fifo"} | {
        name.lower() for name in vars(schedulers) if name in ("Asha", "HyperBand", "Median", "Pbt", "Pb2")
    }


@pytest.mark.parametrize(("name", "package"), [("pbt", "ray"), ("pb2", "sklearn")])
@pytest.mark.parametrize("seed", [3, {"randint": [0, 9]}])
def test_a_trial_that_takes_over_another_ones_checkpoint_keeps_its_seed(scheduler, monkeypatch, name, package, seed):
    pytest.importorskip(package)
    made = scheduler({name: {}}, lr={"uniform": [1e-4, 1e-2]}, seed=seed)
    searched = made._hyperparam_mutations if name == "pbt" else made._hyperparam_bounds
    assert list(searched) == ["config.lr"]
    if name == "pb2":  # whose own choice needs a history of results
        explored = staticmethod(lambda data, bounds, current, base, old, config: (dict(config), data))
        monkeypatch.setattr("ray.tune.schedulers.pb2._explore", explored)
        made.data = pandas.DataFrame({"Time": [1.0]})
    trial, donor = FakeTrial("a"), FakeTrial("b")
    trial.config = {"config.lr": 1e-3, "config.seed": 4, "experiment": "x"}
    donor.config = {"config.lr": 2e-3, "config.seed": 3, "experiment": "x"}
    config, _ = made._get_new_config(trial, donor)
    assert config["config.seed"] == 4
    assert config["experiment"] == "x"
    del trial.config["config.seed"], donor.config["config.seed"]
    assert "config.seed" not in made._get_new_config(trial, donor)[0]
