"""Which trials belong together, and what tells them apart."""

from __future__ import annotations

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.records.trial_settings import group_trials, settings_of, short_names, value_text
from rllib_recattn.experiment.records.trials import read_trials
from tests.experiment.records.run_directories import SWEEP, write_experiment, write_sweep, write_trial

SINGLE = (
    "tmaze: {{run: PPO, env: rllib_recattn/TMaze-v0, stop: {{training_iteration: 3}}, "
    "model: {{name: {model}, d_model: 16}}, config: {{seed: {seed}, lr: {lr}}}}}"
)


def runs(directory, *settings):
    """Write runs of one trial each; returns their trials."""
    for index, (model, lr, seed) in enumerate(settings):
        run_dir = directory / f"run-{index}"
        write_experiment(run_dir, SINGLE.format(model=model, lr=lr, seed=seed))
        write_trial(run_dir, 0, [0.5])
    return [trial for index in range(len(settings)) for trial in read_trials(directory / f"run-{index}")]


def members(groups):
    return {label: [trial.directory.parent.name for trial in trials] for label, trials in groups.items()}


def test_seeds_come_together(tmp_path):
    groups = group_trials(runs(tmp_path, ("gru", 1e-3, 0), ("gru", 1e-3, 1), ("lstm", 1e-3, 0)))
    assert members(groups) == {"gru": ["run-0", "run-1"], "lstm": ["run-2"]}


def test_a_label_has_no_more_than_it_takes(tmp_path):
    groups = group_trials(runs(tmp_path, ("gru", 1e-3, 0), ("gru", 2e-3, 1), ("lstm", 1e-3, 0), ("lstm", 2e-3, 0)))
    assert list(groups) == ["gru, lr = 0.001", "gru, lr = 0.002", "lstm, lr = 0.001", "lstm, lr = 0.002"]


def test_trials_that_are_all_alike_have_the_experiments_name(tmp_path):
    assert members(group_trials(runs(tmp_path, ("gru", 1e-3, 0), ("gru", 1e-3, 1)))) == {"tmaze": ["run-0", "run-1"]}


def test_a_key_pools_all_that_have_the_same_value_there(tmp_path):
    trials = runs(tmp_path, ("gru", 1e-3, 0), ("gru", 2e-3, 1), ("lstm", 1e-3, 0))
    assert members(group_trials(trials, "config.lr")) == {"lr = 0.001": ["run-0", "run-2"], "lr = 0.002": ["run-1"]}
    with pytest.raises(SettingsError, match=r"--group-by 'config.lrr': no trial has this setting: .*'config.lr'\?"):
        group_trials(trials, "config.lrr")


def test_the_choices_of_a_sweep_count_and_hide_what_the_first_variant_had(tmp_path):
    trials = read_trials(write_sweep(tmp_path / "run"))
    settings = settings_of(trials[1])
    assert (settings["model.name"], settings["model.max_seq_len"], settings["model.burn_in"]) == ("gru", 8, 0)
    assert "model" not in settings
    assert settings["config.lr"] == 2e-5
    assert list(group_trials(trials, "model")) == ["agalite", "gru"]


@pytest.fixture
def schedules(tmp_path):
    """Trials of which each has a learning rate of its own inside a schedule."""
    text = SWEEP.replace("lr: {loguniform: [1e-5, 1e-2]}", "lr: [[0, {loguniform: [1e-5, 1e-2]}], [1000, 1e-6]]")
    write_experiment(tmp_path / "run", text)
    for index, lr in enumerate((0.00123456, 0.002, 0.002)):
        write_trial(tmp_path / "run", index, [0.5], {"model": "gru", "config.lr[0][1]": lr})
    return read_trials(tmp_path / "run")


def test_choices_inside_lists_are_in_the_setting_that_they_belong_to(schedules):
    settings = settings_of(schedules[1])
    assert settings["config.lr"] == [[0, 0.002], [1000, 1e-6]]
    assert "config.lr[0][1]" not in settings


@pytest.mark.parametrize("by", [None, "config.lr"])
def test_other_choices_inside_a_list_are_another_group(schedules, by):
    groups = group_trials(schedules, by)
    sizes = {label: len(trials) for label, trials in groups.items()}
    assert sizes == {"lr = [[0, 0.001235], [1000, 1e-06]]": 1, "lr = [[0, 0.002], [1000, 1e-06]]": 2}


def test_a_choice_is_a_key_to_group_by(schedules):
    assert list(group_trials(schedules, "config.lr[0][1]")) == ["lr[0][1] = 0.001235", "lr[0][1] = 0.002"]


def test_a_choice_under_an_old_name_counts(tmp_path):
    text = SWEEP.replace("minibatch_size: 64", "sgd_minibatch_size: {choice: [32, 64]}")
    write_experiment(tmp_path / "run", text)
    for index, size in enumerate((32, 64)):
        write_trial(tmp_path / "run", index, [0.5], {"config.sgd_minibatch_size": size})
    trials = read_trials(tmp_path / "run")
    assert [settings_of(trial)["config.sgd_minibatch_size"] for trial in trials] == [32, 64]
    assert len(group_trials(trials)) == 2


def test_models_of_sweeps_and_of_single_runs_come_together_by_their_name(tmp_path):
    trials = [*read_trials(write_sweep(tmp_path / "run")), *runs(tmp_path, ("lstm", 1e-3, 0), ("gru", 1e-3, 0))]
    groups = group_trials(trials, "model.name")
    assert {label: len(members) for label, members in groups.items()} == {"agalite": 2, "gru": 3, "lstm": 1}
    assert not any("auto" in label for label in group_trials(trials)), "both have the same encoder"


def test_who_lacks_the_setting_of_a_group_is_no_group_without_a_name(tmp_path):
    trials = runs(tmp_path, ("gru", 1e-3, 0), ("lstm", 1e-3, 0))
    write_trial(tmp_path / "other", 0, [0.5])
    groups = group_trials([*trials, *read_trials(tmp_path / "other")], "config.lr")
    assert list(groups) == ["lr = 0.001", "lr = –"]


def test_runs_of_other_programs_are_told_apart_by_their_parameters(tmp_path):
    for index, lr in enumerate((1e-3, 1e-3, 5e-4)):
        write_trial(tmp_path / "run", index, [0.5], {"lr": lr})
    assert [len(group) for group in group_trials(read_trials(tmp_path / "run")).values()] == [2, 1]


def test_short_names_are_as_long_as_needed():
    keys = ["model.name", "model.d_model", "config.lr", "config.a.size", "config.b.size"]
    assert list(short_names(keys).values()) == ["model", "d_model", "lr", "a.size", "b.size"]


def test_values_are_short():
    values = [0.00034567, 16, "gru", None, True, [1, 2], [[0, 0.00034567], "a"]]
    assert [value_text(value) for value in values] == [
        "0.0003457",
        "16",
        "gru",
        "–",
        "true",
        "[1, 2]",
        '[[0, 0.0003457], "a"]',
    ]
