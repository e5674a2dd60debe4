"""The ``tune`` block of an experiment, and what of it goes together."""

from __future__ import annotations

import importlib.util

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment, load_variant
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.definition.top_level import Overrides
from rllib_recattn.experiment.definition.yaml_file import dump_yaml

CONTENT = {
    "run": "PPO",
    "env": "CartPole-v1",
    "stop": {"training_iteration": 20},
    "config": {"lr": {"loguniform": [1e-5, 1e-3]}, "gamma": {"choice": [0.9, 0.99]}},
}


@pytest.fixture
def load(tmp_path):
    def load(overrides=None, **changes):
        path = tmp_path / "x.yaml"
        path.write_text(dump_yaml({"exp": {**CONTENT, "storage_path": str(tmp_path), **changes}}))
        return load_experiment(path, overrides)

    return load


@pytest.fixture
def refusal(load):
    def refusal(**changes):
        with pytest.raises(SettingsError) as error:
            load(**changes)
        return str(error.value)

    return refusal


@pytest.fixture
def installed(monkeypatch):
    """Makes packages that are extras seem to be installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: True)


def test_without_a_block_there_is_one_trial(load):
    experiment = load(config={})
    assert not experiment.is_sweep
    assert experiment.tune.num_samples == 1
    assert experiment.tune.metric == "env_runners/episode_return_mean"
    assert experiment.checkpoint.frequency == 0


def test_the_experiment_holds_the_first_values_its_space_and_what_was_written(load):
    experiment = load()
    assert experiment.is_sweep
    assert experiment.config == {"lr": 1e-5, "gamma": 0.9}
    assert list(experiment.space) == ["config.lr", "config.gamma"]
    assert experiment.content["config"] == CONTENT["config"]


def test_a_variant_has_its_choices_and_no_space(load):
    variant = load_variant(load(), {"config.gamma": 0.99, "config.lr": 0.0005})
    assert variant.config == {"lr": 0.0005, "gamma": 0.99}
    assert not variant.is_sweep


def test_an_experiment_survives_json(load):
    tune = {"scheduler": {"asha": {"grace_period": 2}}, "num_samples": 3}
    experiment = load(tune=tune, config={"lr": 1e-3, "seed": 1})
    again = Experiment.model_validate_json(experiment.model_dump_json())
    assert again == experiment
    assert load_variant(again, {"config.seed": 3}).config["seed"] == 3


def test_keys_of_older_experiments_are_moved_in(load):
    experiment = load(num_samples=3, time_budget_s=60)
    assert (experiment.tune.num_samples, experiment.tune.time_budget_s) == (3, 60)


@pytest.mark.parametrize("changes", [{"metric": "episode_reward_mean"}, {"tune": {"metric": "episode_reward_mean"}}])
def test_a_metric_of_older_experiments_has_its_present_name(load, changes):
    experiment = load(**changes)
    assert experiment.tune.metric == "env_runners/episode_return_mean"
    assert [note for note in experiment.notes if "'episode_reward_mean' is called 'env_runners/" in note]


def test_evaluation_can_be_the_metric(load):
    metric = "evaluation/env_runners/episode_return_mean"
    assert load(tune={"metric": metric}, config={**CONTENT["config"], "evaluation_interval": 1}).tune.metric == metric


def test_a_key_in_both_places_is_refused(refusal):
    assert "'num_samples' is given twice, also in 'tune'" in refusal(num_samples=3, tune={"num_samples": 2})


def test_the_command_line_has_the_last_word(load):
    assert load(Overrides(num_samples=5), num_samples=3).tune.num_samples == 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fifo", "fifo"),
        ("asha", "asha"),
        ("async_hyperband", "asha"),
        ("hyperband", "hyperband"),
        ("median_stopping_rule", "median"),
        ("pbt", "pbt"),
    ],
)
def test_schedulers_by_name(load, name, kind):
    experiment = load(tune={"scheduler": name, "num_samples": 2}, config={"lr": {"uniform": [0, 1]}})
    assert experiment.tune.scheduler.name == kind


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", {"asha": {"time_attr": "training_iteration"}}])
def test_the_longest_time_is_the_stop_criterion(load, scheduler):
    assert load(tune={"scheduler": scheduler}).tune.scheduler.max_t == 20


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"scheduler": {"pbt": {"hyperparam_mutations": {"lr": [1e-3, 1e-4]}}}},
            "pbt: unknown setting 'hyperparam_mutations': write searches in the places of their values",
        ),
        ({"num_sample": 2}, "tune: unknown setting 'num_sample': did you mean 'num_samples'?"),
        ({"num_samples": 0}, "tune: num_samples = 0: "),
        ({"num_samples": "2"}, "tune: num_samples = '2': "),
        ({"mode": "maximum"}, "tune: mode = 'maximum': "),
        ({"metric": "env_runners/succes_rate"}, "unknown metric: did you mean 'env_runners/success_rate'?"),
        (
            {"metric": "evaluation/env_runners/episode_return_mean"},
            "never comes without config.evaluation_interval; set it",
        ),
        ({"search_alg": {"random": {"sed": 1}}}, "search_alg.random: unknown setting 'sed': valid are: random_state"),
        ({"scheduler": {"fifo": {"name": "asha"}}}, "scheduler.fifo: unknown setting 'name': valid are: time_attr"),
        ({"time_budget_s": -1}, "tune: time_budget_s = -1: "),
        ({"max_concurrent_trials": 0}, "tune: max_concurrent_trials = 0: "),
        ({"scheduler": "ashaa"}, "tune.scheduler: unknown name 'ashaa': did you mean 'asha'?"),
        ({"scheduler": 3}, "tune.scheduler = 3: should be a name, or {name: {argument: value}}"),
        ({"scheduler": {"asha": 3}}, "tune.scheduler.asha = 3: should be a mapping"),
        ({"scheduler": {"asha": {"max_time": 3}}}, "tune.scheduler.asha: unknown setting 'max_time'"),
        ({"scheduler": {"asha": {"grace_period": 30}}}, "grace_period = 30: should be at most max_t = 20"),
        ({"scheduler": {"asha": {"reduction_factor": 1}}}, "tune.scheduler.asha: reduction_factor = 1"),
        (
            {"scheduler": {"asha": {"time_attr": "training_iterations"}}},
            "time_attr = 'training_iterations': did you mean 'training_iteration'?",
        ),
        ({"scheduler": {"asha": {"time_attr": "time_total_s"}}}, "max_t is missing: say when a trial ends at the"),
        ({"scheduler": {"pbt": {"quantile_fraction": 0.7}}}, "tune.scheduler.pbt: quantile_fraction = 0.7"),
        ({"scheduler": "pbt"}, "num_samples = 1: should be at least 2, the size of pbt's population"),
        ({"search_alg": "optunaa"}, "tune.search_alg: unknown name 'optunaa': did you mean 'optuna'?"),
        ({"search_alg": {"random": {"seed": 1}}}, "tune.search_alg.random: unknown setting 'seed'"),
    ],
)
def test_what_is_wrong_is_named(refusal, installed, block, message):
    assert message in refusal(tune=block)


@pytest.mark.parametrize(
    ("tune", "domain", "message"),
    [
        ({"search_alg": "optuna"}, {"grid_search": [1, 2]}, "config.lr: optuna cannot take grid_search: write choice"),
        ({"search_alg": "optuna"}, {"qloguniform": [1, 2, 1]}, "optuna cannot take qloguniform: write loguniform"),
        ({"search_alg": "optuna"}, {"randn": [0, 1]}, "optuna cannot take randn: write uniform"),
        ({"search_alg": "hyperopt"}, {"grid_search": [1, 2]}, "hyperopt cannot take grid_search: write choice"),
        ({"scheduler": "pbt"}, {"grid_search": [1, 2]}, "pbt cannot take grid_search: write choice"),
        ({"scheduler": "pb2"}, {"choice": [1, 2]}, "pb2 cannot take choice: write uniform"),
        ({"scheduler": "pbt", "search_alg": "optuna"}, {"uniform": [0, 1]}, "pbt chooses values by itself"),
        ({"scheduler": "pbt"}, 0.1, "pbt has nothing to choose"),
        ({"search_alg": "optuna"}, 0.1, "optuna has nothing to choose"),
    ],
)
def test_what_does_not_go_together_is_refused(refusal, installed, tune, domain, message):
    assert message in refusal(tune={"num_samples": 2, **tune}, config={"lr": domain})


@pytest.mark.parametrize(
    ("tune", "package"),
    [({"search_alg": "optuna"}, "optuna"), ({"search_alg": "hyperopt"}, "hyperopt"), ({"scheduler": "pb2"}, "sklearn")],
)
def test_a_missing_package_is_said_with_how_to_install_it(refusal, monkeypatch, tune, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, parent=None: None if name == package else True)
    extra = {"sklearn": "pb2"}.get(package, package)
    assert f"needs a package that is missing: pip install 'rllib-recattn[{extra}]'" in refusal(tune=tune)


def test_reusing_actors_is_refused(load, refusal):
    assert "reuse_actors = True: there is no such setting" in refusal(reuse_actors=True)
    assert any("reuse_actors" in note for note in load(reuse_actors=False).notes)


def test_keys_that_json_cannot_hold_are_refused_in_sweeps_only(load, refusal):
    config = {"evaluation_config": {"explore": False}, "model_config": {"fcnet_hiddens": [8], 3: 1}}
    assert "config.model_config: the key 3 should be a string" in refusal(config={**config, "lr": {"uniform": [0, 1]}})


def test_trials_save_checkpoints_to_be_resumed_from(load):
    assert (load().checkpoint.frequency, load().checkpoint.num_to_keep) == (5, 2)
    assert load(checkpoint={"frequency": 0}).checkpoint.frequency == 0
    assert load(tune={"scheduler": "pbt", "num_samples": 2}).checkpoint.num_to_keep == 10
