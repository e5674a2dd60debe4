"""How many steps a second a trained agent takes for one environment: this package's, onnxruntime's, RLlib's.

    make kernels
    python -m benchmarks.agents.acting

An AGaLiTe of 2 blocks of 64 features acts, one observation of 4 numbers at a time, on one thread:

- load_agent: `agent.act(observation)`, with the checks of observations and results;
- without kernels: likewise, by PyTorch's operations alone;
- onnxruntime: the same agent, exported with `--format onnx`, in the loop that docs/agents.md shows;
- pt2: likewise with `--format pt2`, in PyTorch;
- EnvRunner: RLlib's, which acts for such an environment through its connectors and keeps episodes, as `rllib evaluate`
  does.

The environment costs next to nothing, and all of them step it. They take turns; what is counted is the time of this
process on the processor, so that others on the machine disturb little. The result goes to acting.json beside this file:
medians of steps a second, and their ratios to the EnvRunner's.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
from benchmarks.machine import machine
from benchmarks.plain import PLAIN
from rllib_recattn.agents.graphs.onnx_file import run_onnx
from rllib_recattn.agents.graphs.program import run_program
from rllib_recattn.experiment.trained_agents.export import export_agents
from rllib_recattn.models.kernels import library

RESULT = Path(__file__).with_suffix(".json")
MODEL = {"d_model": 64, "n_layers": 2, **PLAIN}
ROUNDS, STEPS = 11, 300
RLLIB = "EnvRunner"

Turn = Callable[[int], None]


class Still(gym.Env[Any, Any]):
    """Shows the same four numbers, and ends its episodes after a hundred steps."""

    observation_space = gym.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def __init__(self, config: Any = None):
        self._shown, self._steps = np.full(4, 0.5, np.float32), 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self._steps = 0
        return self._shown, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._shown, 0.0, False, self._steps == 100, {}


def with_agent(agent: Any) -> Turn:
    env = Still()

    def turn(steps: int) -> None:
        observation, _ = env.reset()
        agent.reset()
        for _ in range(steps):
            observation, _, _, truncated, _ = env.step(agent.act(observation))
            if truncated:
                observation, _ = env.reset()
                agent.reset()

    return turn


def without_kernels(turn: Turn) -> Turn:
    found = library.kernels

    def turn_without(steps: int) -> None:
        library.kernels = lambda: None
        try:
            turn(steps)
        finally:
            library.kernels = found

    return turn_without


def with_graph(run: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], interface: Any) -> Turn:
    env = Still()
    inputs = {port["name"]: np.zeros((1, *port["shape"][1:]), port["dtype"]) for port in interface["inputs"]}

    def turn(steps: int) -> None:
        observation, _ = env.reset()
        inputs["is_first"][:] = True
        for _ in range(steps):
            inputs["observation"][:] = observation
            outputs = run(inputs)
            for name, source in interface["feedback"].items():
                inputs[name] = outputs[source]
            observation, _, _, truncated, _ = env.step(outputs["action"][0])
            inputs["is_first"][:] = truncated
            if truncated:
                observation, _ = env.reset()

    return turn


def sides(folder: Path) -> dict[str, Turn]:
    config = PPOConfig().environment(Still).env_runners(num_env_runners=0, num_envs_per_env_runner=1)
    config.debugging(seed=0, log_level="ERROR")
    algorithm = ra.use_model(config, "agalite", max_seq_len=32, **MODEL).build_algo()
    checkpoint = Path(algorithm.save_to_path(str(folder / "checkpoint")))
    runner = algorithm.env_runner
    agent = with_agent(ra.load_agent(checkpoint))
    found = {
        "load_agent": agent,
        "without kernels": without_kernels(agent),
        RLLIB: lambda steps: runner.sample(num_timesteps=steps, explore=False) and None,
    }
    for form, run in (("onnx", run_onnx), ("pt2", run_program)):
        export_agents(checkpoint, folder / form, form=form)
        interface = json.loads((folder / form / "interface.json").read_text(encoding="utf-8"))
        name = "onnxruntime" if form == "onnx" else form
        found[name] = with_graph(run(folder / form / interface["file"]), interface)
    return found


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        turns = sides(Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in turns}
        for turn in turns.values():
            turn(STEPS)
        for _ in range(ROUNDS):
            for name, turn in turns.items():
                begun = time.process_time()
                turn(STEPS)
                seconds[name].append(time.process_time() - begun)
    rates = {name: STEPS / statistics.median(each) for name, each in seconds.items()}
    result = {
        "command": "make kernels; python -m benchmarks.agents.acting",
        "model": {"name": "agalite", **MODEL},
        "clock": "the process's time on the processor",
        "kernels": library.instruction_set(),
        "steps_per_second": {name: round(rate) for name, rate in rates.items()},
        "best_steps_per_second": {name: round(STEPS / min(each)) for name, each in seconds.items()},
        "times_as_fast_as_env_runner": {name: round(rate / rates[RLLIB], 2) for name, rate in rates.items()},
        "machine": machine("rllib-recattn", "ray", "torch", "numpy", "onnxruntime"),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
