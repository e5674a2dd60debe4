"""Wrong settings of a model on the old stack are told by the driver, with remote workers, too."""

from __future__ import annotations

import pytest
from ray.rllib.policy.policy import PolicySpec

from rllib_recattn.errors import SettingsError
from rllib_recattn.model_v2 import RecAttnModelV2, register_model_v2
from rllib_recattn.model_v2.register import model_class
from tests.model_v2.old_stack import CLASS_PATH, old_stack_config

WRONG = {"d_modell": 8}
MESSAGE = "unknown setting 'd_modell': did you mean 'd_model'"


@pytest.mark.parametrize("algorithm", ["PPO", "APPO", "IMPALA"])
@pytest.mark.parametrize(
    ("custom_model", "named"),
    [
        ("recattn_agalite", {}),
        ("recattn", {"model": "agalite"}),
        (CLASS_PATH, {"model": "agalite"}),
        (RecAttnModelV2, {"model": "agalite"}),
        (model_class("agalite"), {}),
    ],
    ids=["name", "name of all", "path", "class", "class of one model"],
)
def test_a_wrong_key_is_told_before_workers_start(monkeypatch, algorithm, custom_model, named):
    monkeypatch.setattr("ray.is_initialized", lambda: pytest.fail("starts Ray"))
    register_model_v2()
    config = old_stack_config(algorithm=algorithm).env_runners(num_env_runners=1)
    config.training(model={"custom_model": custom_model, "custom_model_config": {**named, **WRONG}})
    with pytest.raises(SettingsError, match=MESSAGE):
        config.validate()
    config.training(model={"custom_model": custom_model, "custom_model_config": {**named, "d_model": 8}})
    config.validate()


def test_a_policys_own_model_is_checked():
    register_model_v2()
    model = {"custom_model": "recattn_gru", "custom_model_config": WRONG}
    config = old_stack_config().multi_agent(
        policies={"a": PolicySpec(config={"model": model}), "b": PolicySpec()},
        policy_mapping_fn=lambda agent, episode, worker: "a",
    )
    with pytest.raises(SettingsError, match=MESSAGE):
        config.validate()


def test_other_models_are_nobodys_business():
    config = old_stack_config()
    config.training(model={"custom_model": "their.own.Model", "custom_model_config": WRONG})
    config.validate()


def test_remote_workers_are_not_even_started(ray_session):
    register_model_v2()
    config = old_stack_config(d_modell=8).env_runners(num_env_runners=1)
    with pytest.raises(SettingsError, match=MESSAGE):
        config.build_algo()
