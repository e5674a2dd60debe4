"""Callbacks from YAML, beside those of this package."""

from __future__ import annotations

import pytest
from ray.rllib.algorithms.algorithm import Algorithm

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.imports import ImportEntry
from rllib_recattn.experiment.definition.load import load_experiment
from tests.experiment.callbacks_of_tests import Mark

CONTENT = """
maze:
  run: PPO
  api_stack: {stack}
  env: rllib_recattn/TMaze-v0
  stop: {{training_iteration: 1}}
  model: {{name: gru, d_model: 8, max_seq_len: 4}}
  config:
    env_config: {{corridor_length: 3, max_episode_steps: 6}}
    num_env_runners: 0
    {batch}: 64
    minibatch_size: 32
    num_epochs: 1
    metrics_num_episodes_for_smoothing: 2
    seed: 0
"""
PATH = "tests.experiment.callbacks_of_tests"


def experiment_with(tmp_path, *entries, stack="new"):
    """An experiment with callbacks of the tests."""
    batch = "train_batch_size_per_learner" if stack == "new" else "train_batch_size"
    (tmp_path / "x.yaml").write_text(CONTENT.format(stack=stack, batch=batch))
    return load_experiment(tmp_path / "x.yaml").model_copy(update={"callbacks": entries})


@pytest.mark.parametrize(("arguments", "mark"), [({}, 1), ({"number": 7}, 7)])
@pytest.mark.parametrize("stack", ["new", "old"])
def test_callbacks_are_called_beside_our_own(ray_session, tmp_path, stack, arguments, mark):
    entry = ImportEntry(path=f"{PATH}.Mark", arguments=arguments)
    algorithm = build_config(experiment_with(tmp_path, entry, stack=stack)).build_algo()
    try:
        result = algorithm.train()
        checkpoint = algorithm.save_to_path(str(tmp_path / "checkpoint")) if stack == "new" else None
    finally:
        algorithm.stop()
    assert result["mark"] == mark
    assert 0 <= result["env_runners"]["success_rate"] <= 1
    if checkpoint is not None:
        loaded = Algorithm.from_checkpoint(checkpoint)
        assert sum(isinstance(callback, Mark) and callback.number == mark for callback in loaded.callbacks) == 1
        loaded.stop()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"path": f"{PATH}.NoCallback"}, "has no class of callbacks 'NoCallback', a subclass of ray."),
        ({"path": f"{PATH}.Missing"}, "has no class of callbacks 'Missing'"),
        ({"path": f"{PATH}_.Mark"}, "cannot be imported"),
        ({"path": f"{PATH}.Mark", "arguments": {"nummer": 1}}, "Mark cannot be called with these arguments: .*nummer"),
    ],
)
def test_mistakes(tmp_path, entry, problem):
    with pytest.raises(SettingsError, match=rf"x\.yaml: maze\.callbacks\..*{problem}"):
        build_config(experiment_with(tmp_path, ImportEntry(**entry)))
