"""Evaluation beside training, as a file asks for it."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.records.metrics import read_history
from rllib_recattn.experiment.training.run import run_experiment
from tests.conftest import SMALL_EXPERIMENT

EVALUATION = """    seed: 0
    evaluation_interval: 2
    evaluation_duration: 6
    evaluation_num_env_runners: {runners}
    evaluation_config: {{explore: false, env_config: {{corridor_length: 5}}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("runners", [0, 1])
def test_greedy_episodes_in_an_environment_of_its_own(ray_session, tmp_path, runners):
    text = SMALL_EXPERIMENT.format(iterations=5, storage_path=tmp_path / "results")
    text = text.replace("env_runners/success_rate: 1.0", "evaluation/env_runners/episode_len_mean: 5")
    (tmp_path / "x.yaml").write_text(text.replace("    seed: 0\n", EVALUATION.format(runners=runners)))
    experiment = load_experiment(tmp_path / "x.yaml")
    with redirect_stdout(io.StringIO()) as output:
        result = run_experiment(experiment, build_config(experiment))
    assert result.status == "finished", output.getvalue()
    evaluated = read_history(result.run_dir)["evaluation/env_runners/episode_len_mean"]
    assert evaluated.notna().tolist() == [False, True]  # ends with the first evaluation
    # The corridor of evaluation has 5 cells, the one of training 3.
    assert evaluated.iloc[-1] >= 5
    assert result.metrics["evaluation"]["env_runners"]["num_episodes"] == 6
    assert 0 <= result.metrics["evaluation"]["env_runners"]["success_rate"] <= 1
