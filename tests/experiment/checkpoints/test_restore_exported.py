"""Training that begins with the weights of an exported agent."""

from __future__ import annotations

import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole

import rllib_recattn as ra
from rllib_recattn.agents.description import HeadSettings
from rllib_recattn.agents.graphs.interface import GRAPH_FORMAT
from rllib_recattn.agents.stored import write_agent
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.checkpoints.restore_checks import check_restore
from rllib_recattn.experiment.trained_agents.export import export_agents
from rllib_recattn.rl_module.acting_parts import acting_name
from rllib_recattn.rl_module.restore import MakeRestoreCallback
from tests.agents.checkpoints import config_of
from tests.agents.small import agent_of, description_of, weights_of
from tests.experiment.checkpoints.test_restore_checks import restored, weights_in
from tests.model_v2.old_stack import TINY
from tests.rl_module.test_offline import trainable_config

pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")


@pytest.fixture(scope="module")
def exported(finished_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "agent"
    export_agents(finished_run.result.checkpoint, out)
    return out


def test_an_experiment_goes_on_from_it_and_its_checkpoints_stand_for_themselves(finished_run, exported, tmp_path):
    source = shutil.copytree(exported, tmp_path / "source")
    experiment = restored(tmp_path, source)
    config = build_config(experiment)
    assert check_restore(experiment, config) == (
        "restore: the weights of an exported agent are taken: all counts begin at 0"
    )
    saved = weights_in(finished_run.result.checkpoint)
    algorithm = config.build_algo()
    try:
        weights = algorithm.learner_group.get_weights()["default_policy"]
        assert weights.keys() == saved.keys()
        assert all(np.array_equal(weights[name], saved[name]) for name in saved)
        acting = {name: value.numpy() for name, value in algorithm.env_runner.module.state_dict().items()}
        # RLlib does not send them the value's head.
        assert all(np.array_equal(acting[name], saved[name]) for name in acting if not name.startswith("vf."))
        assert algorithm.train()["training_iteration"] == 1
        checkpoint = algorithm.save_to_path(str(tmp_path / "saved"))
    finally:
        algorithm.stop()
    shutil.rmtree(source)
    loaded = Algorithm.from_checkpoint(checkpoint)
    assert loaded.iteration == 1
    loaded.stop()


def test_what_differs_is_said_before_anything_starts(exported, tmp_path):
    changes = [("d_head: 4", "d_head: 5"), ("max_seq_len: 8", "max_seq_len: 9, use_prev_action: true")]
    experiment = restored(tmp_path, exported, *changes)
    with pytest.raises(SettingsError) as error:
        check_restore(experiment, build_config(experiment))
    lines = str(error.value).splitlines()
    assert [line.split("': ")[1] for line in lines] == [
        "model.d_head is 4 in the agent, 5 here",
        "model.use_prev_action is False in the agent, True here",
    ]


def test_an_experiment_says_restore(exported, tmp_path):
    with pytest.raises(
        SettingsError, match=r"model\.weights = '.*agent': should be left out; beside .* restore: FOLDER"
    ):
        restored(tmp_path, exported, ("max_seq_len: 8", f"max_seq_len: 8, weights: {exported}"))


def write(folder, **fields):
    folder.mkdir()
    fields = {"model": "gru", "settings": TINY["gru"], **fields}
    description = description_of(**fields)
    write_agent(description, weights_of(description, seed=7), folder, "main")
    return folder


def acting_weights(folder):
    return ra.load_agent(folder, values=True).network.state_dict()


@pytest.mark.parametrize("algorithm", [PPOConfig, APPOConfig])
def test_use_model_takes_it(algorithm, ray_session, tmp_path):
    folder = write(tmp_path / "agent", vf_share_layers=False)
    config = config_of("gru", config=algorithm(), weights=folder, vf_share_layers=False)
    built = config.build_algo()
    try:
        weights = built.learner_group.get_weights()["default_policy"]
        expected, taken = acting_weights(folder), set()
        for name, value in weights.items():
            acting = acting_name(name.removeprefix("_old_"))
            if acting is not None:
                assert np.array_equal(value, expected[acting]), name
                taken.add(acting)
        assert taken == expected.keys()
        assert (algorithm is APPOConfig) == any(name.startswith("_old_") for name in weights)
        module = built.get_module().state_dict()
        assert np.array_equal(module["pi.net.mlp.0.weight"], expected["policy.layers.0.weight"])
    finally:
        built.stop()


def test_each_of_several_policies_begins_with_its_own(ray_session, tmp_path):
    (tmp_path / "agents").mkdir()
    box, left_or_right = gym.make("CartPole-v1").observation_space, gym.spaces.Discrete(2)
    for seed, policy in enumerate("ab"):
        (tmp_path / "agents" / policy).mkdir()
        description = description_of(box, left_or_right, model="gru", settings=TINY["gru"])
        write_agent(description, weights_of(description, seed), tmp_path / "agents" / policy, policy)
    config = PPOConfig().environment(MultiAgentCartPole, env_config={"num_agents": 2}).env_runners(num_env_runners=0)
    config.multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda agent, *args, **kwargs: "ab"[agent])
    config.rl_module(model_config={"head_fcnet_hiddens": []}).debugging(log_level="ERROR")
    built = ra.use_model(config, "gru", **TINY["gru"], weights=tmp_path / "agents").build_algo()
    try:
        weights = built.learner_group.get_weights()
        heads = [weights[policy]["pi.net.mlp.0.weight"] for policy in "ab"]
    finally:
        built.stop()
    for policy, head in zip("ab", heads, strict=True):
        assert np.array_equal(head, acting_weights(tmp_path / "agents" / policy)["policy.layers.0.weight"])
    assert not np.array_equal(*heads)


