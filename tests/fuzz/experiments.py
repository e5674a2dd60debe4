"""The experiments that are mutated: the tuned examples of tasks that build fast, and some that use every block."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from rllib_recattn.experiment.definition.yaml_file import parse_yaml

TUNED_EXAMPLES = Path(__file__).parents[2] / "tuned_examples"

SWEEP = """
sweep:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {env_runners/success_rate: 0.9, training_iteration: 8, time_total_s: 600}
  model:
    grid_search:
      - {name: agalite, max_seq_len: 16, d_model: 16, n_layers: 1, n_heads: 2, d_head: 4}
      - {name: lstm, max_seq_len: 16, d_model: 16, encoder: {type: mlp, widths: [16]}}
  config:
    env_config: {corridor_length: {choice: [3, 4]}, max_episode_steps: 12}
    num_env_runners: 0
    lr: {loguniform: [1e-5, 1e-2]}
    entropy_coeff: [[0, 0.1], [10_000, {uniform: [0, 0.1]}]]
    train_batch_size_per_learner: 128
    minibatch_size: {choice: [32, 64]}
    evaluation_interval: 2
    evaluation_config: {explore: false, env_config: {corridor_length: 5}}
    model_config: {head_fcnet_hiddens: [16]}
    seed: 0
  tune:
    num_samples: 2
    metric: env_runners/success_rate
    mode: max
    scheduler: {asha: {grace_period: 2, reduction_factor: 2}}
    search_alg: random
    max_concurrent_trials: 2
    time_budget_s: 60
  checkpoint: {frequency: 2, at_end: true, num_to_keep: 1}
  logging: {tensorboard: true}
  max_failures: 2
  storage_path: results
"""

SEVERAL_AGENTS = """
several-agents:
  run: PPO
  env: tests.experiment.crowd.Crowd
  stop: {training_iteration: 2}
  multi_agent:
    policies:
      one: {model: {name: gru, max_seq_len: 8, d_model: 8}}
      other:
    mapping: {'stead*': one, '*': other}
    policies_to_train: [one]
    count_steps_by: agent_steps
  model: {name: lstm, max_seq_len: 8, d_model: 8}
  callbacks:
    - rllib_recattn.rl_module.metrics.SuccessRateCallback
  config: {num_env_runners: 0, env_config: {bonus: 0.5}, train_batch_size_per_learner: 64, minibatch_size: 32}
"""

OLD_STACK = """
old-stack:
  run: PPO
  env: CartPole-v1
  stop: {episode_reward_mean: 150, timesteps_total: 1e5}
  num_samples: 1
  checkpoint_freq: 10
  config:
    framework: torch
    num_workers: 0
    lr: 0.0003
    num_sgd_iter: 6
    sgd_minibatch_size: 128
    train_batch_size: 512
    model: {use_lstm: true, lstm_cell_size: 32, max_seq_len: 20, fcnet_hiddens: [16]}
  api_stack: old
"""

OWN_TEXTS = (SWEEP, SEVERAL_AGENTS, OLD_STACK)


@cache
def texts() -> tuple[str, ...]:
    """Return the experiments as YAML."""
    examples = sorted(TUNED_EXAMPLES.glob("*tmaze-10-*.yaml"))
    return (*OWN_TEXTS, *(file.read_text(encoding="utf-8") for file in examples))


@cache
def contents() -> tuple[dict[str, Any], ...]:
    """Return the experiments as plain data, which is not to be changed."""
    return tuple(parse_yaml(text, "experiment") for text in texts())
