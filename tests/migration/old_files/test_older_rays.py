"""What RLlib's YAML files held from Ray 2.0 to 2.40 is read with a note, or refused with advice that works."""

from __future__ import annotations

import pytest

from rllib_recattn.algorithms import ABILITIES
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.config_keys import check_settings
from rllib_recattn.experiment.algorithm.validate import problems_in
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from rllib_recattn.migration.old_files.old_names import OLD_STACK_CONFIG
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES
from rllib_recattn.scope import Scope
from tests.migration.old_files.older_rays import (
    CONFIG,
    ENVIRONMENTS,
    MODEL,
    OF_APPO,
    OF_IMPALA,
    OF_MARWIL,
    STOP,
    TOP_LEVEL,
)

# What is refused → a part of the message, and what it says to write in its place.
REFUSED = {
    "framework: tf": ("should be torch", {"framework": "torch"}),
    "framework: tf2": ("should be torch", {"framework": "torch"}),
    "framework: tfe": ("should be torch", {}),
    "horizon: 20": ("write env_config: {max_episode_steps: 20}", {"env_config": {"max_episode_steps": 20}}),
    "replay_ratio: 0.5": ("write replay_proportion: N beside", {"replay_proportion": 0.5, "api_stack": "old"}),
    "soft_horizon: true": ("leave it out", {}),
    "synchronize_filters: false": ("update_worker_filter_stats: false", {"update_worker_filter_stats": False}),
    "use_gae: false": (
        "Consider setting batch_mode=complete_episodes",
        {"use_gae": False, "batch_mode": "complete_episodes"},
    ),
    "use_pytorch: false": ("write framework: torch", {"framework": "torch"}),
    "vf_share_layers: true": ("model: {vf_share_layers: true}", {"model": {"vf_share_layers": True}}),
    "vtrace: false": ("should be true, or left out", {"vtrace": True}),
}
ON_NEW_STACK = {
    "minibatch_buffer_size: 16": ("Use `circular_buffer_num_batches`", {"circular_buffer_num_batches": 16}),
    "replay_proportion: 0.5": ("set `config.replay_proportion` to 0.0", {"replay_proportion": 0.0}),
}
ON_OLD_STACK = {"num_learner_workers: 4": ("write num_gpus", {"num_gpus": 4})}
IN_MODEL = {"lstm_use_prev_action_reward: true": ("should be lstm_use_prev_action", {"lstm_use_prev_action": True})}
CASES = [
    *(("PPO", stack, key) for key in CONFIG for stack in (None, "old")),
    *(("APPO", stack, key) for key in {**OF_IMPALA, **OF_APPO} for stack in (None, "old")),
    *(("IMPALA", None, key) for key in ("minibatch_buffer_size", "num_aggregation_workers", "use_critic", "vtrace")),
    *((run, None, key) for key in OF_MARWIL for run in ("MARWIL", "BC")),
]


def written(tmp_path, config, run="PPO", **content):
    """Write an experiment file, with only what differs from the shortest one."""
    file = tmp_path / "old.yaml"
    content = {"run": run, "env": "CartPole-v1", "stop": {"training_iteration": 1}, **content}
    file.write_text(dump_yaml({"old": {**content, "config": config}}))
    return file


def build(experiment):
    """Build the config of an experiment, or check what does not need the recorded episodes to be there."""
    if not ABILITIES[experiment.run].samples:
        scope = Scope("")
        check_settings(CONFIG_CLASSES[experiment.run](), experiment.config, scope)
        assert scope.problems == ()
    else:
        build_config(experiment)


def check(tmp_path, key, value, refused, **content):
    """Assert that a setting is read, and no other way than is said, or refused with advice that works."""
    config = content.pop("config", {})
    file = written(tmp_path, {**config, key: value}, **content)
    line = dump_yaml({key: value}).strip()
    if line not in refused:
        experiment = load_experiment(file)
        build(experiment)
        named = key in experiment.config or any(key in note for note in experiment.notes)
        assert named or value is None or key in ("model", "evaluation_config")
        return
    problems = problems_in(file)
    message, instead = refused[line]
    assert len(problems) == 1
    assert message in problems[0]
    assert OLD_STACK_CONFIG.get(key, key) in problems[0]
    instead = dict(instead)
    content |= {name: instead.pop(name) for name in ("api_stack",) if name in instead}
    build(load_experiment(written(tmp_path, {**config, **instead}, **content)))


@pytest.mark.parametrize(("run", "stack", "key"), CASES, ids=lambda each: str(each or "new"))
def test_settings(tmp_path, run, stack, key):
    refused = {**REFUSED, **(ON_NEW_STACK if stack is None else ON_OLD_STACK)}
    if run == "IMPALA":  # its new stack has no such buffer, and does not mind
        refused.pop("minibatch_buffer_size: 16")
    content = {} if stack is None else {"api_stack": stack, "config": {"model": {"fcnet_hiddens": [4]}}}
    if not ABILITIES[run].samples:
        content["config"] = {"input_": "episodes"}
        refused.pop("use_gae: false")
    values = {"PPO": CONFIG, "APPO": {**OF_IMPALA, **OF_APPO}, "IMPALA": OF_IMPALA}.get(run, OF_MARWIL)[key]
    if key == "beta" and run == "BC":
        values = [0.0]
    for value in values:
        check(tmp_path, key, value, refused, run=run, **content)


