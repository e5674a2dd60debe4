"""The same file with the same seed and ``num_env_runners: 0`` gives the same results, to the bit, in two processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXPERIMENT = """
again:
  run: {run}
  env: rllib_recattn/TMaze-v0
  stop: {{training_iteration: 2}}
  model: {model}
  config:
    env_config: {{corridor_length: 3, max_episode_steps: 12}}
    num_env_runners: 0
    num_envs_per_env_runner: 4
    rollout_fragment_length: 16
    train_batch_size_per_learner: 128
    {more}
    seed: {seed}
"""
MODELS = {
    "agalite": "{name: agalite, max_seq_len: 8, d_model: 16, n_layers: 1, n_heads: 2, d_head: 4}",
    "lstm": "{name: lstm, max_seq_len: 8, d_model: 16}",
}

# What two iterations do: their metrics, and the weights that they end with. Times are nobody's results.
PROGRAM = """
import hashlib, json, sys
from pathlib import Path
import ray
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
algorithm = build_config(load_experiment(Path(sys.argv[1]))).build_algo()
iterations = []
for _ in range(2):
    result = algorithm.train()
    runners, learner = result["env_runners"], result["learners"]["default_policy"]
    keys = ("episode_return_mean", "episode_len_mean", "num_episodes", "num_env_steps_sampled_lifetime", "success_rate")
    losses = {key: float(value).hex() for key, value in learner.items() if "loss" in key or key == "entropy"}
    iterations.append({**{key: float(runners[key]).hex() for key in keys if key in runners}, **losses})
digest = hashlib.sha256()
for name, value in sorted(algorithm.get_module().state_dict().items()):
    digest.update(name.encode() + value.cpu().numpy().tobytes())
print(json.dumps({"iterations": iterations, "weights": digest.hexdigest()}))
algorithm.stop()
ray.shutdown()
"""


def results_of(file: Path) -> dict[str, Any]:
    """Train in a process of its own and return what it got."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow  # each process imports RLlib and starts a Ray of its own
@pytest.mark.parametrize("model", MODELS)
def test_ppo_gives_the_same_results_in_another_process(model: str, tmp_path: Path) -> None:
    file, other = tmp_path / "again.yaml", tmp_path / "other.yaml"
    more = "minibatch_size: 64\n    num_epochs: 2"
    for path, seed in ((file, 3), (other, 4)):
        path.write_text(EXPERIMENT.format(run="PPO", model=MODELS[model], more=more, seed=seed))
    first = results_of(file)
    assert len(first["iterations"]) == 2
    assert {"episode_return_mean", "policy_loss", "vf_loss"} <= first["iterations"][1].keys()
    assert results_of(file) == first
    assert results_of(other)["weights"] != first["weights"]
