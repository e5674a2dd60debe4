"""What `use_model` writes into a config, and what it refuses."""

from __future__ import annotations

import json
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray import tune
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.algorithms.sac import SACConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError, SettingsWarning
from rllib_recattn.rl_module.algorithms import ALGORITHMS
from rllib_recattn.rl_module.learner import RecAttnPPOLearner, RecurrentPPOMixin
from rllib_recattn.rl_module.metrics import SuccessRateCallback
from rllib_recattn.rl_module.modules import RecAttnPPOModule
from rllib_recattn.rl_module.use_model import report_success_rate
from tests.rl_module.small_agents import CONFIGS, SMALL, small_config

VECTOR = gym.spaces.Box(-1, 1, (4,), np.float32)
CLASSES = {algorithm.name: algorithm for algorithm in ALGORITHMS if algorithm.name in CONFIGS}
ACTION = gym.spaces.Discrete(2)
TINY = {"d_model": 8, "n_layers": 1, "n_heads": 1, "d_head": 4}
SPACES = {DEFAULT_MODULE_ID: (VECTOR, ACTION)}


def module_of(config: PPOConfig, observation_space=VECTOR, action_space=ACTION) -> RecAttnPPOModule:
    return config.get_rl_module_spec(spaces={DEFAULT_MODULE_ID: (observation_space, action_space)}).build()


def test_it_returns_the_config_and_writes_plain_data():
    config = PPOConfig()
    assert ra.use_model(config, "agalite", n_layers=3) is config
    written = config.model_config
    assert written["recattn"]["model"] == "agalite"
    assert written["recattn"]["n_layers"] == 3
    assert json.loads(json.dumps(written["recattn"])) == written["recattn"]


def test_the_module_is_built_as_configured():
    module = module_of(small_config(max_seq_len=9))
    assert isinstance(module, RecAttnPPOModule)
    assert module.is_stateful()
    assert module.model_config["max_seq_len"] == 9
    assert len(module.encoder.encoder.model.layers) == 2


@pytest.mark.parametrize("algorithm", CLASSES)
def test_the_config_survives_its_own_dict_and_further_changes(algorithm):
    config = small_config(algorithm=algorithm)
    classes = CLASSES[algorithm]
    config.training(lr=5e-4).env_runners(num_envs_per_env_runner=2)
    rebuilt = CONFIGS[algorithm]().update_from_dict(config.to_dict())
    for survivor in (config, config.copy(copy_frozen=False), rebuilt):
        assert type(module_of(survivor)) is classes.module
        assert survivor.learner_class is classes.learner
        assert survivor.model_config["recattn"]["d_model"] == 16
        assert survivor.lr == 5e-4


def test_rllibs_own_head_settings_are_kept():
    for model_config in ({"head_fcnet_hiddens": [11]}, DefaultModelConfig(head_fcnet_hiddens=[11])):
        config = PPOConfig().rl_module(model_config=model_config)
        module = module_of(ra.use_model(config, "agalite", **TINY))
        assert [layer.out_features for layer in module.pi.net.mlp if hasattr(layer, "out_features")] == [11, 2]


@pytest.mark.parametrize("given", [dict, DefaultModelConfig])
def test_what_the_user_set_in_model_config_stays(given):
    config = PPOConfig().rl_module(model_config=given(max_seq_len=50, vf_share_layers=False))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ra.use_model(config, "agalite", **TINY)
    assert (config.model_config["max_seq_len"], config.model_config["vf_share_layers"]) == (50, False)
    module = module_of(config)
    assert module.recurrence.max_seq_len == 50
    assert module.encoder.critic_encoder is not None


@pytest.mark.parametrize("given", [dict, DefaultModelConfig])
def test_an_argument_takes_the_place_of_what_model_config_says_and_tells_it_once(given):
    config = PPOConfig().rl_module(model_config=given(max_seq_len=50, fcnet_hiddens=[7]))
    with pytest.warns(SettingsWarning) as told:
        ra.use_model(config, "agalite", max_seq_len=9, encoder="auto", **TINY)
    assert [str(each.message) for each in told] == [
        "use_model: model_config has max_seq_len = 50, which gives way to max_seq_len = 9",
        "use_model: model_config has fcnet_hiddens = [7], which gives way to encoder = 'auto'",
    ]
    assert told[0].filename == __file__
    assert config.model_config["max_seq_len"] == 9
    assert module_of(config).encoder.encoder.tokenizer.output_dim == 64


def test_without_either_the_defaults_hold():
    for config in (PPOConfig(), PPOConfig().rl_module(model_config=DefaultModelConfig())):
        ra.use_model(config, "agalite")
        assert (config.model_config["max_seq_len"], config.model_config["vf_share_layers"]) == (64, True)