@pytest.mark.parametrize("key", MODEL)
@pytest.mark.parametrize("flag", ["_enable_new_api_stack", None])
def test_the_model_dict_is_read_on_either_stack(tmp_path, key, flag):
    for value in MODEL[key]:
        model = {key: value}
        line = dump_yaml(model).strip()
        flags = {flag: True, "exploration_config": {}} if flag else {}
        if line in IN_MODEL:
            message, right = IN_MODEL[line]
            assert message in problems_in(written(tmp_path, {"model": model, **flags}))[0]
            model = right
        experiment = load_experiment(written(tmp_path, {"model": model, **flags}))
        build_config(experiment)
        assert experiment.api_stack == ("new" if flag else "old")
        if flag:
            assert "model" not in experiment.config
            assert any("config.model: is of RLlib's old API stack; read as" in note for note in experiment.notes)


@pytest.mark.parametrize("key", TOP_LEVEL)
def test_beside_config(tmp_path, key):
    for value in TOP_LEVEL[key]:
        assert problems_in(written(tmp_path, {}, **{key: value})) == []


@pytest.mark.parametrize("metric", STOP)
def test_metrics_that_end_training(tmp_path, metric):
    stop = {"stop": {metric: 100}}
    assert problems_in(written(tmp_path, {"evaluation_interval": 1}, **stop)) == []
    problems = problems_in(written(tmp_path, {"evaluation_interval": 1}, api_stack="old", **stop))
    assert problems == [] if STOP[metric] else f"unknown metric {metric!r}" in problems[0]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_environments(tmp_path, env):
    env_config, now = ENVIRONMENTS[env]
    file = written(tmp_path, {"env_config": env_config} if env_config else {}, env=env)
    problems = problems_in(file)
    if not problems:
        assert load_experiment(file).env == now
    elif "MultiAgent" in env:
        assert "multi_agent: {policies: [one], mapping: {'*': one}}" in problems[0]
    else:  # what Atari and MuJoCo need may not be installed
        assert len(problems) == 1
        assert now in problems[0]


def test_several_policies_are_told_where_to_go(tmp_path):
    policies = ["p0", "p1", "p2", "p3"]
    mapping = {"type": "ray.rllib.examples.multi_agent_and_self_play.policy_mapping_fn.PolicyMappingFn"}
    env = {"env": "ray.rllib.examples.env.multi_agent.MultiAgentCartPole"}
    config = {"env_config": {"config": {"num_agents": 4}}, "num_gpus": 1, "_fake_gpus": True}
    problems = problems_in(
        written(tmp_path, {**config, "multiagent": {"policies": policies, "policy_mapping_fn": mapping}}, **env)
    )
    assert len(problems) == 1
    advice = "multi_agent: {policies: [p0, p1, p2, p3], mapping: {0: p0, 1: p1, 2: p2, 3: p3}}"
    assert advice in problems[0]
    block = {"policies": policies, "mapping": dict(enumerate(policies))}
    assert problems_in(written(tmp_path, config, multi_agent=block, **env)) == []


def test_learners_and_gpus_of_the_later_files(tmp_path):
    workers = {"num_learner_workers": 4, "num_gpus_per_learner_worker": 1, "num_gpus": 0}
    settings = load_experiment(written(tmp_path, workers, run="APPO")).config
    assert settings == {"num_learners": 4, "num_gpus_per_learner": 1}
    experiment = load_experiment(written(tmp_path, {"num_accs": 4, "train_batch_size": 4000}, run="IMPALA"))
    assert experiment.config == {"train_batch_size": 4000, "num_learners": 4, "num_gpus_per_learner": 1}
    assert build_config(experiment).train_batch_size_per_learner == 1000


def test_a_schedule_counts_more_than_the_number_beside_it(tmp_path):
    schedule = [[0, 0.001], [1000, 0.0001]]
    both = {"lr": 0.1, "lr_schedule": schedule, "entropy_coeff_schedule": schedule, "entropy_coeff": 0.2}
    assert load_experiment(written(tmp_path, both)).config == {"lr": schedule, "entropy_coeff": schedule}
    assert load_experiment(written(tmp_path, {"lr": 0.1, "lr_schedule": None})).config == {"lr": 0.1}


def test_a_half_switched_file_runs_on_the_whole_new_stack(tmp_path):
    lstm = {"use_lstm": True, "lstm_cell_size": 8, "fcnet_hiddens": [4], "max_seq_len": 5, "vf_share_layers": True}
    half = {"enable_rl_module_and_learner": True, "enable_env_runner_and_connector_v2": False, "model": lstm}
    for flags in (half, {"_enable_rl_module_api": True, "_enable_learner_api": False, "model": lstm}):
        file = written(tmp_path, flags)
        assert problems_in(file) == []
        experiment = load_experiment(file)
        assert (experiment.model.name, experiment.model.settings, experiment.model.max_seq_len) == (
            "lstm",
            {"d_model": 8},
            5,
        )
        assert any("was a part of RLlib's new API stack" in note for note in experiment.notes)
        assert build_config(experiment).enable_env_runner_and_connector_v2


def test_recorded_data_sets_are_read_by_their_paths(tmp_path):
    data = {"input": "dataset", "input_config": {"format": "json", "paths": str(tmp_path / "out")}}
    config = {**data, "evaluation_interval": 1, "evaluation_config": {"input": "sampler"}, "model": {}}
    experiment = load_experiment(written(tmp_path, config, run="BC"))
    assert experiment.config["input_"] == str(tmp_path / "out")
    assert experiment.api_stack == "new"
    assert experiment.config["evaluation_config"] == {}
