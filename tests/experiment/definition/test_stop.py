import math

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.stop import STOP_METRICS, check_stop
from rllib_recattn.migration.old_files.old_names import STOP
from rllib_recattn.scope import Scope


def check(block, evaluates=True):
    scope = Scope("x.yaml: a.stop")
    criteria = check_stop(block, scope, evaluates=evaluates)
    scope.raise_problems()
    return criteria, list(scope.notes)


def test_known_metrics_pass_unchanged():
    block = {"env_runners/success_rate": 0.95, "training_iteration": 10, "time_total_s": 1e3}
    assert check(block) == (block, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("episode_reward_mean", "env_runners/episode_return_mean"),
        ("sampler_results/episode_reward_mean", "env_runners/episode_return_mean"),
        ("env_runners/episode_reward_max", "env_runners/episode_return_max"),
        ("evaluation/episode_reward_mean", "evaluation/env_runners/episode_return_mean"),
        ("timesteps_total", "num_env_steps_sampled_lifetime"),
        ("episodes_total", "env_runners/num_episodes_lifetime"),
    ],
)
def test_old_metrics_are_translated_with_a_note(old, new):
    criteria, notes = check({old: 5})
    assert criteria == {new: 5}
    assert notes == [f"x.yaml: a.stop: {old!r} is called {new!r} now"]


def test_all_old_metrics_lead_to_known_ones():
    assert set(STOP.values()) <= STOP_METRICS
    assert not set(STOP) & STOP_METRICS


@pytest.mark.parametrize("value", ["soon", None, True, [1], {"a": 1}, math.inf, 10**400])
def test_values_are_numbers(value):
    with pytest.raises(SettingsError, match=r"^x.yaml: a.stop: time_total_s = .* should be a number$"):
        check({"time_total_s": value})


@pytest.mark.parametrize(
    ("metric", "value", "right"),
    [
        ("training_iteration", 0, "greater than 0"),
        ("training_iteration", -3, "greater than 0"),
        ("time_total_s", -1.5, "greater than 0"),
        ("env_runners/num_episodes_lifetime", 0, "greater than 0"),
        ("env_runners/num_agent_steps_sampled_lifetime/default_agent", 0, "greater than 0"),
        ("env_runners/episode_len_mean", 0, "greater than 0"),
        ("env_runners/success_rate", 95, "greater than 0 and at most 1; 95 % is 0.95"),
        ("env_runners/success_rate", 0, "greater than 0 and at most 1"),
        ("evaluation/env_runners/success_rate", 1000, "greater than 0 and at most 1"),
        ("learners/default_policy/vf_explained_var", 2, "at most 1; 2 % is 0.02"),
    ],
)
def test_a_value_that_ends_training_at_once_or_never_is_refused(metric, value, right):
    with pytest.raises(SettingsError) as error:
        check({metric: value})
    assert str(error.value) == f"x.yaml: a.stop: {metric} = {value!r}: should be {right}"


def test_returns_and_losses_may_be_anything():
    block = {
        "env_runners/episode_return_mean": -110,
        "env_runners/agent_episode_return_mean/default_agent": 0,
        "learners/default_policy/policy_loss": -1,
        "learners/default_policy/vf_explained_var": -0.5,
        "env_runners/success_rate": 1,
    }
    assert check(block)[0] == block


def test_a_misspelt_metric_brings_the_right_one():
    with pytest.raises(SettingsError, match="unknown metric 'success_rate': did you mean 'env_runners/success_rate'"):
        check({"success_rate": 1})


def test_a_metric_without_any_likeness_brings_common_ones():
    with pytest.raises(SettingsError, match=r"unknown metric 'qqqq': common ones are training_iteration"):
        check({"qqqq": 1})


def test_a_nested_metric_brings_its_path():
    with pytest.raises(SettingsError) as error:
        check({"env_runners": {"episode_return_mean": 3, "x": 1}})
    assert str(error.value).endswith("should be written as env_runners/episode_return_mean: 3, env_runners/x: 1")


def test_evaluation_metrics_need_evaluation():
    block = {"evaluation/env_runners/episode_return_mean": 1}
    assert check(block)[0] == block
    with pytest.raises(SettingsError, match=r"never comes without config\.evaluation_interval"):
        check(block, evaluates=False)


def test_old_and_new_name_together_are_refused():
    with pytest.raises(SettingsError, match="'timesteps_total' mean the same setting"):
        check({"num_env_steps_sampled_lifetime": 1, "timesteps_total": 2})