def test_a_value_function_that_it_was_saved_without_begins_with_new_weights(ray_session, tmp_path):
    folder = write(tmp_path / "agent", has_values=False)
    config = config_of("gru", weights=str(folder))
    built = config.build_algo()
    try:
        weights = built.learner_group.get_weights()["default_policy"]
        expected = ra.load_agent(folder).network.state_dict()
        assert np.array_equal(weights["pi.net.mlp.0.weight"], expected["policy.layers.0.weight"])
        assert np.isfinite(weights["vf.net.mlp.0.weight"]).all()
    finally:
        built.stop()


def test_another_model_or_other_settings_are_refused_at_once(tmp_path):
    folder = write(tmp_path / "agent")
    with pytest.raises(SettingsError, match=r"use_model: weights = .*agent': model.name is 'gru' in the agent, 'lstm'"):
        config_of("lstm", weights=folder)
    with pytest.raises(SettingsError, match=r"model\.d_model is 8 in the agent, 9 here"):
        ra.use_model(PPOConfig().environment("CartPole-v1"), "gru", d_model=9, weights=folder)
    with pytest.raises(
        SettingsError, match=r"use_prev_reward is False in the agent, True here; model\.vf_share_layers"
    ):
        config_of("gru", weights=folder, use_prev_reward=True, vf_share_layers=False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"observation": gym.spaces.Box(-1, 1, (4,))}, "the observation_space is .* in the agent, .* here"),
        ({"action": gym.spaces.Discrete(4)}, "the action_space is .* in the agent, .* here"),
        ({"head": HeadSettings(widths=[5])}, r"head.widths is \[5\] in the agent, \[\] here"),
    ],
)
def test_other_spaces_and_heads_are_refused_before_training(fields, message, ray_session, tmp_path):
    folder = write(tmp_path / "agent", **fields)
    with pytest.raises(SettingsError, match=f"use_model: weights = .*: {message}"):
        config_of("gru", weights=folder).build_algo()


def test_a_later_call_without_it_begins_with_new_weights(ray_session, tmp_path):
    config = config_of("gru", weights=write(tmp_path / "agent"))
    shutil.rmtree(tmp_path / "agent")
    with pytest.raises(SettingsError, match=r"use_model: weights = .* there is no such directory"):
        config.copy(copy_frozen=False).build_algo()
    config_of("gru", config=config).build_algo().stop()


def test_what_training_cannot_begin_with_is_refused(tmp_path):
    def refused(weights, **settings):
        with pytest.raises(SettingsError) as error:
            config_of("gru", weights=weights, **settings)
        return str(error.value)

    assert "there is no such folder; should be what `rllib export` wrote" in refused(tmp_path / "nothing")
    assert "there is no such folder" in refused(3)
    filtered = write(tmp_path / "filtered", has_filter=True, filter_limit=10.0)
    assert "its observation_filter has statistics that training cannot begin with" in refused(filtered)
    encoder = {"type": "tests.inputs.own_encoders:Sum", "settings": {"width": 5}}
    space = gym.spaces.Dict({"vector": gym.spaces.Box(-1, 1, (2,)), "image": gym.spaces.Box(0, 255, (2, 3), np.uint8)})
    agent = agent_of(space, model="gru", settings=TINY["gru"], inputs={"encoder": encoder})
    agent.act({"vector": np.ones(2), "image": np.full((2, 3), 7)})
    (tmp_path / "own").mkdir()
    write_agent(agent.description, agent.network.state_dict(), tmp_path / "own", "main")
    assert "names code of its own to be imported; should be the checkpoint" in refused(tmp_path / "own")
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "interface.json").write_text(f'{{"format": "{GRAPH_FORMAT}"}}')
    assert "holds no agent that can be trained further" in refused(tmp_path / "graph")
    (tmp_path / "several").mkdir()
    for name in "ab":
        write(tmp_path / "several" / name)
    assert "the policies differ: a, b in the folder, default_policy here" in refused(tmp_path / "several")
    folder = write(tmp_path / "agent")
    with pytest.raises(SettingsError, match=r"is about all policies; policies = \['a'\] should be left out"):
        ra.use_model(PPOConfig(), "gru", weights=folder, policies=["a"])


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["BC", "MARWIL"])
def test_algorithms_that_sample_nothing_begin_with_it(algorithm, ray_session, tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    first, second = (trainable_config(algorithm, folder) for folder in folders)
    trained = first.build_algo()
    try:
        checkpoint = trained.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        trained.stop()
    export_agents(Path(checkpoint), tmp_path / "agent")
    second.callbacks(callbacks_class=[*second.callbacks_class, MakeRestoreCallback(tmp_path / "agent")])
    begun = second.build_algo()
    try:
        weights = begun.learner_group.get_weights()["default_policy"]
        assert all(np.array_equal(weights[name], value) for name, value in weights_in(Path(checkpoint)).items())
        assert begun.train()["training_iteration"] == 1
    finally:
        begun.stop()
