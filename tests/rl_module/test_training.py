"""PPO trains the models, in the driver and with EnvRunners of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.modules import RecAttnPPOModule
from tests.rl_module.small_agents import small_config


@pytest.mark.parametrize(
    ("num_env_runners", "action_space", "vf_share_layers"),
    [
        (0, "discrete", True),
        (0, "discrete", False),
        (0, "box", True),
        (0, "box", False),
        (2, "discrete", False),
        (2, "box", True),
    ],
)
def test_two_iterations(ray_session, num_env_runners, action_space, vf_share_layers):
    config = small_config(action_space, vf_share_layers=vf_share_layers).env_runners(num_env_runners=num_env_runners)
    algorithm = config.build_algo()
    try:
        before = weights(algorithm)
        for _ in range(2):
            result = algorithm.train()
        after = weights(algorithm)

        losses = result["learners"][DEFAULT_MODULE_ID]
        assert np.isfinite([losses[key] for key in ("policy_loss", "vf_loss", "entropy")]).all()
        unmoved = {name for name, value in after.items() if np.array_equal(value, before[name])}
        assert unmoved == {name for name in after if name.endswith("_const")}
        # Every encoder that runs during sampling has the learner's weights, the critic's own one included.
        for state in algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.module.get_state()):
            for name, value in state.items():
                if name.startswith("encoder."):
                    np.testing.assert_array_equal(value, after[name], err_msg=name)
    finally:
        algorithm.stop()


def weights(algorithm):
    return algorithm.learner_group.get_weights()[DEFAULT_MODULE_ID]


def test_the_success_rate_is_a_metric_where_the_environment_reports_success(ray_session):
    results = {}
    for env in ("discrete", "box"):
        config = small_config(env).training(train_batch_size_per_learner=900)
        algorithm = config.reporting(metrics_num_episodes_for_smoothing=4).build_algo()
        try:
            results[env] = algorithm.train()["env_runners"]
        finally:
            algorithm.stop()
    assert 0 <= results["discrete"]["success_rate"] <= 1
    assert "success_rate" not in results["box"]


def test_the_value_pass_over_the_whole_batch_keeps_no_graph():
    runner = SingleAgentEnvRunner(config=small_config())
    try:
        module = runner.module
        assert isinstance(module, RecAttnPPOModule)
        state = {key: value[None] for key, value in module.get_initial_state().items()}
        batch = {"obs": torch.zeros(1, 4, 16), "state_in": state}
        assert not module.compute_values(batch).requires_grad
        embeddings = module.forward_train(batch)["embeddings"]
        assert module.compute_values(batch, embeddings=embeddings).requires_grad
    finally:
        runner.stop()
