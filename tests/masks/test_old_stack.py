"""Masks on RLlib's old API stack."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.policy.sample_batch import SampleBatch

from rllib_recattn.errors import SettingsError
from tests.masks.illegal import Illegal
from tests.rl_module.small_agents import CONFIGS

CLASS_PATH = "rllib_recattn.model_v2.RecAttnModelV2"

pytestmark = pytest.mark.usefixtures("ray_session")


def old(algorithm: str, custom: dict[str, Any] | None = None, **env_config: Any) -> AlgorithmConfig:
    own = {"model": "gru", "d_model": 8, "action_mask": "action_mask", **(custom or {})}
    config = (
        CONFIGS[algorithm]()
        .api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False)
        .environment(Illegal, env_config=env_config, disable_env_checking=True)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2, rollout_fragment_length=20)
        .resources(num_gpus=0)
        .reporting(min_time_s_per_iteration=0)
        .debugging(seed=0, log_level="ERROR")
        .training(
            train_batch_size=80,
            entropy_coeff=0.01,
            model={"custom_model": CLASS_PATH, "custom_model_config": own, "max_seq_len": 7},
        )
    )
    return config.training(minibatch_size=40, num_epochs=2) if algorithm == "PPO" else config


@pytest.mark.parametrize("algorithm", ["PPO", pytest.param("APPO", marks=pytest.mark.slow), "IMPALA"])
@pytest.mark.parametrize(
    ("custom", "env_config"),
    [
        ({}, {}),
        pytest.param(
            {"vf_share_layers": False, "action_mask_as_input": True}, {"sizes": [4, 3]}, marks=pytest.mark.slow
        ),
        pytest.param({"use_prev_action": True}, {"binary": False}, marks=pytest.mark.slow),
    ],
)
def test_no_forbidden_action_is_taken(algorithm: str, custom: dict[str, Any], env_config: dict[str, Any]) -> None:
    algo = old(algorithm, custom, **env_config).build_algo()
    try:
        for _ in range(10):
            result = algo.train()
        learnt = result["info"]["learner"]
        assert all(torch.isfinite(each).all() for each in algo.get_policy().model.parameters())
        assert learnt
    finally:
        algo.stop()


def test_without_a_mask_the_environment_raises() -> None:
    with pytest.raises(Exception, match="illegal action"):
        old("PPO", {"action_mask": None}).build_algo().train()


@pytest.mark.parametrize("as_input", [False, True])
def test_logits_are_masked_and_the_value_does_not_see_the_mask(as_input: bool) -> None:
    policy = old("PPO", {"action_mask_as_input": as_input}).build_algo().get_policy()
    model, torch_state = policy.model, [state[None].repeat(2, 1) for state in policy.model.get_initial_state()]
    masks = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 1, 1, 1]])
    values = []
    for mask in (masks, torch.ones_like(masks)):
        # As RLlib's preprocessor lays the Dict out: keys in order, side by side.
        flat = torch.cat([mask.float(), torch.tensor([[0.1, 0.2], [0.3, 0.4]])], dim=1)
        logits, _ = model(SampleBatch({"obs": flat}), torch_state, torch.ones(2, dtype=torch.int32))
        assert ((torch.softmax(logits, -1) > 0) == mask.bool()).all()
        values.append(model.value_function())
    assert torch.equal(*values) is not as_input


def test_a_wrong_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="no key of the observation space"):
        old("PPO", {"action_mask": "mask"}).build_algo()
