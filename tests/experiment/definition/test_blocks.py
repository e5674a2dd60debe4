"""The blocks `multi_agent`, `callbacks` and `restore`, before RLlib is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.top_level import Overrides

CROWD = "tests.experiment.crowd.Crowd"
MULTI_AGENT = "multi_agent: {policies: [a, b], mapping: {'s*': a, 0: b}}\n"
HEAD = "run: PPO\nstop: {training_iteration: 1}\n"


def load(tmp_path, content, overrides=None):
    path = tmp_path / "x.yaml"
    path.write_text("maze:\n" + "".join(f"  {line}\n" for line in content.splitlines()))
    return load_experiment(path, overrides)


def problems_of(tmp_path, content, overrides=None):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, content, overrides)
    return [line.removeprefix(f"{tmp_path / 'x.yaml'}: ") for line in str(error.value).splitlines()]


def test_policies_as_a_list(tmp_path):
    block = load(tmp_path, f"{HEAD}env: {CROWD}\n{MULTI_AGENT}").multi_agent
    assert block.policies == {"a": None, "b": None}
    assert block.mapping == {"s*": "a", "0": "b"}
    assert block.policies_to_train is None


def test_one_policy_needs_no_mapping(tmp_path):
    assert load(tmp_path, f"{HEAD}env: {CROWD}\nmulti_agent: {{policies: [a]}}").multi_agent.mapping == {"*": "a"}


def test_policies_with_models_of_their_own(tmp_path):
    block = load(
        tmp_path,
        f"{HEAD}env: {CROWD}\nmulti_agent: {{policies: {{a: {{model: {{name: gru, d_model: 8}}}}, b: , c: {{}}}}, "
        "mapping: {'s*': a, 0: b, seldom: c}, policies_to_train: [a], count_steps_by: agent_steps}",
    ).multi_agent
    assert block.policies["a"].name == "gru"
    assert block.policies["a"].settings == {"d_model": 8}
    assert (block.policies["b"], block.policies["c"]) == (None, None)
    assert (block.policies_to_train, block.count_steps_by) == (("a",), "agent_steps")


def test_metrics_of_policies_and_agents_may_end_training(tmp_path):
    stop = (
        "{env_runners/module_episode_returns_mean/a: 1, env_runners/agent_episode_returns_mean/seldom: 1, "
        "learners/b/entropy: 1}"
    )
    assert len(load(tmp_path, f"run: PPO\nenv: {CROWD}\n{MULTI_AGENT}stop: {stop}").stop) == 3


@pytest.mark.parametrize(
    ("metric", "advice"),
    [
        ("env_runners/module_episode_returns_mean/c", "module_episode_returns_mean/a"),
        ("env_runners/module_episode_return_mean/a", "module_episode_returns_mean/a"),
        ("env_runners/agent_episode_returns_mean/slow", "agent_episode_returns_mean/steady"),
        ("learners/default_policy/entropy", "learners"),
        ("env_runners/success_rate", ""),
    ],
)
def test_other_metrics_may_not(tmp_path, metric, advice):
    (problem,) = problems_of(tmp_path, f"run: PPO\nenv: {CROWD}\n{MULTI_AGENT}stop: {{{metric}: 1}}")
    assert f"unknown metric {metric!r}" in problem
    assert advice in problem


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("{policies: []}", "multi_agent.policies: should name at least one"),
        ("{policies: [a, a]}", "should name each policy once"),
        ("{policies: ['a/b']}", "'a/b': should consist of letters"),
        ("{policies: [a, b]}", "multi_agent.mapping is missing"),
        ("{mapping: {'*': a}}", "the setting 'policies' is missing"),
        ("{policies: [a], mapping: {'*': A}}", "'*': unknown policy 'A': valid are: a"),
        ("{policies: [a], maping: {}}", "unknown setting 'maping': did you mean 'mapping'?"),
        ("{policies: [a, b], mapping: {'*': a}}", "multi_agent.mapping: no agent for the policy 'b'"),
        ("{policies: [a, b], mapping: {'s*': a, 9: b}}", "'9' fits no agent of"),
        ("{policies: [a], mapping: {'s*': a}}", "no policy for the agent '0' of"),
        ("{policies: [a, b], mapping: {'*': a, '0': a, 'z*': b}}", "'b' decides for no agent"),
        ("{policies: [a], policies_to_train: [c]}", "policies_to_train: unknown policy 'c'"),
        ("{policies: [a], policies_to_train: []}", "policies_to_train: should name at least one"),
        ("{policies: [a], count_steps_by: days}", "count_steps_by = 'days'"),
        ("{policies: {a: {model: {name: agalit}}}}", "policies.a.model: unknown model 'agalit'"),
        ("{policies: {a: {model: {name: gru, d_modl: 1}}}}", "policies.a.model: unknown setting 'd_modl'"),
        ("{policies: {a: {modle: {}}}}", "policies.a: unknown setting 'modle'"),
        ("{policies: {a: gru}}", "policies.a = 'gru': should be a mapping"),
        ("[a, b]", "multi_agent = ['a', 'b']: should be a mapping"),
    ],
)
def test_mistakes_in_the_block(tmp_path, block, problem):
    assert any(problem in line for line in problems_of(tmp_path, f"{HEAD}env: {CROWD}\nmulti_agent: {block}"))


def test_several_agents_need_the_block_and_one_agent_refuses_it(tmp_path):
    (problem,) = problems_of(tmp_path, f"{HEAD}env: {CROWD}\n")
    assert problem.startswith("maze.multi_agent is missing")
    (problem,) = problems_of(tmp_path, f"{HEAD}env: CartPole-v1\nmulti_agent: {{policies: [a]}}")
    assert ".multi_agent: CartPole-v1 has one agent only" in problem


def test_several_agents_that_cannot_be_built_are_not_called_one(tmp_path):
    pair = "tests.experiment.definition.test_env_probe:Pair"
    block = "multi_agent: {policies: [a]}\nconfig: {env_config: {game: chess}}"
    (problem,) = problems_of(tmp_path, f"{HEAD}env: {pair}\n{block}")
    assert "cannot be built with these settings: no game 'chess'" in problem


@pytest.mark.parametrize("run", ["BC", "MARWIL"])
def test_recorded_episodes_are_of_one_agent_and_of_the_new_stack(tmp_path, run):
    content = f"run: {run}\nenv: {CROWD}\nstop: {{training_iteration: 1}}\nmulti_agent: {{policies: [a]}}\n"
    assert any(f"{run} learns from the episodes of one agent" in line for line in problems_of(tmp_path, content))
    content = f"run: {run}\nenv: CartPole-v1\napi_stack: old\nstop: {{training_iteration: 1}}\n"
    assert any("new API stack only" in line for line in problems_of(tmp_path, content))
    content = f"run: {run}\nenv: CartPole-v1\nstop: {{env_runners/episode_return_mean: 1}}\n"
    assert any("evaluation/env_runners/episode_return_mean" in line for line in problems_of(tmp_path, content))


@pytest.mark.parametrize(
    ("written", "paths"),
    [
        (
            "rllib_recattn.rl_module.metrics.SuccessRateCallback",
            ["rllib_recattn.rl_module.metrics.SuccessRateCallback"],
        ),
        ("[ray.a.B, {ray.c.D: {x: 1}}, {ray.e.F: }]", ["ray.a.B", "ray.c.D", "ray.e.F"]),
        ("{ray.c.D: {x: [1, {y: 2}]}}", ["ray.c.D"]),
    ],
)
def test_callbacks(tmp_path, written, paths):
    callbacks = load(tmp_path, f"{HEAD}env: CartPole-v1\ncallbacks: {written}").callbacks
    assert [entry.path for entry in callbacks] == paths
    assert all(entry.arguments for entry in callbacks if entry.path == "ray.c.D")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[ray.a.B, ray.a.B]", "callbacks[1]: 'ray.a.B' is there already"),
        ("[3]", "callbacks[0] = 3: should be the path of a class"),
        ("3", "callbacks = 3: should be the path of a class"),
        ("[Mark]", "callbacks[0] = 'Mark': should be the path of a class"),
        ("os.path.join", "'os' is of Python's standard library"),
        ("nowhere.to.Be", "there is no package 'nowhere'; should be installed, or lie in "),
        ("[{ray.a.B: 3}]", "callbacks[0].ray.a.B = 3: should be a mapping"),
        ("[{ray.a.B: {a b: 3}}]", "should be a mapping from the names of arguments"),
        ("[{ray.a.B: , ray.a.C: }]", "callbacks[0] = {"),
    ],
)
def test_mistakes_in_callbacks(tmp_path, written, problem):
    (line,) = problems_of(tmp_path, f"{HEAD}env: CartPole-v1\ncallbacks: {written}")
    assert problem in line


def checkpoint(directory: Path) -> Path:
    directory.mkdir(parents=True)
    (directory / "rllib_checkpoint.json").touch()
    return directory


def test_restore_takes_a_checkpoint_or_the_newest_of_a_trial_or_run(tmp_path):
    checkpoint(tmp_path / "run" / "trial_00000" / "checkpoint_000000")
    newest = checkpoint(tmp_path / "run" / "trial_00000" / "checkpoint_000001")
    for path in (newest, newest.parent, tmp_path / "run"):
        assert load(tmp_path, f"{HEAD}env: CartPole-v1\nrestore: {path}").restore == newest
    overrides = Overrides(restore=str(newest))
    assert load(tmp_path, f"{HEAD}env: CartPole-v1\nrestore: nowhere", overrides).restore == newest


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("nowhere", "maze.restore = 'nowhere': should be the directory of a checkpoint"),
        (".", "there is no whole checkpoint in here"),
        ("[a]", "restore = ['a']: input should be a valid string"),
    ],
)
def test_mistakes_in_restore(tmp_path, monkeypatch, written, problem):
    monkeypatch.chdir(tmp_path)
    (line,) = problems_of(tmp_path, f"{HEAD}env: CartPole-v1\nrestore: {written}")
    assert problem in line


def test_a_damaged_checkpoint_is_not_restored(tmp_path):
    damaged = checkpoint(tmp_path / "checkpoint_000000")
    (damaged / "incomplete").touch()
    (line,) = problems_of(tmp_path, f"{HEAD}env: CartPole-v1\nrestore: {damaged}")
    assert "damaged" in line
