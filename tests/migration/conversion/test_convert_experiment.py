"""From an experiment for the old API stack to one for the new one."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.rllib.models.catalog import MODEL_DEFAULTS as RLLIBS

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.yaml_file import dump_yaml, parse_yaml
from rllib_recattn.migration.conversion.convert_file import convert_experiment
from rllib_recattn.migration.model_dict.old_defaults import MODEL_DEFAULTS, shares_layers
from rllib_recattn.rl_module.algorithms import ALGORITHMS

OLD_FILES = sorted((Path(__file__).parents[1] / "old_yaml").glob("*.yaml"))
SMALL_LSTM = {"use_lstm": True, "lstm_cell_size": 8, "fcnet_hiddens": []}
AS_IT_IS = {"type": "auto", "widths": []}
LSTM_BLOCK = {"name": "lstm", "max_seq_len": 20, "d_model": 8, "encoder": AS_IT_IS}


def converted(tmp_path, model=None, **content):
    """Return the new experiment, and what it lost, of an old one; `config` and so on override the defaults."""
    config = {"num_workers": 0, **content.pop("config", {}), **({} if model is None else {"model": model})}
    old = {"run": "PPO", "env": "CartPole-v1", "stop": {"training_iteration": 1}, **content, "config": config}
    file = tmp_path / "old.yaml"
    file.write_text(dump_yaml({"old": old}))
    result = convert_experiment(file)
    new = tmp_path / "new.yaml"
    new.write_text(result.text)
    build_config(load_experiment(new))
    return parse_yaml(result.text, "new")["old"], result.losses


@pytest.mark.parametrize("path", OLD_FILES, ids=lambda path: path.stem)
def test_old_files_train_on_the_new_stack(ray_session, tmp_path, path):
    file = tmp_path / "new.yaml"
    file.write_text(convert_experiment(path).text)
    experiment = load_experiment(file)
    assert experiment.api_stack == "new"
    assert experiment.notes == ()
    config = build_config(experiment)
    assert config.enable_rl_module_and_learner
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=1, rollout_fragment_length=64)
    config.learners(num_learners=0).reporting(min_time_s_per_iteration=0)
    config.training(train_batch_size_per_learner=64)
    if config.minibatch_size is not None:
        config.training(minibatch_size=64, num_epochs=1)
    algorithm = config.build_algo()
    try:
        model = algorithm.get_module().encoder.encoder.model
        assert type(model).__name__ == {"lstm": "LSTM", "gtrxl": "GTrXL", "gru": "GRU"}[experiment.model.name]
        assert algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"] >= 64
    finally:
        algorithm.stop()


def test_there_are_old_files():
    assert len(OLD_FILES) >= 7


def test_a_search_of_environments_is_carried(tmp_path):
    search = {"grid_search": ["CartPole-v1", "Acrobot-v1"]}
    assert converted(tmp_path, env=search)[0]["env"] == search


def test_searches_samples_and_blocks_are_carried(tmp_path):
    new, losses = converted(
        tmp_path,
        model={**SMALL_LSTM, "lstm_cell_size": {"grid_search": [8, 16]}},
        config={
            "lr": {"loguniform": [1e-4, 1e-3]},
            "sgd_minibatch_size": {"choice": [32, 64]},
            "train_batch_size": {"grid_search": [64, 128]},
            "lr_schedule": None,
            "num_gpus": {"choice": [1, 2]},
        },
        num_samples=3,
        tune={"metric": "info/learner/default_policy/learner_stats/kl", "mode": "min"},
        time_budget_s=60,
    )
    assert new["config"]["lr"] == {"loguniform": [1e-4, 1e-3]}
    assert new["config"]["minibatch_size"] == {"choice": [32, 64]}
    assert new["config"]["train_batch_size_per_learner"] == {"grid_search": [64, 128]}
    assert new["model"] == {**LSTM_BLOCK, "d_model": 8}
    assert new["tune"] == {
        "num_samples": 3,
        "time_budget_s": 60,
        "metric": "learners/default_policy/mean_kl_loss",
        "mode": "min",
    }
    assert [line.split(":")[0] for line in losses] == ["config.num_gpus", "config.model.lstm_cell_size"]


@pytest.mark.parametrize(
    ("model", "block"),
    [
        (SMALL_LSTM, LSTM_BLOCK),
        ({"use_lstm": True}, {"name": "lstm", "max_seq_len": 20, "d_model": 256, "encoder": "mlp 256 256 tanh"}),
        ({**SMALL_LSTM, "max_seq_len": 7, "fcnet_weights_initializer": None}, {**LSTM_BLOCK, "max_seq_len": 7}),
        (
            {**SMALL_LSTM, "lstm_use_prev_action": True, "lstm_use_prev_reward": True},
            {**LSTM_BLOCK, "use_prev_action": True, "use_prev_reward": True},
        ),
        (
            {**SMALL_LSTM, "fcnet_hiddens": [5], "post_fcnet_hiddens": [6], "fcnet_activation": "swish"},
            {**LSTM_BLOCK, "encoder": "mlp 5 6 silu"},
        ),
        ({**SMALL_LSTM, "post_fcnet_hiddens": [6]}, {**LSTM_BLOCK, "encoder": "mlp 6 relu"}),
        (
            {"use_attention": True, "fcnet_hiddens": []},
            {
                "name": "gtrxl",
                "max_seq_len": 20,
                "n_layers": 1,
                "d_model": 64,
                "n_heads": 1,
                "d_head": 32,
                "d_ff": 32,
                "gate_bias": 2.0,
                "memory_length": 50,
                "encoder": AS_IT_IS,
            },
        ),
        (
            {
                "use_attention": True,
                "fcnet_hiddens": [],
                "max_seq_len": 9,
                "attention_num_transformer_units": 2,
                "attention_dim": 16,
                "attention_num_heads": 2,
                "attention_head_dim": 8,
                "attention_position_wise_mlp_dim": 24,
                "attention_init_gru_gate_bias": 1.0,
                "attention_memory_inference": 12,
                "attention_memory_training": 12,
                "attention_use_n_prev_actions": 1,
                "attention_use_n_prev_rewards": 1,
            },
            {
                "name": "gtrxl",
                "max_seq_len": 9,
                "n_layers": 2,
                "d_model": 16,
                "n_heads": 2,
                "d_head": 8,
                "d_ff": 24,
                "gate_bias": 1.0,
                "memory_length": 12,
                "encoder": AS_IT_IS,
                "use_prev_action": True,
                "use_prev_reward": True,
            },
        ),
        (
            {"custom_model": "recattn_gru", "custom_model_config": {"d_model": 8, "use_prev_reward": True}},
            {"name": "gru", "max_seq_len": 20, "encoder": AS_IT_IS, "d_model": 8, "use_prev_reward": True},
        ),
        (
            {
                "custom_model": "rllib_recattn.model_v2.RecAttnModelV2",
                "custom_model_config": {"model": "gla", "d_model": 8, "vf_share_layers": False},
                "max_seq_len": 12,
            },
            {"name": "gla", "max_seq_len": 12, "encoder": AS_IT_IS, "d_model": 8, "vf_share_layers": False},
        ),
    ],
)
def test_recurrent_networks(tmp_path, model, block):
    new, losses = converted(tmp_path, model)
    if isinstance(block.get("encoder"), str):
        kind, *widths, activation = block["encoder"].split()
        block = {**block, "encoder": {"type": kind, "widths": list(map(int, widths)), "activation": activation}}
    assert new["model"] == block
    assert losses == ()
    assert "model_config" not in new["config"]


@pytest.mark.parametrize(
    ("model", "lost"),
    [
        ({**SMALL_LSTM, "vf_share_layers": False}, ["vf_share_layers: false: RLlib's value function read"]),
        ({**SMALL_LSTM, "_time_major": True}, ["_time_major: true: RLlib's LSTM has it"]),
        ({**SMALL_LSTM, "attention_dim": 32}, ["attention_dim: 32: RLlib's LSTM has it"]),
        ({**SMALL_LSTM, "fcnet_hiddens": [4], "fcnet_activation": "linear"}, ["fcnet_activation: linear: an encoder"]),
        (
            {"use_attention": True, "attention_memory_training": 10, "attention_use_n_prev_actions": 3},
            ["attention_use_n_prev_actions: 3: this package's", "attention_memory_training: 10: training sees"],
        ),
        (
            {
                "custom_model": "recattn_gru",
                "custom_model_config": {"memory_view": False},
                "fcnet_hiddens": [7],
            },
            ["custom_model_config.memory_view: false: it is about", "fcnet_hiddens: [7]: custom_model takes"],
        ),
        (
            {"custom_model": "my.package.Net", "custom_model_config": {"a": 1}, "fcnet_hiddens": [3]},
            ["custom_model: my.package.Net: a network of your own", "custom_model_config: {'a': 1}: it went", "fcnet"],
        ),
        ({"fcnet_hiddens": [3], "no_final_linear": True}, ["no_final_linear: true: the new API stack has nothing"]),
    ],
)
def test_what_networks_lose(tmp_path, model, lost):
    new, losses = converted(tmp_path, model)
    assert len(losses) == len(lost)
    for line in lost:
        assert any(each.startswith(f"config.model.{line}") for each in losses), losses
    if "_time_major" in model:
        assert new["model"] == LSTM_BLOCK


@pytest.mark.parametrize(
    ("model", "model_config"),
    [
        (
            {"fcnet_hiddens": [5, 4], "fcnet_activation": "relu", "fcnet_weights_initializer": "xavier_uniform_"},
            {
                "vf_share_layers": False,
                "fcnet_hiddens": [5, 4],
                "fcnet_activation": "relu",
                "fcnet_kernel_initializer": "xavier_uniform_",
            },
        ),
        (
            {"vf_share_layers": True, "post_fcnet_hiddens": [3], "post_fcnet_activation": "tanh"},
            {"vf_share_layers": True, "head_fcnet_hiddens": [3], "head_fcnet_activation": "tanh"},
        ),
    ],
)
def test_feed_forward_networks_stay_rllibs(tmp_path, model, model_config):
    new, losses = converted(tmp_path, model)
    assert "model" not in new
    assert new["config"]["model_config"] == model_config
    assert losses == ()


def test_appos_networks_share_layers_as_they_did(tmp_path):
    new, _ = converted(tmp_path, {"fcnet_hiddens": [5]}, run="APPO")
    assert new["config"]["model_config"] == {"vf_share_layers": True, "fcnet_hiddens": [5]}


IMAGE = "tests.migration.conversion.observing_envs.ImageEnv"
NESTED = "tests.migration.conversion.observing_envs.NestedEnv"


def test_convolutions(tmp_path):
    filters = [[4, [3, 3], 2], [8, [3, 3], 1], [16, [2, 2], 1]]
    new, losses = converted(tmp_path, {**SMALL_LSTM, "conv_filters": filters, "conv_activation": "elu"}, env=IMAGE)
    assert new["model"]["encoder"] == {"type": "cnn", "widths": [4, 8], "output_dim": 16, "activation": "elu"}
    assert len(losses) == 1
    assert losses[0].startswith("config.model.conv_filters: [[4, [3, 3], 2], ")


@pytest.mark.parametrize(
    ("env", "lost", "encoder"),
    [
        (IMAGE, "conv_filters: null: RLlib chose", None),
        (NESTED, "fcnet_hiddens: []: RLlib gave", AS_IT_IS),
    ],
)
def test_networks_of_other_kinds_are_left_to_the_auto_encoder(tmp_path, env, lost, encoder):
    new, losses = converted(tmp_path, SMALL_LSTM, env=env)
    assert new["model"].pop("encoder", None) == encoder
    assert new["model"] == {key: value for key, value in LSTM_BLOCK.items() if key != "encoder"}
    assert [line.startswith(f"config.model.{lost}") for line in losses] == [True]


def test_a_model_block_stays_as_it_is(tmp_path):
    block = {"name": "gru", "d_model": 8, "max_seq_len": 5}
    new, losses = converted(tmp_path, api_stack="old")
    assert "model" not in new
    old = {"run": "PPO", "api_stack": "old", "env": "CartPole-v1", "stop": {"training_iteration": 1}, "model": block}
    file = tmp_path / "block.yaml"
    file.write_text(dump_yaml({"old": old}))
    result = convert_experiment(file)
    assert parse_yaml(result.text, "new")["old"] == {key: old[key] for key in ("run", "env", "stop", "model")}
    assert result.losses == losses == ()


@pytest.mark.parametrize(
    ("config", "settings", "lost"),
    [
        ({"framework": "torch", "num_gpus": 0}, {"num_gpus_per_learner": 0}, None),
        ({"framework": "tf2"}, {}, "framework: tf2: PyTorch runs"),
        ({"lr": 0.1, "lr_schedule": [[0, 0.2], [9, 0.1]]}, {"lr": [[0, 0.2], [9, 0.1]]}, None),
        ({"lr_schedule": [[5, 0.2], [9, 0.1]], "lr": 0.1}, {"lr": [[0, 0.2], [5, 0.2], [9, 0.1]]}, None),
        ({"entropy_coeff_schedule": [[0, 0.2], [9, 0.0]]}, {"entropy_coeff": [[0, 0.2], [9, 0.0]]}, None),
        ({"train_batch_size": 512}, {"train_batch_size_per_learner": 512}, None),
        (
            {"train_batch_size": 512, "num_gpus": 2},
            {"train_batch_size_per_learner": 256, "num_learners": 2, "num_gpus_per_learner": 1},
            None,
        ),
        ({"remote_worker_envs": True}, {"gym_env_vectorize_mode": "async"}, None),
        ({"remote_worker_envs": False, "exploration_config": {"type": "StochasticSampling"}}, {}, None),
        ({"exploration_config": {"type": "EpsilonGreedy"}}, {}, "exploration_config: {'type': 'EpsilonGreedy'}: pol"),
        ({"observation_filter": "NoFilter"}, {}, None),
        ({"observation_filter": "MeanStdFilter"}, {"observation_filter": "MeanStdFilter"}, None),
        ({"enable_rl_module_and_learner": False, "enable_env_runner_and_connector_v2": False}, {}, None),
        ({"optimizer": {"type": "foo"}}, {}, "optimizer: {'type': 'foo'}: learners use Adam"),
        ({"shuffle_sequence": True}, {}, "shuffle_sequence: true: RLlib has no such setting"),
        ({"sgd_minibatch_size": 64}, {"minibatch_size": 64}, None),
        (
            {"evaluation_interval": 2, "evaluation_config": {"explore": False, "observation_filter": "MeanStdFilter"}},
            {"evaluation_interval": 2, "evaluation_config": {"explore": False}},
            "evaluation_config.observation_filter: MeanStdFilter",
        ),
    ],
)
def test_settings(tmp_path, config, settings, lost):
    new, losses = converted(tmp_path, SMALL_LSTM, config=config)
    assert new["config"] == {"num_env_runners": 0, **settings}
    assert [line.startswith(f"config.{lost}") for line in losses] == [True] * (lost is not None)


def test_stop_and_checkpoints(tmp_path):
    stop = {
        "episode_reward_mean": 1.5,
        "num_env_steps_trained": 1000,
        "info/learner/default_policy/learner_stats/kl": 0.5,
        "env_runners/num_episodes": 5,
    }
    new, losses = converted(
        tmp_path, SMALL_LSTM, stop=stop, checkpoint_freq=3, checkpoint_at_end=False, local_dir="~/old", max_failures=2
    )
    assert new["stop"] == {
        "env_runners/episode_return_mean": 1.5,
        "learners/__all_modules__/num_env_steps_trained_lifetime": 1000,
        "learners/default_policy/mean_kl_loss": 0.5,
    }
    assert losses == ("stop.env_runners/num_episodes: 5.0: the new API stack reports nothing like it",)
    assert new["checkpoint"] == {"frequency": 3, "at_end": False}
    assert new["storage_path"] == "~/old"
    assert new["max_failures"] == 2
    assert list(new) == ["run", "env", "stop", "model", "config", "checkpoint", "storage_path", "max_failures"]


def test_the_heading_says_where_it_is_from_and_what_is_missing(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text(
        dump_yaml({"old": {"run": "PPO", "env": "CartPole-v1", "stop": {"time_total_s": 1}, "config": {"foo": 1}}})
    )
    lines = convert_experiment(file).text.splitlines()
    assert lines[0] == "# Made by `rllib convert` from old.yaml, for RLlib's new API stack."
    assert lines[2].startswith("# - config.foo: 1: RLlib has no such setting")


def test_what_rllib_train_refuses_is_refused(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text(dump_yaml({"old": {"run": "ES", "env": "CartPole-v1", "stop": {"time_total_s": 1}}}))
    with pytest.raises(SettingsError, match="unknown algorithm 'ES'"):
        convert_experiment(file)


def test_the_old_defaults_are_rllibs():
    assert {key: RLLIBS[key] for key in MODEL_DEFAULTS} == MODEL_DEFAULTS
    assert all(value is None or value == -1 for key, value in RLLIBS.items() if key not in MODEL_DEFAULTS)
    for algorithm in (each for each in ALGORITHMS if each.samples):
        assert shares_layers(algorithm.name) == algorithm.config().model["vf_share_layers"]
