"""Several trials, one of which fails: the others do not go down with it."""

from __future__ import annotations

import json

import pytest

from tests.faults.experiments import run


@pytest.mark.slow
def test_one_faulty_trial_leaves_the_others_alone(ray_session, tmp_path, capsys):
    config = {"num_env_runners": 0, "env_config": {"fault": {"grid_search": ["raise", "none"]}}}
    result = run(tmp_path, config=config, stop={"training_iteration": 3})
    output = capsys.readouterr().out
    assert result.exit_code == 1, output
    trials = {}
    for directory in sorted(result.run_dir.glob("trial_*")):
        fault = json.loads((directory / "params.json").read_text())["config.env_config.fault"]
        file = directory / "result.json"
        trials[fault] = [json.loads(line)["training_iteration"] for line in file.read_text().splitlines()]
    assert trials["none"] == [1, 2, 3]
    assert trials["raise"] == []
    assert "the motor is broken" in output
