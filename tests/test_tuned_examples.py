"""Every tuned example trains, for an iteration or two with its own model and settings, on less experience."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment

EXAMPLES = sorted((Path(__file__).parents[1] / "tuned_examples").glob("*.yaml"))


def is_slow(path):
    """All but T-Maze's and AGaLiTe's with PPO: they repeat what these show, with other models or EnvRunners.

    So do most models on T-Maze with 10 cells, whose files differ in the model alone.
    """
    if path.stem.startswith("tmaze-10-"):
        return path.stem.removeprefix("tmaze-10-").split("-")[0] not in ("agalite", "gtrxl", "lstm")
    return "tmaze" not in path.stem.replace("memory-tmaze", "") and not path.stem.endswith("-agalite-ppo")


def test_there_are_examples():
    names = {path.name for path in EXAMPLES}
    assert names >= {"tmaze-agalite-ppo.yaml", "tmaze-lstm-ppo.yaml"}
    tasks = ["minigrid-memory-s7", "minigrid-memory-s13", "miniworld-memory-tmaze", "mystery-path-grid"]
    tasks += ["popgym-repeat-first-easy", "popgym-repeat-previous-easy"]
    assert names >= {f"{task}-{model}-ppo.yaml" for task in tasks for model in ("agalite", "gtrxl", "lstm")}
    assert len([path for path in EXAMPLES if not is_slow(path)]) > 10


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if is_slow(path) else []) for path in EXAMPLES],
)
def test_an_example_trains(ray_session, path):
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    config = build_config(experiment)
    if experiment.api_stack == "old":
        train_on_old_stack(config)
        return
    config.training(train_batch_size_per_learner=256, num_epochs=1)
    if experiment.run == "PPO":
        config.training(minibatch_size=128)
    algorithm = config.env_runners(num_env_runners=0, num_envs_per_env_runner=4).build_algo()
    iterations = 1 if is_slow(path) else 2
    steps_trained = []
    try:
        while len(steps_trained) < iterations:  # iterations of APPO and IMPALA that see no update report NaN or nothing
            learned = algorithm.train().get("learners", {}).get(DEFAULT_MODULE_ID, {})
            steps_trained += [steps for steps in [learned.get("num_module_steps_trained", 0)] if steps > 0]
    finally:
        algorithm.stop()
    assert sum(steps_trained) >= 256 * iterations


def train_on_old_stack(config):
    config.training(train_batch_size=256, num_epochs=1, minibatch_size=128)
    algorithm = config.env_runners(
        num_env_runners=0, num_envs_per_env_runner=4, rollout_fragment_length=64
    ).build_algo()
    try:
        results = [algorithm.train() for _ in range(2)]
    finally:
        algorithm.stop()
    assert results[-1]["num_env_steps_trained"] == 512
