"""What a step costs in replay memory: sequences with the state before each, and RLlib's buffer with a state a step.

    python -m benchmarks.training.replay_memory

T-Maze with 20 cells, an agent that has not learnt, the same number of steps in both: what RLlib's EpisodeReplayBuffer
holds of episodes whose states are in their columns, as its EnvRunners make them, and what ours holds. Bytes of all
arrays, and of ours when pickled. Writes replay_memory.json.
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import tree
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils.from_config import from_config
from ray.rllib.utils.replay_buffers import EpisodeReplayBuffer, ReplayBuffer

import rllib_recattn as ra
from benchmarks.machine import machine
from benchmarks.plain import PLAIN
from rllib_recattn.rl_module.q_learning.sequences import SequenceShape

OUT = Path(__file__).with_suffix(".json")
STEPS = 2000
CASES: list[tuple[str, dict[str, Any], int, int]] = [  # model, settings, max_seq_len, burn_in
    ("agalite", {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_head": 64, **PLAIN}, 64, 0),
    ("agalite", {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_head": 64, **PLAIN}, 64, 16),
    ("gtrxl", {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_head": 32, "memory_length": 64}, 64, 16),
    ("lstm", {"d_model": 256}, 64, 16),
]


def episodes_of(config: Any) -> list[Any]:
    config.environment("rllib_recattn/TMaze-v0", env_config={"corridor_length": 20, "max_episode_steps": 200})
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=4, rollout_fragment_length=64)
    config.debugging(seed=0, log_level="ERROR")
    runner = SingleAgentEnvRunner(config=config)
    sampled: list[Any] = []
    while sum(map(len, sampled)) < STEPS:
        sampled += runner.sample(num_timesteps=256)
    runner.stop()
    return sampled


def array_bytes(nested: Any) -> int:
    return sum(leaf.nbytes for leaf in tree.flatten(nested) if isinstance(leaf, np.ndarray))


def dense(model: str, settings: dict[str, Any], max_seq_len: int) -> dict[str, float]:
    config = ra.use_model(PPOConfig(), model, max_seq_len=max_seq_len, sparse_states=False, **settings)
    buffer = EpisodeReplayBuffer(capacity=10**6)
    buffer.add(episodes_of(config))
    n_bytes = 0
    for episode in buffer.episodes:
        outputs = {key: value for key, value in episode.extra_model_outputs.items() if key == "state_out"}
        for part in (episode.observations, episode.actions, episode.rewards, *outputs.values()):
            n_bytes += array_bytes(part.data if not isinstance(part.data, list) else [np.asarray(x) for x in part.data])
    return {"arrays": n_bytes / len(buffer)}


def sparse(model: str, settings: dict[str, Any], max_seq_len: int, burn_in: int) -> dict[str, float]:
    config = ra.use_model(DQNConfig(), model, max_seq_len=max_seq_len, burn_in=burn_in, **settings)
    buffer = from_config(ReplayBuffer, config.replay_buffer_config)
    buffer.prepare(SequenceShape(max_seq_len, burn_in, config.episode_lookback_horizon))
    buffer.add(episodes_of(config))
    state = buffer.get_state()
    n_bytes = sum(array_bytes([fields[key] for key in fields]) for fields in state["sequences"])
    return {"arrays": n_bytes / len(buffer), "pickled": len(pickle.dumps(state)) / len(buffer)}


def measure(model: str, settings: dict[str, Any], max_seq_len: int, burn_in: int) -> dict[str, Any]:
    torch.manual_seed(0)
    theirs, ours = dense(model, settings, max_seq_len), sparse(model, settings, max_seq_len, burn_in)
    state = ra.build_model(model, input_dim=1, **settings).state_size * 4
    return {
        "model": model,
        "settings": settings,
        "max_seq_len": max_seq_len,
        "burn_in": burn_in,
        "state_bytes": state,
        "bytes_per_step": {"dense": round(theirs["arrays"]), "sequences": round(ours["arrays"])},
        "bytes_per_step_pickled": {"sequences": round(ours["pickled"])},
        "ratio": round(theirs["arrays"] / ours["arrays"], 1),
    }


def main() -> None:
    torch.set_num_threads(1)
    results = []
    for case in CASES:
        results.append(measure(*case))
        print(json.dumps(results[-1]), flush=True)
    report = {
        "command": "python -m benchmarks.training.replay_memory",
        "machine": {"threads": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
        "steps": STEPS,
        "results": results,
    }
    OUT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
