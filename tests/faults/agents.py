"""Small agents in an environment that fails, and the states that their train batches should have."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.rl_module.encoder import STATE
from rllib_recattn.rl_module.faults import FAULT_TOLERANCE, survive_faults
from tests.faults.faulty_env import FAULTY
from tests.rl_module.small_agents import small_config

MAX_SEQ_LEN = 7


def faulty_config(*, sparse_states: bool = True, **env_config: Any) -> AlgorithmConfig:
    """PPO with a model with memory, and two environments that fail as `env_config` says."""
    config = small_config(max_seq_len=MAX_SEQ_LEN, sparse_states=sparse_states)
    config.environment(FAULTY)
    config.env_config = env_config  # environment(…) would add to T-Maze's
    config.env_runners(num_envs_per_env_runner=2)
    config.fault_tolerance(**FAULT_TOLERANCE)
    return survive_faults(config)


def by_episode(chunks: Iterable[SingleAgentEpisode]) -> dict[str, list[SingleAgentEpisode]]:
    """Group chunks by the episode that they are of, in order."""
    episodes = defaultdict(list)
    for chunk in chunks:
        episodes[chunk.id_].append(chunk if chunk.is_numpy else chunk.to_numpy())
    return dict(episodes)


def assert_states_are_the_episodes_own(
    config: AlgorithmConfig, module: Any, spaces: Any, episodes: Iterable[list[SingleAgentEpisode]]
) -> None:
    """Each row that the learner makes starts from what the episode's own observations lead to, from its first step."""
    learner = config.build_learner(spaces=spaces)
    learner.module[DEFAULT_MODULE_ID].set_state(module.get_state())
    model = module.encoder.encoder.model
    for chunks in episodes:
        step, state = 0, model.initial_state(1)
        for chunk in chunks:
            assert chunk.t_started == step, "a chunk is missing, or belongs to another episode"
            batch = learner._learner_connector(
                rl_module=learner.module, batch={}, episodes=[copy.deepcopy(chunk)], shared_data={}
            )[DEFAULT_MODULE_ID]
            observations = torch.from_numpy(np.asarray(chunk.get_observations()))
            wanted = []
            for index in range(len(chunk) + 1):
                if index % MAX_SEQ_LEN == 0:
                    wanted.append(state)
                if index < len(chunk):
                    with torch.no_grad():
                        state = model(observations[None, None, index], state)[1]
            torch.testing.assert_close(batch[Columns.STATE_IN][STATE].cpu(), torch.cat(wanted), rtol=1e-4, atol=1e-5)
            step += len(chunk)
