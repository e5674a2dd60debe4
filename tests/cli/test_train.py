from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError

CONTENT = "cart: {run: PPO, env: CartPole-v1, stop: {training_iteration: 1}, storage_path: results}"

DEFAULTS = {
    "variants": [],
    "resume": None,
    "ray_num_cpus": None,
    "ray_address": None,
    "ship_package": None,
    "verbose": 0,
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The calls of run_experiment, which does not train but ends as if it were interrupted."""
    calls = []

    def run_experiment(*arguments, **options):
        calls.append((arguments, options))
        return SimpleNamespace(exit_code=130)

    monkeypatch.setattr("rllib_recattn.experiment.training.run.run_experiment", run_experiment)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(CONTENT)
    return calls


def test_the_experiment_is_run_and_its_exit_code_returned(runs, tmp_path):
    result = CliRunner().invoke(main, ["train", "file", "x.yaml"])
    (((experiment, config), options),) = runs
    assert result.exit_code == 130
    assert (experiment.name, experiment.storage_path) == ("cart", tmp_path / "results")
    assert config.env == "CartPole-v1"
    assert options == DEFAULTS


def test_options_are_handed_on(runs):
    CliRunner().invoke(main, ["train", "file", "x.yaml", "--ray-num-cpus", "2", "-vv", "--stop", "time_total_s=5"])
    (((experiment, _), options),) = runs
    assert experiment.stop == {"training_iteration": 1, "time_total_s": 5}
    assert options == {**DEFAULTS, "ray_num_cpus": 2, "verbose": 2}


@pytest.mark.parametrize(
    ("arguments", "environment", "handed_on"),
    [
        (["--ray-address", "auto"], {}, {"ray_address": "auto"}),
        (["--ray-address", "auto", "--no-ship-package"], {}, {"ray_address": "auto", "ship_package": False}),
        ([], {"RAY_ADDRESS": "head:6379"}, {"ray_address": "head:6379"}),
        (["--ray-address", "local"], {"RAY_ADDRESS": "head:6379"}, {}),
        ([], {"RAY_ADDRESS": ""}, {}),
    ],
)
def test_a_cluster_is_named_by_the_option_or_the_environment(runs, arguments, environment, handed_on):
    CliRunner().invoke(main, ["train", "file", "x.yaml", *arguments], env=environment)
    ((_, options),) = runs
    assert options == {**DEFAULTS, **handed_on}


def test_the_number_of_samples_and_all_variants_are_handed_on(runs, tmp_path):
    (tmp_path / "x.yaml").write_text(CONTENT.replace("env:", "config: {gamma: {choice: [0.9, 0.99]}}, env:"))
    CliRunner().invoke(main, ["train", "file", "x.yaml", "--num-samples", "3"])
    (((experiment, config), options),) = runs
    assert experiment.tune.num_samples == 3
    assert [config.gamma, *(variant.gamma for variant in options["variants"])] == [0.9, 0.99]


def test_what_the_run_refuses_is_a_message_too(runs, monkeypatch):
    def refuse(*arguments, **options):
        raise SettingsError("too few CPUs")

    monkeypatch.setattr("rllib_recattn.experiment.training.run.run_experiment", refuse)
    result = CliRunner().invoke(main, ["train", "file", "x.yaml"])
    assert (result.exit_code, result.stderr) == (2, "Error: too few CPUs\n")
