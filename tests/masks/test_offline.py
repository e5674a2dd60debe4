"""BC and MARWIL learn from recorded episodes with masks."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

import rllib_recattn as ra
from tests.masks.illegal import LENGTH, Illegal
from tests.rl_module.test_offline import packed

CONFIGS = {"BC": BCConfig, "MARWIL": MARWILConfig}


def episodes(n: int) -> list[SingleAgentEpisode]:
    """Of an expert that takes the first action that is allowed; the mask of the last observation is all zeros."""
    env, recorded = Illegal(), []
    for seed in range(n):
        observation, _ = env.reset(seed=seed)
        episode = SingleAgentEpisode(observation_space=env.observation_space, action_space=env.action_space)
        episode.add_env_reset(observation)
        while not episode.is_done:
            action = int(observation["action_mask"].argmax())
            observation, reward, terminated, truncated, info = env.step(action)
            episode.add_env_step(observation, action, reward, info, terminated=terminated, truncated=truncated)
        recorded.append(episode)
    return recorded


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", CONFIGS)
def test_recorded_episodes(algorithm: str, ray_session: None, tmp_path: Path) -> None:
    pq.write_table(pa.table({"item": packed(episodes(40))}), tmp_path / "episodes.parquet")
    config = CONFIGS[algorithm]().environment(Illegal).debugging(seed=0, log_level="ERROR")
    config.training(train_batch_size_per_learner=50, lr=3e-3)
    config.offline_data(
        input_=[str(tmp_path)],
        input_read_episodes=True,
        dataset_num_iters_per_learner=1,
        map_batches_kwargs={"concurrency": 1},
    )
    config.evaluation(
        evaluation_num_env_runners=0, evaluation_interval=3, evaluation_duration=3, evaluation_config={"explore": True}
    )
    algo = ra.use_model(config, "gru", d_model=8, max_seq_len=LENGTH + 1, action_mask="action_mask").build_algo()
    try:
        losses = []
        for _ in range(3):
            result = algo.train()
            losses.append(float(result["learners"]["default_policy"]["policy_loss"]))
        assert all(map(math.isfinite, losses))
        if algorithm == "BC":  # MARWIL weighs the steps
            # As of uniform choices among the allowed ones, far below that among all of them, log 5.
            assert losses[0] < 1.3
        assert result["evaluation"]["env_runners"]["num_episodes"] >= 3
    finally:
        algo.stop()
