"""Looking up metrics and reading a run's history."""

from __future__ import annotations

import json
import math

from rllib_recattn.experiment.records.metrics import has_metric, last_result, metric, read_history


def write_results(run_dir, *results, tail=""):
    trial_dir = run_dir / "trial_00000"
    trial_dir.mkdir()
    lines = "".join(json.dumps(result) + "\n" for result in results)
    (trial_dir / "result.json").write_text(lines + tail)


def test_metrics_are_found_by_their_path():
    result = {"env_runners": {"success_rate": 0.5, "episode_return_mean": math.nan}, "done": True}
    assert metric(result, "env_runners/success_rate") == 0.5
    assert math.isnan(metric(result, "env_runners"))
    assert math.isnan(metric(result, "env_runners/missing"))
    assert math.isnan(metric(result, "done/missing"))
    assert has_metric(result, "env_runners/success_rate")
    assert not has_metric(result, "env_runners/episode_return_mean")


def test_iterations_that_were_repeated_count_once_as_they_came_out_last(tmp_path):
    results = [{"training_iteration": index, "value": index} for index in (1, 2, 3)]
    write_results(tmp_path, *results, {"training_iteration": 3, "value": 30}, {"training_iteration": 4, "value": 40})
    history = read_history(tmp_path)
    assert list(history["training_iteration"]) == [1, 2, 3, 4]
    assert list(history["value"]) == [1, 2, 30, 40]
    assert last_result(tmp_path)["value"] == 40


def test_metrics_that_come_later_are_columns_too(tmp_path):
    write_results(
        tmp_path, {"training_iteration": 1}, {"training_iteration": 2, "env_runners": {"episode_return_mean": 1.5}}
    )
    history = read_history(tmp_path)
    assert math.isnan(history["env_runners/episode_return_mean"][0])
    assert history["env_runners/episode_return_mean"][1] == 1.5


def test_half_a_line_of_a_killed_process_is_passed_over(tmp_path):
    write_results(tmp_path, {"training_iteration": 1}, tail='{"training_it')
    assert list(read_history(tmp_path)["training_iteration"]) == [1]
    assert last_result(tmp_path) == {"training_iteration": 1}


def test_a_run_without_results(tmp_path):
    assert read_history(tmp_path).empty
    assert last_result(tmp_path) == {}
