"""What the tests of each family share: an experiment in YAML that trains for one iteration, and the training."""

from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment

EXPERIMENT = """
remembering:
  run: PPO
  env: {env}
  stop: {{training_iteration: 1}}
  model: {{name: lstm, max_seq_len: 8, d_model: 16, encoder: {encoder}, use_prev_action: true}}
  config:
    env_config: {env_config}
    num_env_runners: {num_env_runners}
    num_envs_per_env_runner: 4
    gym_env_vectorize_mode: {mode}
    restart_failed_env_runners: false
    rollout_fragment_length: 16
    train_batch_size_per_learner: 128
    minibatch_size: 64
    num_epochs: 1
"""
CNN = "{type: cnn, widths: [8, 8], output_dim: 16}"


def load(directory, env, env_config="{}", num_env_runners=0, mode="sync", encoder="auto"):
    """Load an experiment from a file in a directory."""
    file = directory / "experiment.yaml"
    file.write_text(
        EXPERIMENT.format(env=env, env_config=env_config, num_env_runners=num_env_runners, mode=mode, encoder=encoder)
    )
    return load_experiment(file)


def train_once(experiment):
    """Train for one iteration, in which each step sampled is trained on; returns RLlib's results of the episodes."""
    algorithm = build_config(experiment).build_algo()
    try:
        result = algorithm.train()
    finally:
        algorithm.stop()
    assert result["env_runners"]["num_env_steps_sampled"] >= 128
    assert result["learners"][DEFAULT_MODULE_ID]["num_module_steps_trained"] >= 128
    return result["env_runners"]