def test_a_wrong_value_in_model_config_is_refused_and_leaves_the_config_as_it_was():
    for config in (PPOConfig(), BCConfig()):
        config.rl_module(model_config={"max_seq_len": "50"})
        before = config.to_dict()
        with pytest.raises(SettingsError, match="max_seq_len = '50'"):
            ra.use_model(config, "agalite")
        assert config.to_dict() == before


@pytest.mark.parametrize(
    ("given", "widths", "activation"),
    [
        ({"fcnet_hiddens": [7, 5]}, [7, 5], torch.nn.Tanh),
        ({"fcnet_hiddens": [7], "fcnet_activation": "swish"}, [7], torch.nn.SiLU),
        ({"fcnet_activation": "relu"}, [256, 256], torch.nn.ReLU),
        ({"fcnet_hiddens": []}, [], None),
    ],
)
@pytest.mark.parametrize("form", [dict, DefaultModelConfig])
def test_the_users_mlp_stands_before_the_model_as_it_would_before_rllibs_lstm(form, given, widths, activation):
    if form is DefaultModelConfig and given == {"fcnet_activation": "relu"}:
        given = {**given, "fcnet_hiddens": [256, 256]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = ra.use_model(PPOConfig().rl_module(model_config=form(**given)), "agalite", **TINY)
    tokenizer = module_of(config).encoder.encoder.tokenizer
    layers = list(tokenizer.encoder.mlp)
    assert [layer.out_features for layer in layers[::2]] == widths
    assert all(type(layer) is activation for layer in layers[1::2])
    assert tokenizer.output_dim == (widths or VECTOR.shape)[-1]


def test_what_was_stored_before_auto_had_layers_means_none():
    """A module is rebuilt from the model_config of its checkpoint."""
    config = ra.use_model(PPOConfig(), "agalite", **TINY)
    assert module_of(config).encoder.encoder.tokenizer.output_dim == 64
    stored = config.model_config["recattn_inputs"]
    assert stored["encoder"]["widths"] is None
    config.rl_module(model_config={**config.model_config, "recattn_inputs": {**stored, "encoder": {"type": "auto"}}})
    module = module_of(config)
    assert module.encoder.encoder.tokenizer.output_dim == VECTOR.shape[0]
    assert module.recurrence.encoder["widths"] == []


@pytest.mark.parametrize("kind", ["auto", "cnn", "impala_cnn"])
def test_what_was_stored_of_images_before_channels_could_be_first_has_them_last(kind):
    config = ra.use_model(PPOConfig(), "agalite", encoder=kind, **TINY)
    stored = config.model_config["recattn_inputs"]
    encoder = {key: value for key, value in stored["encoder"].items() if key not in ("channels", "widths")}
    config.rl_module(model_config={**config.model_config, "recattn_inputs": {**stored, "encoder": encoder}})
    module = module_of(config, gym.spaces.Box(0, 255, (4, 84, 84), np.uint8))
    assert next(module.encoder.encoder.tokenizer.parameters()).shape[1] == 84


@pytest.mark.parametrize("given", [[0], "64", [2.5], [True], tune.choice([[8], [16]])])
def test_sizes_of_rllibs_mlp_that_are_none_are_refused_by_their_own_name(given):
    with pytest.raises(SettingsError, match=r"fcnet_hiddens = .*should be a list of whole numbers"):
        ra.use_model(PPOConfig().rl_module(model_config={"fcnet_hiddens": given}), "agalite")


def test_an_activation_that_an_encoder_lacks_is_told():
    config = PPOConfig().rl_module(model_config={"fcnet_hiddens": [7], "fcnet_activation": "linear"})
    with pytest.warns(SettingsWarning, match="fcnet_activation = 'linear'; should be one of relu.*: tanh is used"):
        ra.use_model(config, "agalite", **TINY)


@pytest.mark.parametrize("form", [dict, DefaultModelConfig])
def test_settings_that_have_no_effect_are_named(form):
    given = {"lstm_cell_size": 99, "fcnet_use_layernorm": True, "lstm_use_prev_action": True, "use_lstm": True}
    config = PPOConfig().rl_module(model_config=form(head_fcnet_hiddens=[11], conv_activation="elu", **given))
    with pytest.warns(SettingsWarning) as told:
        ra.use_model(config, "agalite", **TINY)
    (message,) = [str(each.message) for each in told]
    assert "without effect beside the model: " in message
    for key in (*given, "conv_activation"):
        assert key in message
    assert "use_prev_action=True" in message
    assert "head_fcnet_hiddens" not in message
    assert type(module_of(config)) is RecAttnPPOModule


def test_using_a_model_again_replaces_the_first():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = ra.use_model(small_config(max_seq_len=9), "agalite", max_seq_len=7, **TINY)
    assert module_of(config).recurrence.max_seq_len == 7


def test_a_model_in_the_place_of_another_has_its_own_settings():
    config = ra.use_model(small_config(), "agalite", **TINY)
    assert len(module_of(config).encoder.encoder.model.layers) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_head": 4}, r"use_model\(config, 'agalite'\): unknown setting 'n_head': did you mean .*'n_heads'"),
        ({"d_model": "64"}, "d_model = '64'"),
        ({"max_seq_len": 0}, "max_seq_len = 0"),
        ({"max_seq_len": 20.5}, "max_seq_len = 20.5"),
        ({"vf_share_layers": "no"}, "vf_share_layers = 'no'"),
        ({"gate_bias": float("inf")}, "gate_bias = inf: input should be a finite number"),
        ({"max_timescale": float("nan")}, "max_timescale = nan: input should be"),
    ],
)
def test_wrong_arguments_are_refused_and_leave_the_config_as_it_was(arguments, message):
    config = PPOConfig()
    before = config.to_dict()
    with pytest.raises(SettingsError, match=message):
        ra.use_model(config, "agalite", **arguments)
    assert config.to_dict() == before


