"""RLlib's filter of observations, beside connectors of others and sparse states."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import MeanStdFilter

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.rl_module.observation_filter import (
    FilterInEvaluationCallback,
    check_filtered_space,
    filter_observations,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")


class Far(gymnasium.Env):
    """Observations around 100, and a reward that depends on the action."""

    observation_space = gymnasium.spaces.Box(-1000, 1000, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, config=None):
        pass

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        return self.observe(), float(action), self.steps == 8, False, {}

    def observe(self):
        return self.np_random.normal(100, 10, 2).astype(np.float32)


class Largest(ConnectorV2):
    """Keeps the largest observation that it sees."""

    largest = 0.0

    def __call__(self, *, batch, episodes, **kwargs):
        for episode in self.single_agent_episode_iterator(episodes):
            Largest.largest = max(Largest.largest, float(np.abs(episode.get_observations(-1)).max()))
        return batch


def config_with_filter() -> PPOConfig:
    config = (
        PPOConfig()
        .environment(Far)
        .env_runners(num_env_runners=0, env_to_module_connector=lambda *args: Largest())
        .training(train_batch_size_per_learner=32, minibatch_size=32, num_epochs=1)
        .evaluation(evaluation_interval=1, evaluation_duration=2, evaluation_num_env_runners=0)
        .debugging(seed=0)
    )
    return ra.use_model(filter_observations(config), "gru", d_model=8, max_seq_len=4, use_prev_action=True)


def statistics(env_runner: Any) -> tuple[int, list[float]]:
    (piece,) = (each for each in env_runner._env_to_module.connectors if isinstance(each, MeanStdFilter))
    stats = piece._filters[None].running_stats
    return stats.n, np.asarray(stats.mean).tolist()


def test_it_learns_in_training_alone_and_goes_on_from_a_checkpoint(ray_session, tmp_path) -> None:
    Largest.largest = 0.0
    algorithm = config_with_filter().build_algo()
    try:
        algorithm.train()
        count, mean = statistics(algorithm.env_runner)
        assert 32 < count <= 40  # the steps, and the observations with which episodes begin
        assert mean == pytest.approx([100, 100], abs=10)
        in_evaluation = statistics(algorithm.eval_env_runner_group.local_env_runner)
        assert in_evaluation == (count, mean)
        assert Largest.largest <= 10  # a piece of another's sees what was filtered
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        algorithm.stop()
    restored = Algorithm.from_checkpoint(path)
    try:
        assert statistics(restored.env_runner) == (count, mean)
        restored.train()
        assert statistics(restored.env_runner)[0] > count + 30
    finally:
        restored.stop()
    first, second = (evaluate_checkpoint(tmp_path / "checkpoint", episodes=3, seed=5) for _ in range(2))
    assert first.episodes == second.episodes


def test_stock_rllib_evaluates_with_statistics_of_its_own(ray_session) -> None:
    config = config_with_filter()
    config.callbacks(
        callbacks_class=[each for each in config.callbacks_class if each is not FilterInEvaluationCallback]
    )
    algorithm = config.build_algo()
    try:
        algorithm.train()
        in_training = statistics(algorithm.env_runner)
        assert statistics(algorithm.eval_env_runner_group.local_env_runner)[0] not in (in_training[0], 0)
    finally:
        algorithm.stop()


@pytest.mark.parametrize("space", [gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Discrete(3)])
def test_what_can_be_filtered_or_left_alone(space: gymnasium.Space) -> None:
    check_filtered_space(gymnasium.spaces.Dict({"a": space}), "x.yaml: a.config")


def test_pictures_are_refused() -> None:
    space = gymnasium.spaces.Dict({"picture": gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)})
    with pytest.raises(SettingsError, match=r"^x.yaml: a.config: observation_filter = 'MeanStdFilter': .* of uint8"):
        check_filtered_space(space, "x.yaml: a.config")
