"""PPO, APPO and IMPALA train the models, in the driver, with EnvRunners of their own and with aggregator actors."""

from __future__ import annotations

import numpy as np
import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from tests.rl_module.small_agents import small_config


@pytest.mark.parametrize(
    ("algorithm", "action_space", "vf_share_layers", "actors"),
    [
        ("PPO", "discrete", True, {}),
        ("PPO", "discrete", False, {}),
        ("PPO", "box", True, {}),
        ("PPO", "box", False, {}),
        ("PPO", "discrete", False, {"num_env_runners": 2}),
        ("PPO", "box", True, {"num_env_runners": 2}),
        ("APPO", "discrete", True, {}),
        pytest.param("APPO", "box", False, {"num_env_runners": 2}, marks=pytest.mark.slow),
        ("IMPALA", "discrete", False, {}),
        pytest.param("IMPALA", "box", True, {"num_env_runners": 2}, marks=pytest.mark.slow),
        ("IMPALA", "discrete", True, {"num_env_runners": 1, "num_aggregator_actors_per_learner": 1}),
    ],
)
def test_two_updates(ray_session, algorithm, action_space, vf_share_layers, actors):
    config = small_config(action_space, algorithm=algorithm, vf_share_layers=vf_share_layers)
    config.env_runners(num_env_runners=actors.get("num_env_runners", 0))
    aggregators = actors.get("num_aggregator_actors_per_learner", 0)
    config.learners(num_aggregator_actors_per_learner=aggregators, num_learners=min(1, aggregators))
    if aggregators:
        config.env_runners(num_cpus_per_env_runner=0.5)
    algo = config.build_algo()
    try:
        before = weights(algo)
        updates = 0
        while updates < 2:  # iterations of APPO and IMPALA that see no update report NaN or nothing
            losses = algo.train().get("learners", {}).get(DEFAULT_MODULE_ID, {})
            updates += np.isfinite(losses.get("total_loss", np.nan))
        after = weights(algo)

        assert np.isfinite([losses[key] for key in ("total_loss", "vf_loss", "entropy")]).all()
        unmoved = {name for name, value in after.items() if np.array_equal(value, before[name])}
        assert unmoved == {name for name in after if name.endswith("_const") or name.startswith("_old_")}
        # Every encoder that runs during sampling has the learner's weights, the critic's own one included.
        if algorithm == "PPO":  # the others' runners lag behind
            for state in algo.env_runner_group.foreach_env_runner(lambda runner: runner.module.get_state()):
                for name, value in state.items():
                    if name.startswith("encoder."):
                        np.testing.assert_array_equal(value, after[name], err_msg=name)
    finally:
        algo.stop()


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
