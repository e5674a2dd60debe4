"""Several policies: each its own model, or RLlib's default one."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.multi_agent_env import make_multi_agent
from ray.rllib.policy.policy import PolicySpec

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError, SettingsWarning
from rllib_recattn.models.agalite import AGaLiTe
from rllib_recattn.models.gru import GRU
from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from tests.rl_module.small_agents import CONFIGS, SMALL, small_stock_config
from tests.rl_module.test_use_model import ACTION, VECTOR

POLICIES = ["agalite", "gru", "reactive"]
TMazes = make_multi_agent("rllib_recattn/TMaze-v0")


def multi_agent(config, policies=POLICIES):
    return config.multi_agent(policies=policies, policy_mapping_fn=lambda agent_id, *_, **__: POLICIES[agent_id])


def with_two_models(config):
    ra.use_model(config, "agalite", policies=["agalite"], max_seq_len=7, **SMALL)
    return ra.use_model(config, "gru", policies=["gru"], max_seq_len=5, d_model=8)


def modules_of(config, policies=POLICIES):
    spaces = dict.fromkeys(policies, (VECTOR, ACTION))
    return config.get_multi_rl_module_spec(spaces=spaces).build()


def model_of(module):
    return module.encoder.encoder.model


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_each_call_gives_its_policies_their_model_and_leaves_the_others(algorithm):
    config = multi_agent(CONFIGS[algorithm]().rl_module(model_config={"head_fcnet_hiddens": [11]}))
    stock = modules_of(config)["reactive"]
    modules = modules_of(with_two_models(config))
    assert isinstance(model_of(modules["agalite"]), AGaLiTe)
    assert isinstance(model_of(modules["gru"]), GRU)
    assert type(modules["reactive"]) is type(stock)
    assert not modules["reactive"].is_stateful()
    assert [modules[policy].model_config.get("max_seq_len") for policy in POLICIES] == [7, 5, None]
    assert modules["gru"].model_config["head_fcnet_hiddens"] == [11]


def test_without_policies_all_of_them_get_the_model():
    config = ra.use_model(multi_agent(PPOConfig()), "agalite", **SMALL)
    modules = modules_of(config)
    assert all(isinstance(model_of(modules[policy]), AGaLiTe) for policy in POLICIES)


def test_a_policy_can_get_another_model_than_all():
    config = ra.use_model(multi_agent(PPOConfig()), "agalite", **SMALL)
    modules = modules_of(ra.use_model(config, "gru", policies={"gru"}, d_model=8))
    assert isinstance(model_of(modules["gru"]), GRU)
    assert isinstance(model_of(modules["agalite"]), AGaLiTe)
    assert isinstance(model_of(modules["reactive"]), AGaLiTe)


def test_what_the_user_says_of_policies_is_kept():
    class Mine(DefaultPPOTorchRLModule):
        pass

    specs = {
        "reactive": RLModuleSpec(module_class=Mine),
        "gru": RLModuleSpec(model_config={"head_fcnet_hiddens": [13]}, action_space=ACTION),
    }
    config = multi_agent(PPOConfig()).rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
    modules = modules_of(with_two_models(config))
    assert type(modules["reactive"]) is Mine
    assert modules["gru"].model_config["head_fcnet_hiddens"] == [13]
    assert isinstance(model_of(modules["gru"]), GRU)
    assert specs["gru"].module_class is None, "the user's own spec was changed"


@pytest.mark.parametrize("form", [dict, DefaultModelConfig])
@pytest.mark.parametrize("place", ["config", "spec"])
def test_what_the_user_set_for_a_policy_stays_unless_told_otherwise(form, place):
    model_config = form(max_seq_len=50, vf_share_layers=False, fcnet_hiddens=[7])
    if place == "config":
        config = multi_agent(PPOConfig()).rl_module(model_config=model_config)
    else:
        spec = MultiRLModuleSpec(rl_module_specs={"gru": RLModuleSpec(model_config=model_config)})
        config = multi_agent(PPOConfig()).rl_module(rl_module_spec=spec)
    ra.use_model(config, "gru", policies=["gru"], d_model=8)
    gru = modules_of(config)["gru"]
    assert (gru.recurrence.max_seq_len, gru.recurrence.vf_share_layers) == (50, False)
    assert gru.encoder.actor_encoder.tokenizer.output_dim == 7

    with pytest.warns(SettingsWarning, match="max_seq_len = 50, which gives way to max_seq_len = 9") as told:
        ra.use_model(
            multi_agent(PPOConfig()).rl_module(model_config=model_config),
            "gru",
            policies=["gru", "agalite"],
            max_seq_len=9,
            d_model=8,
        )
    assert len(told) == 1, "said once, not for each policy"


def test_other_policies_may_have_rllibs_lstm():
    config = multi_agent(PPOConfig().rl_module(model_config={"use_lstm": True, "max_seq_len": 20}))
    modules = modules_of(with_two_models(config))
    assert modules["reactive"].is_stateful()
    assert not isinstance(modules["reactive"], RecurrentModule)
    assert isinstance(model_of(modules["agalite"]), AGaLiTe)


@pytest.mark.parametrize(
    ("config", "arguments", "message"),
    [
        (multi_agent(PPOConfig()), {"policies": ["grue"]}, "unknown policy 'grue': did you mean 'gru'"),
        (multi_agent(PPOConfig()), {"policies": "gru"}, r"policies = 'gru': should be a list of \['agalite'"),
        (multi_agent(PPOConfig()), {"policies": True}, r"policies = True: should be a list of \['agalite'"),
        (multi_agent(PPOConfig()), {"policies": []}, r"policies = \[\]: should be a list"),
        (PPOConfig(), {"policies": ["gru"]}, r"config has no policies yet; call config.multi_agent\(policies=…\)"),
        (
            with_two_models(multi_agent(PPOConfig())),
            {},
            r"specs for the policies \['agalite', 'gru', 'reactive'\]; say which",
        ),
        (
            with_two_models(multi_agent(PPOConfig())),
            {"policies": ["reactive"], "sparse_states": False},
            r"sparse_states = False: should be the same for all policies; it is True for \['agalite', 'gru'\]",
        ),
        (
            multi_agent(PPOConfig()).rl_module(
                rl_module_spec=MultiRLModuleSpec(rl_module_specs={"gru": RLModuleSpec(module_class=object)})
            ),
            {"policies": ["gru"]},
            "the RLModule spec of 'gru': module_class = object: should be left out, or inherit from",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_the_config_as_it_was(config, arguments, message):
    before = config.to_dict()
    with pytest.raises(SettingsError, match=message):
        ra.use_model(config, "agalite", **arguments)
    assert config.to_dict() == before


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_policies_with_different_models_train_together(ray_session, algorithm):
    maze = gym.make("rllib_recattn/TMaze-v0")
    spec = PolicySpec(observation_space=maze.observation_space, action_space=maze.action_space)
    config = multi_agent(small_stock_config(algorithm), dict.fromkeys(POLICIES, spec))
    config.environment(TMazes, env_config={"corridor_length": 5, "num_agents": 3})
    config.env_runners(num_envs_per_env_runner=1)
    algo = with_two_models(config).build_algo()
    try:
        before = algo.learner_group.get_weights()
        results = {}
        for _ in range(20):
            for policy, result in algo.train().get("learners", {}).items():
                results.setdefault(policy, {}).update(result)
            if results.keys() >= set(POLICIES):
                break
        after = algo.learner_group.get_weights()
    finally:
        algo.stop()
    for policy in POLICIES:
        assert np.isfinite(results[policy]["total_loss"])
        moved = [name for name, value in after[policy].items() if not np.array_equal(value, before[policy][name])]
        assert any(name.startswith("pi.") for name in moved)
        assert ("recattn" in results[policy]) == (policy != "reactive")
