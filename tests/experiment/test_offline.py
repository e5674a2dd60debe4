"""BC and MARWIL from YAML."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.checkpoints.restore import check_restore
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.reader import Overrides
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.training.run import run_experiment
from rllib_recattn.rl_module.offline import WholeEpisodesPreLearner
from tests.rl_module.test_offline import LENGTH, expert_episodes, packed

CONTENT = """
imitation:
  run: {run}
  env: rllib_recattn/TMaze-v0
  stop: {{training_iteration: 30, evaluation/env_runners/success_rate: 0.98}}
  model: {{name: agalite, max_seq_len: {max_seq_len}, d_model: 32, n_layers: 1, n_heads: 2, d_head: 8}}
  config:
    env_config: {{corridor_length: {length}}}
    input: episodes
    train_batch_size_per_learner: 50
    dataset_num_iters_per_learner: 30
    lr: 3e-3
    gamma: 0.9
    seed: 0
    evaluation_interval: 2
    evaluation_duration: 50
    evaluation_config: {{explore: false, num_envs_per_env_runner: 10}}
  storage_path: results
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A working directory with recorded episodes of an expert."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "episodes").mkdir()
    pq.write_table(pa.table({"item": packed(expert_episodes(300))}), tmp_path / "episodes" / "a.parquet")
    return tmp_path


def load(directory, run="BC", text=CONTENT, **overrides):
    text = text.format(run=run, length=LENGTH, max_seq_len=LENGTH + 1)
    (directory / "x.yaml").write_text(text)
    return load_experiment(directory / "x.yaml", Overrides(**overrides))


@pytest.mark.parametrize("run", ["BC", "MARWIL"])
def test_what_reading_episodes_needs_is_chosen(directory, run):
    config = build_config(load(directory, run))
    assert config.algo_class.__name__ == run
    assert config.input_ == [str(directory / "episodes")]
    assert config.input_read_episodes
    assert config.map_batches_kwargs == {"concurrency": 1, "num_cpus": 0}
    assert config.prelearner_class is WholeEpisodesPreLearner


def test_the_experiments_own_settings_win(directory):
    text = CONTENT.replace("lr: 3e-3", "map_batches_kwargs: {{concurrency: 2}}")
    assert build_config(load(directory, text=text)).map_batches_kwargs == {"concurrency": 2}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("    input: episodes\n", ""), "config.input_: should be the path, or a list of paths"),
        (("input: episodes", "input: [episodes, nowhere]"), "input_ = 'nowhere': there is no such file or directory"),
        (("input: episodes", "input: 3"), "input_ = 3: should be"),
        (("lr: 3e-3", "clip_param: 0.2"), "unknown setting 'clip_param'"),
        (("evaluation/env_runners/success_rate", "env_runners/success_rate"), "did you mean 'evaluation/env_runners/"),
    ],
)
def test_mistakes(directory, change, problem):
    with pytest.raises(SettingsError, match=r"x\.yaml: imitation\.") as error:
        build_config(load(directory, text=CONTENT.replace(*change)))
    assert problem in str(error.value)


@pytest.mark.slow
def test_marwil_trains(ray_session, directory):
    experiment = load(directory, "MARWIL", CONTENT.replace("iteration: 30", "iteration: 2"))
    with redirect_stdout(io.StringIO()) as output:
        result = run_experiment(experiment, build_config(experiment))
    assert result.status == "finished", output.getvalue()
    assert result.metrics["evaluation"]["env_runners"]["num_episodes"] >= 50


@pytest.mark.slow
def test_bc_remembers_like_the_expert_and_ppo_goes_on_where_it_ends(ray_session, directory):
    experiment = load(directory)
    with redirect_stdout(io.StringIO()) as output:
        result = run_experiment(experiment, build_config(experiment))
    assert result.status == "finished", output.getvalue()
    assert "Solved: evaluation/env_runners/success_rate" in output.getvalue()
    assert evaluate_checkpoint(result.run_dir, episodes=50).success_rate.mean >= 0.9

    ppo = (
        CONTENT.replace("    input: episodes\n", "    minibatch_size: 50\n")
        .replace("    dataset_num_iters_per_learner: 30\n", "    num_env_runners: 0\n")
        .replace("training_iteration: 30, evaluation/env_runners/success_rate: 0.98", "training_iteration: 1")
    )
    experiment = load(directory, "PPO", ppo, restore=str(result.run_dir))
    config = build_config(experiment)
    check_restore(experiment, config)
    algorithm = config.build_algo()
    try:
        assert algorithm.iteration == 0
        assert algorithm.evaluate()["env_runners"]["success_rate"] >= 0.9
    finally:
        algorithm.stop()
