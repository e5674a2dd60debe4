"""What states weigh on RLlib's old API stack: in train batches, and in the worker that samples them.

    OMP_NUM_THREADS=1 python -m benchmarks.model_v2.bytes_per_step

Samples with a RolloutWorker in this process (2 environments, fragments of 128 steps, rows of 64, a vector of 3 numbers
as observation), with the views of this package and with those that RLlib makes of a model's states by itself, and
writes bytes_per_step.json beside this file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.evaluation.rollout_worker import RolloutWorker

from benchmarks.machine import machine
from benchmarks.models.sizes import PAPER
from benchmarks.plain import PLAIN

RESULT = Path(__file__).with_suffix(".json")
MODELS = {
    "AGaLiTe": ("agalite", PLAIN),
    "GTrXL, M = 128, memory as a view": ("gtrxl", {"memory_length": 128}),
    "GTrXL, M = 128, memory in the state": ("gtrxl", {"memory_length": 128, "memory_view": False}),
}
FRAGMENT, MAX_SEQ_LEN, N_ENVS, OBSERVATION, EPISODE = 128, 64, 2, 3, 200


class Steps(gym.Env[Any, Any]):
    """Episodes of 200 steps of random numbers."""

    observation_space = gym.spaces.Box(-1, 1, (OBSERVATION,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def __init__(self, config: Any = None):
        self.t = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.observation_space.sample(), 0.0, self.t >= EPISODE, False, {}


def main() -> None:
    results = {}
    for label, (model, settings) in MODELS.items():
        ours, rllibs = (measure(model, settings, ships_all=ships_all) for ships_all in (False, True))
        results[label] = {
            "bytes_per_step": ours["bytes_per_step"],
            "bytes_per_step_with_rllibs_own_views": rllibs["bytes_per_step"],
            "ratio": round(ours["bytes_per_step"] / rllibs["bytes_per_step"], 4),
            "held_in_the_worker_per_step": ours["held_in_the_worker_per_step"],
        }
        print(label, results[label], flush=True)
    report = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.model_v2.bytes_per_step",
        "machine": machine("rllib-recattn", "ray", "torch", "numpy"),
        "fragment": FRAGMENT,
        "max_seq_len": MAX_SEQ_LEN,
        "results": results,
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measure(model: str, settings: dict[str, Any], *, ships_all: bool) -> dict[str, int]:
    config = (
        PPOConfig()
        .api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False)
        .environment(Steps)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=N_ENVS, rollout_fragment_length=FRAGMENT)
        .debugging(seed=0, log_level="ERROR")
        .training(
            train_batch_size=FRAGMENT * N_ENVS,
            model={
                "custom_model": "rllib_recattn.model_v2.RecAttnModelV2",
                "custom_model_config": {"model": model, **PAPER, **settings},
                "max_seq_len": MAX_SEQ_LEN,
            },
        )
    )
    worker = RolloutWorker(
        env_creator=config.env,
        default_policy_class=config.algo_class.get_default_policy_class(config),
        config=config,
    )
    states = [view for column, view in worker.get_policy().view_requirements.items() if column.startswith("state_out")]
    for view in states:
        view.used_for_training = ships_all  # True is RLlib's own choice for states that a model says nothing of
    worker.sample()
    batch = worker.sample().as_multi_agent().policy_batches["default_policy"]
    n_bytes = sum(np.asarray(values).nbytes for column, values in batch.items() if column != "infos")
    return {
        "bytes_per_step": round(n_bytes / len(batch)),
        "held_in_the_worker_per_step": sum(int(np.prod(view.space.shape)) * 4 for view in states),
    }


if __name__ == "__main__":
    main()
