"""What is going to be compared: sizes, learning rates, budgets, and what goes on with what is there."""

from __future__ import annotations

import pytest

from rllib_recattn.comparing.budget import read_budget
from rllib_recattn.comparing.plan import plan_comparison
from rllib_recattn.comparing.rates import rates_to_try
from rllib_recattn.comparing.settings import write_settings
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment
from tests.comparing.cases import plan_of, write_experiment


def test_models_have_as_many_parameters_as_the_files_and_its_settings(tmp_path):
    plan = plan_of(tmp_path, ["gla", "lstm", {"name": "gtrxl", "memory_length": 8}, "memoryless"])
    own, *others = plan.contenders
    assert (own.searched, own.model) == (False, plan.experiment.model)
    for contender in others:
        assert contender.searched
        assert contender.parameters == pytest.approx(own.parameters, rel=0.15), contender.label
        assert (contender.model.max_seq_len, contender.model.encoder) == (8, own.model.encoder)
        variant = plan.experiment_of(plan.compared_run(contender, 1, 0.001))
        assert variant.config == {**plan.experiment.config, "lr": 0.001, "seed": 1}
    assert [each.label for each in others] == ["lstm", "gtrxl (memory_length 8)", "memoryless"]
    assert others[1].model.settings["n_layers"] == 1
    given = plan_of(tmp_path, ["gla", "gru"], parameters=20_000, directory=tmp_path / "other").contenders
    assert [each.parameters for each in given] == pytest.approx([20_000] * 2, rel=0.15)


def test_search_runs_have_seeds_of_their_own_and_half_the_budget(tmp_path):
    plan = plan_of(tmp_path, lr_search="3", lr_search_seeds=2)
    runs = plan.search_runs(plan.contenders[0])
    assert [(run.rate, run.seed, run.steps) for run in runs] == [
        (rate, seed, 2_000) for rate in (0.00095, 0.003, 0.0095) for seed in (1000, 1001)
    ]
    assert len({run.path for run in runs}) == 6
    assert plan_of(tmp_path, lr_search="off").search_runs(plan.contenders[0]) == []
    assert rates_to_try("1e-4,3e-4", 0.1) == [1e-4, 3e-4]
    assert rates_to_try(3, [[0, 0.001], [1000, 0.0]])[2] == [[0, 0.0032], [1000, 0.0]]


@pytest.mark.parametrize(
    ("text", "steps", "seconds"),
    [
        ("300k", 300_000, None),
        ("1.5M", 1_500_000, None),
        ("300_000", 300_000, None),
        ("20m", None, 1200),
        ("2h", None, 7200),
    ],
)
def test_budgets(text, steps, seconds):
    assert (read_budget(text).steps, read_budget(text).seconds) == (steps, seconds)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"budget": "300 apples"}, "budget = '300 apples': should be environment steps"),
        ({"budget": "0k"}, "budget = '0k': should be"),
        ({"seeds": 0}, "seeds = 0: should be a whole number, 1 to 1,000"),
        ({"lr_search": "2"}, "lr_search = 2: should be off, an odd number"),
        ({"lr_search": "1e-3,fast"}, "lr_search = '1e-3,fast': should be off"),
        ({"episodes": 0}, "episodes = 0: should be"),
        ({"parameters": 0}, "parameters = 0: should be a whole number ≥ 1"),
        ({"models": []}, "models: should name at least one"),
        ({"models": ["gla", "gla"]}, "models: 'gla' is named twice"),
        ({"models": ["glaa"]}, "unknown model 'glaa': did you mean 'gla'"),
        ({"models": [{"name": "gla", "convv": 4}]}, "unknown setting 'convv'"),
        ({"models": [{"conv_size": 4}]}, "the setting 'name' is missing"),
    ],
)
def test_what_is_wrong_is_said_with_key_and_value(tmp_path, options, problem):
    with pytest.raises(SettingsError) as caught:
        plan_of(tmp_path, **options)
    assert problem in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"lr": "    lr: {grid_search: [0.001, 0.01]}"}, "is a sweep (config.lr)"),
        ({"lr": "    lr: 0.003\n  tune: {num_samples: 2}"}, "is a sweep (tune.num_samples = 2)"),
        ({"lr": "    lr: 0.003\nsecond:\n  run: PPO"}, "expected one experiment, found 2: recall, second"),
    ],
)
def test_sweeps_and_several_experiments_are_refused(tmp_path, changed, problem):
    with pytest.raises(SettingsError) as caught:
        plan_comparison(load_experiment(write_experiment(tmp_path, **changed)), ["gru"], directory=tmp_path / "out")
    assert problem in str(caught.value)


def test_other_settings_than_those_that_are_there_are_refused(tmp_path):
    write_settings(plan_of(tmp_path).settings, tmp_path / "out")
    assert set(plan_of(tmp_path, ["gla", "lstm"], seeds=5).settings.models) == {"gla", "gru", "lstm"}
    for options, said in (
        ({"budget": "5k"}, "budget = '5k', and not '4k' as there"),
        ({"episodes": 300}, "episodes = 300, and not 200 as there"),
        ({"lr_search": 3}, "rates = [0.00095, 0.003, 0.0095], and not [0.003] as there"),
    ):
        with pytest.raises(SettingsError) as caught:
            plan_of(tmp_path, **options)
        assert said in str(caught.value)
        assert "name another directory with --output" in str(caught.value)
    path = write_experiment(tmp_path, num_epochs="    num_epochs: 3")
    with pytest.raises(SettingsError, match=r"config\.num_epochs = 3, and not 2 as there"):
        plan_comparison(
            load_experiment(path), ["gla"], budget="4k", directory=tmp_path / "out", lr_search="off", episodes=200
        )
