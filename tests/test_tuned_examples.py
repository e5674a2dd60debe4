"""Every tuned example trains: two iterations with its own model and settings, on less experience."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment

EXAMPLES = sorted((Path(__file__).parents[1] / "tuned_examples").glob("*.yaml"))


def test_there_are_examples():
    assert {path.name for path in EXAMPLES} >= {"tmaze-agalite-ppo.yaml", "tmaze-lstm-ppo.yaml"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_trains(ray_session, path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    config = build_config(experiment)
    config.training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=1)
    algorithm = config.env_runners(num_env_runners=0, num_envs_per_env_runner=4).build_algo()
    try:
        for _ in range(2):
            result = algorithm.train()
    finally:
        algorithm.stop()
    assert result["num_env_steps_sampled_lifetime"] >= 512
    assert result["learners"][DEFAULT_MODULE_ID]["num_module_steps_trained"] > 0
