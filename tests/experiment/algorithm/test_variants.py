"""All variants of an experiment are tried before it starts."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm import variants
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.variants import build_variant, build_variants
from rllib_recattn.experiment.definition.load import environments_of, load_experiment
from rllib_recattn.experiment.definition.yaml_file import dump_yaml


@pytest.fixture
def load(tmp_path):
    def load(**changes):
        path = tmp_path / "x.yaml"
        content = {"run": "PPO", "env": "CartPole-v1", "stop": {"training_iteration": 2}, "storage_path": str(tmp_path)}
        path.write_text(dump_yaml({"exp": {**content, **changes}}))
        return load_experiment(path)

    return load


def refusal(experiment):
    with pytest.raises(SettingsError) as error:
        build_variants(experiment)
    return str(error.value)


def test_all_combinations_of_options_and_both_ends_of_ranges_are_built(load):
    configs = build_variants(
        load(
            config={
                "gamma": {"grid_search": [0.9, 0.99]},
                "num_epochs": {"choice": [1, 2, 3]},
                "lr": {"loguniform": [1e-5, 1e-3]},
                "seed": 3,
            },
            num_samples=4,
        )
    )
    assert [(config.gamma, config.num_epochs, config.lr) for config in configs] == [
        (0.9, 1, 1e-5),
        (0.9, 2, 1e-5),
        (0.9, 3, 1e-5),
        (0.99, 1, 1e-5),
        (0.99, 2, 1e-5),
        (0.99, 3, 1e-5),
        (0.9, 1, 1e-3),
    ]


def test_too_many_combinations_are_tried_option_by_option(load):
    names = ("num_epochs", "metrics_num_episodes_for_smoothing")
    configs = build_variants(load(config={name: {"choice": list(range(1, 12))} for name in names}))
    assert len(configs) == 1 + 10 + 10


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"gamma": {"choice": [0.9, 1.5]}}, "gamma = 1.5: should be between 0 and 1 (with config.gamma = 1.5)"),
        ({"num_env_runnerz": {"choice": [1, 2]}}, "unknown setting 'num_env_runnerz': did you mean 'num_env_runners'"),
        ({"lr": {"uniform": [-1, 1]}}, "exp.config: lr = -1.0: should be at least 0"),
        ({"vf_clip_param": {"randn": [1, 1]}}, "should be at least 0 (with config.vf_clip_param = -2.0)"),
        ({"num_epochs": {"uniform": [1, 3.5]}}, "num_epochs = 3.5: should be"),
    ],
)
def test_a_wrong_option_is_named_with_the_choices_that_lead_to_it(load, config, message):
    assert message in refusal(load(config=config))


def test_a_wrong_setting_of_an_environment_is_named(load):
    options = {"choice": [{"sutton_barto_reward": True}, {"colour": "red"}]}
    message = refusal(load(config={"env_config": options}))
    assert "CartPole-v1 has no setting 'colour'" in message
    assert '(with config.env_config = "colour=red")' in message


def test_environments_are_all_built(load):
    environments = ["CartPole-v1", "stateless_cartpole", "minigrid:MiniGrid-MemoryS7-v0"]
    experiment = load(env={"grid_search": environments}, model={"name": "gru", "max_seq_len": 8})
    assert [str(config.env).rpartition(".")[2] for config in build_variants(experiment)] == [
        "CartPole-v1",
        "StatelessCartPole'>",
        "rllib_recattn/MiniGrid-v0",
    ]
    (_, (_, none), (_, task)) = environments_of(experiment)
    assert (none, task) == ({}, {"task": "MiniGrid-MemoryS7-v0"})


def test_a_wrong_environment_is_named(load):
    message = refusal(load(env={"grid_search": ["CartPole-v1", "CartPole-v7"]}))
    assert "exp.env: unknown environment 'CartPole-v7'" in message
    assert '(with env = "CartPole-v7")' in message


def test_options_that_do_not_go_together_are_found(load):
    message = refusal(
        load(
            model={"name": "gru", "max_seq_len": {"choice": [16, 200]}},
            config={"minibatch_size": {"choice": [128, 256]}, "train_batch_size_per_learner": 512},
        )
    )
    assert message.count("\n") == 0
    assert "minibatch_size" in message
    assert "(with model.max_seq_len = 200)" in message


def test_whole_models_are_named_by_their_labels(load):
    message = refusal(load(model={"grid_search": [{"name": "gru"}, {"name": "lstm", "n_heads": 2}]}))
    assert "exp.model: unknown setting 'n_heads'" in message
    assert '(with model = "lstm")' in message


@pytest.mark.parametrize(
    ("changes", "key_path"),
    [
        ({"model": {"name": "gru", "d_model": {"choice": [16, 32]}}}, "model.d_model"),
        ({"config": {"model_config": {"fcnet_hiddens": {"choice": [[8], [16]]}}}}, "config.model_config.fcnet_hiddens"),
        ({"config": {"num_env_runners": {"randint": [0, 3]}}}, "config.num_env_runners"),
        ({"env": {"choice": ["CartPole-v1", "Acrobot-v1"]}}, "env"),
    ],
)
def test_what_cannot_change_while_an_agent_learns_is_refused(load, changes, key_path):
    message = refusal(load(tune={"scheduler": "pbt", "num_samples": 2}, **changes))
    assert f"exp.{key_path}: pbt changes settings while an agent learns" in message


def test_a_population_is_of_the_new_stack(load):
    message = refusal(
        load(api_stack="old", config={"lr": {"uniform": [0, 1]}}, tune={"scheduler": "pbt", "num_samples": 2})
    )
    assert "pbt works on RLlib's new API stack only" in message


class Counted(CartPoleEnv):
    """Counts how often it is made, with which settings."""

    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, config=None):
        super().__init__()
        Counted.made.append(dict(config or {}))


def test_an_environment_is_made_once_for_each_of_its_settings(load):
    Counted.made = []
    experiment = load(
        env=f"{__name__}:Counted",
        model={"name": {"grid_search": ["gru", "lstm"]}},
        config={"lr": {"grid_search": [1e-3, 1e-4, 1e-5]}, "env_config": {"size": {"grid_search": [1, 2]}}},
    )
    build_variants(experiment)
    assert Counted.made == [{"size": 1}, {"size": 2}]


def test_a_trial_and_its_loggers_share_what_was_built(load, monkeypatch):
    experiment = load(config={"lr": {"choice": [1e-3, 1e-4]}}, tune={"num_samples": 2})
    built = []
    monkeypatch.setattr(variants, "build_config", lambda experiment: built.append(experiment) or build(experiment))
    build = build_config
    for _ in range(3):
        variant, config = build_variant(experiment, {"config.lr": 1e-4})
        assert variant.config["lr"] == config.lr == 1e-4
        config.lr = 1.0  # its own
    build_variant(experiment, {"config.lr": 1e-3})
    assert len(built) == 2


def test_an_environment_that_fails_is_made_once_and_tried_again_with_the_file(load, monkeypatch):
    made = []

    class Broken(CartPoleEnv):
        def __init__(self):
            made.append(self)
            raise ConnectionError("no server")

    monkeypatch.setattr(sys.modules[__name__], "Broken", Broken, raising=False)
    for attempt in (1, 2):
        with pytest.raises(SettingsError, match=r"no server"):
            load(env=f"{__name__}:Broken", multi_agent={"policies": ["a"]})
        assert len(made) == attempt
