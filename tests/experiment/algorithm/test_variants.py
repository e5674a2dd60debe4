"""All variants of an experiment are tried before it starts."""

from __future__ import annotations

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.variants import build_variants
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