def test_an_unknown_model_is_refused():
    with pytest.raises(SettingsError, match="unknown model 'agalyte': did you mean 'agalite'"):
        ra.use_model(PPOConfig(), "agalyte")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            SACConfig(),
            "config is a SACConfig; should be a PPOConfig, APPOConfig, IMPALAConfig, DQNConfig, BCConfig or MARWIL",
        ),
        ({"lr": 1e-3}, "use_model: config is a dict; should be a PPOConfig"),
        (
            PPOConfig().api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False),
            "old API stack",
        ),
        (PPOConfig().rl_module(rl_module_spec=RLModuleSpec(module_class=object)), "module_class = object: should be"),
    ],
)
def test_configs_that_do_not_fit_are_refused(config, message):
    with pytest.raises(SettingsError, match=message):
        ra.use_model(config, "agalite")


def test_a_later_model_config_fails_loudly():
    config = small_config().rl_module(model_config={"max_seq_len": 7})
    with pytest.raises(SettingsError, match="call use_model after it"):
        module_of(config)


def test_minibatches_smaller_than_a_row_are_refused_when_the_learner_is_built():
    config = small_config(max_seq_len=41)
    assert config.minibatch_size == 40
    with pytest.raises(SettingsError, match="minibatch_size = 40: should be at least max_seq_len = 41"):
        config.build_learner(spaces=SPACES)


def test_the_success_rate_is_reported_beside_other_callbacks():
    class Mine(RLlibCallback):
        pass

    config = PPOConfig().callbacks(Mine)
    for _ in range(2):
        report_success_rate(config)
    assert config.callbacks_class == [Mine, SuccessRateCallback]


class MyLearner(RecAttnPPOLearner):
    pass


class MyMixedLearner(RecurrentPPOMixin, PPOTorchLearner):
    pass


class MyStockLearner(PPOTorchLearner):
    pass


@pytest.mark.parametrize("learner_class", [MyLearner, MyMixedLearner])
def test_a_learner_of_the_users_own_is_kept(learner_class):
    config = ra.use_model(PPOConfig().learners(learner_class=learner_class), "agalite", **SMALL)
    assert config.learner_class is learner_class
    config.training(minibatch_size=1)
    with pytest.raises(SettingsError, match="minibatch_size = 1"):
        config.build_learner(spaces=SPACES)


def test_rllibs_learner_gives_way_and_one_that_does_not_fit_is_refused():
    config = ra.use_model(PPOConfig().learners(learner_class=PPOTorchLearner), "agalite")
    assert config.learner_class is RecAttnPPOLearner
    message = "learner_class = MyStockLearner: should inherit from RecAttnPPOLearner, or from RecurrentPPOMixin before"
    for algorithm, learner_class in (("PPO", MyStockLearner), ("IMPALA", MyLearner)):
        config = CONFIGS[algorithm]().learners(learner_class=learner_class)
        before = config.to_dict()
        with pytest.raises(SettingsError, match=message if algorithm == "PPO" else "RecAttnIMPALALearner"):
            ra.use_model(config, "agalite")
        assert config.to_dict() == before


@pytest.mark.parametrize("learner_class", [PPOTorchLearner, MyStockLearner])
def test_a_learner_class_that_comes_later_fails_loudly(ray_session, learner_class):
    config = small_config().learners(learner_class=learner_class)
    with pytest.raises(SettingsError, match=f"learner_class ?= ?{learner_class.__name__}"):
        config.build_algo()
