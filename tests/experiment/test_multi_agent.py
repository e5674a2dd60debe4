"""Several agents from YAML: trained, stopped by a policy's return, evaluated."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.resolved import resolved_yaml
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.records.metrics import read_history
from rllib_recattn.experiment.training.run import run_experiment
from tests.experiment.crowd import LENGTH, PERIODS

CONTENT = """
crowd:
  run: PPO
  env: tests.experiment.crowd.Crowd
  stop: {{training_iteration: 3, {metric}: -1000}}
  model: {{name: gru, d_model: 8, max_seq_len: 5}}
  multi_agent:
    policies:
      memory:
      seldom: {{model: {{name: agalite, d_model: 8, n_layers: 1, n_heads: 2, d_head: 4, max_seq_len: 4}}}}
    mapping: {{seldom: seldom, '*': memory}}
    policies_to_train: [memory]
  config: {{num_env_runners: 0, {batch}: 48, minibatch_size: 24, num_epochs: 1, seed: 0}}
  storage_path: {directory}
"""
NEW = {"metric": "env_runners/module_episode_returns_mean/memory", "batch": "train_batch_size_per_learner"}
OLD = {"metric": "env_runners/policy_reward_mean/memory", "batch": "train_batch_size"}


def load(directory, stack="new"):
    text = CONTENT.format(directory=directory, **(NEW if stack == "new" else OLD))
    path = directory / f"{stack}.yaml"
    path.write_text(text.replace("  run: PPO", f"  run: PPO\n  api_stack: {stack}"))
    return load_experiment(path)


@pytest.fixture(scope="module")
def trained(ray_session, tmp_path_factory):
    """A run that a policy's return ended after one iteration."""
    experiment = load(tmp_path_factory.mktemp("crowd"))
    with redirect_stdout(io.StringIO()):
        return run_experiment(experiment, build_config(experiment))


def test_a_policys_return_ends_training(trained):
    assert trained.status == "finished"
    history = read_history(trained.run_dir)
    assert len(history) == 1
    assert history["env_runners/module_episode_returns_mean/memory"].iloc[0] >= 0
    assert history["learners/memory/total_loss"].notna().all()


def test_evaluation_tells_returns_by_agent_and_policy_and_repeats(trained):
    result = evaluate_checkpoint(trained.run_dir, episodes=4, explore=True)
    assert result.episodes == evaluate_checkpoint(trained.run_dir, episodes=4, explore=True).episodes
    assert len({episode.episode_return for episode in result.episodes}) > 1
    for episode in result.episodes:
        assert set(episode.agent_returns) == set(PERIODS)
        assert episode.length == LENGTH
        assert episode.policy_returns["seldom"] == episode.agent_returns["seldom"]
        assert sum(episode.policy_returns.values()) == pytest.approx(episode.episode_return)
        assert sum(episode.agent_returns.values()) == pytest.approx(episode.episode_return)


def test_the_command_prints_and_writes_them(trained, tmp_path):
    out = tmp_path / "result.json"
    known = ["--env", "tests.experiment.crowd.Crowd", "--algo", "PPO"]
    run = CliRunner().invoke(main, ["evaluate", str(trained.checkpoint), "--episodes", "2", "--out", str(out), *known])
    assert run.exit_code == 0, run.output
    assert "of policy memory" in run.output
    assert "of agent steadier" in run.output
    data = json.loads(out.read_text())
    assert set(data["policy_returns"]) == {"memory", "seldom"}
    assert data["agent_returns"]["steady"]["mean"] == pytest.approx(
        np.mean([episode["agent_returns"]["steady"] for episode in data["episodes"]])
    )


def test_several_agents_are_not_filmed(trained, tmp_path):
    options = ["--video", str(tmp_path / "x.gif"), "--episodes", "1"]
    run = CliRunner().invoke(main, ["evaluate", str(trained.checkpoint), *options])
    assert run.exit_code == 0
    assert "of policy memory" in run.output
    assert "Note: no video was written: only single agents can be filmed" in run.stderr


def test_each_policy_has_its_model_and_those_not_to_be_trained_stay_as_they_are(ray_session, tmp_path):
    algorithm = build_config(load(tmp_path)).build_algo()
    try:
        models = {
            name: type(algorithm.get_module(name).encoder.encoder.model).__name__ for name in ("memory", "seldom")
        }
        before = algorithm.learner_group.get_weights()
        algorithm.train()
        after = algorithm.learner_group.get_weights()
    finally:
        algorithm.stop()
    assert models == {"memory": "GRU", "seldom": "AGaLiTe"}
    changed = {name: any((before[name][key] != after[name][key]).any() for key in before[name]) for name in before}
    assert changed == {"memory": True, "seldom": False}


def test_the_old_stack_trains_it_as_well(ray_session, tmp_path):
    algorithm = build_config(load(tmp_path, "old")).build_algo()
    try:
        result = algorithm.train()
        models = {
            name: algorithm.get_policy(name).config["model"]["custom_model_config"] for name in ("memory", "seldom")
        }
    finally:
        algorithm.stop()
    assert {name: model["model"] for name, model in models.items()} == {"memory": "gru", "seldom": "agalite"}
    assert set(result["env_runners"]["policy_reward_mean"]) == {"memory", "seldom"}
    assert set(result["info"]["learner"]) == {"memory"}


@pytest.mark.parametrize("stack", ["new", "old"])
def test_the_resolved_experiment_is_the_same(tmp_path, stack):
    experiment = load(tmp_path, stack)
    resolved = resolved_yaml(experiment, build_config(experiment))
    (tmp_path / "resolved.yaml").write_text(resolved)
    again = load_experiment(tmp_path / "resolved.yaml")
    assert again.multi_agent.policies.keys() == experiment.multi_agent.policies.keys()
    assert resolved_yaml(again, build_config(again)) == resolved
