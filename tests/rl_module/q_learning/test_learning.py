"""Recurrent DQN learns what needs a memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment

EXAMPLE = Path(__file__).parents[3] / "tuned_examples" / "tmaze-10-agalite-dqn.yaml"


@pytest.mark.slow
def test_it_solves_a_t_maze_with_ten_cells(ray_session):
    algorithm = build_config(load_experiment(EXAMPLE)).build_algo()
    success = steps = 0.0
    while success < 0.9 and steps < 120_000:
        result = algorithm.train()
        success = result["env_runners"].get("success_rate", 0.0)
        steps = result["num_env_steps_sampled_lifetime"]
    algorithm.stop()
    assert success >= 0.9  # half of the episodes without a memory
