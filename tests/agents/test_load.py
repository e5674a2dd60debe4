"""Where an agent is loaded from, and what is refused because nobody knows what it does."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import FlattenObservations, MeanStdFilter
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

import rllib_recattn as ra
from rllib_recattn.agents.stored import write_agent
from rllib_recattn.checkpoint_files import MODULES
from rllib_recattn.checkpoint_pickles import load_pickle
from rllib_recattn.errors import SettingsError, SettingsWarning
from rllib_recattn.experiment.checkpoints.checkpoint import load_config
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.evaluation.new_stack import NewStackPlayer
from rllib_recattn.model_v2.register import register_model_v2
from rllib_recattn.rl_module.catalog import RecAttnCatalog
from rllib_recattn.rl_module.modules import RecAttnPPOModule
from rllib_recattn.rl_module.observation_filter import filter_observations
from tests.agents.checkpoints import config_of, save
from tests.agents.small import description_of, weights_of
from tests.model_v2.old_stack import old_stack_config
from tests.rl_module.inputs.random_env import ACTIONS
from tests.rl_module.test_offline import trainable_config

pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")


class OwnModule(RecAttnPPOModule):
    pass


@pytest.fixture(scope="module")
def checkpoint(ray_session, tmp_path_factory):
    return save(config_of("gru"), tmp_path_factory.mktemp("plain"))


def test_a_run_a_checkpoint_and_a_modules_folder_are_one_agent(checkpoint, tmp_path):
    observation = np.array([0.1, -0.2, 0.3])
    run = tmp_path / "run" / "trial"
    run.mkdir(parents=True)
    shutil.copytree(checkpoint, run / "checkpoint_000000")
    agents = [ra.load_agent(path) for path in (checkpoint, str(checkpoint), run.parent, run)]
    agents.append(ra.load_agent(checkpoint / MODULES / "default_policy"))
    shutil.copytree(checkpoint / MODULES / "default_policy", tmp_path / "alone")
    with pytest.warns(SettingsWarning, match="does not say what connectors did to observations and actions"):
        agents.append(ra.load_agent(tmp_path / "alone"))
    assert len({int(agent.act(observation)) for agent in agents}) == 1
    assert all(np.array_equal(agent.logits, agents[0].logits) for agent in agents)


def test_a_finished_run_succeeds_or_not_as_rllib_says(finished_run):
    agent = ra.load_agent(finished_run.result.run_dir)
    env = gym.make("rllib_recattn/TMaze-v0", corridor_length=3, max_episode_steps=12)
    expected = evaluate_checkpoint(finished_run.result.run_dir, episodes=10)
    for episode in expected.episodes:
        observation, _ = env.reset(seed=episode.seed)
        agent.reset()
        total, steps, done = 0.0, 0, False
        while not done:
            observation, reward, terminated, truncated, info = env.step(agent.act(observation))
            done = terminated or truncated
            total, steps = total + reward, steps + 1
        assert (total, steps, info.get("success")) == (episode.episode_return, episode.length, episode.success)


def test_what_the_page_shows_runs(finished_run):
    page = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")
    loading, one, many, states = (block.split("```")[0] for block in page.split("```python\n")[1:5])
    assert "results/tmaze-agalite-ppo" in loading
    env = gym.make("rllib_recattn/TMaze-v0")
    namespace = {"gym": gym, "env": env}
    exec(loading.replace("results/tmaze-agalite-ppo", str(finished_run.result.run_dir)), namespace)
    exec(one, namespace)
    exec(many.replace("1000", "10"), namespace)
    namespace["observations"] = namespace["observations"][:1]
    exec(states, namespace)
    assert namespace["actions"].shape == (1,)


def test_one_of_several_policies_is_chosen(ray_session, tmp_path):
    from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole

    config = PPOConfig().environment(MultiAgentCartPole, env_config={"num_agents": 2}).env_runners(num_env_runners=0)
    config.multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda agent, *args, **kwargs: "ab"[agent])
    config.debugging(log_level="ERROR")
    checkpoint = save(ra.use_model(config, "gru", d_model=8), tmp_path)
    with pytest.raises(SettingsError, match="has several policies; choose one by policy=…: a, b"):
        ra.load_agent(checkpoint)
    with pytest.raises(SettingsError, match="policy = 'c': valid are: a, b"):
        ra.load_agent(checkpoint, policy="c")
    one, other = (ra.load_agent(checkpoint, policy=name) for name in "ab")
    again = ra.load_agent(checkpoint / MODULES / "b")
    for agent in (one, other, again):
        agent.act(np.array([0.1, 0.2, 0.3, 0.4]))
    assert np.array_equal(other.logits, again.logits)
    assert not np.array_equal(one.logits, other.logits)


@pytest.mark.parametrize(
    ("connector", "named"),
    [
        (lambda env, spaces, device: FlattenObservations(), r"flatten_observations\.FlattenObservations"),
        (lambda env, spaces, device: [MeanStdFilter(), MeanStdFilter()], "a filter of observations.*more than once"),
    ],
)
def test_connectors_that_nobody_knows_are_refused(connector, named, ray_session, tmp_path):
    config = PPOConfig().env_runners(env_to_module_connector=connector)
    checkpoint = save(config_of("gru", config=config), tmp_path)
    with pytest.raises(SettingsError, match=named):
        ra.load_agent(checkpoint)


def test_without_the_state_of_connectors_the_config_tells(ray_session, tmp_path):
    """As where nothing samples in the process of the algorithm, or nothing is evaluated."""
    config = PPOConfig().environment(normalize_actions=False, clip_actions=True)
    box = ACTIONS["Box"]
    checkpoint = save(config_of("gru", action=box, config=config, use_prev_action=True), tmp_path)
    before = ra.load_agent(checkpoint)
    shutil.rmtree(checkpoint / "env_runner")
    after = ra.load_agent(checkpoint)
    assert after.description == before.description
    assert (after.description.normalize_actions, after.description.clip_actions) == (False, True)

    for number, function in enumerate((lambda env, spaces, device: [], None)):
        config = PPOConfig().env_runners(env_to_module_connector=function)
        if function is None:
            filter_observations(config)
        (tmp_path / str(number)).mkdir()
        checkpoint = save(config_of("gru", config=config), tmp_path / str(number))
        shutil.rmtree(checkpoint / "env_runner")
        with pytest.raises(SettingsError, match=r"its connector env_to_module_connector = .* may change"):
            ra.load_agent(checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["BC", "MARWIL"])
def test_an_agent_that_learnt_offline(algorithm, ray_session, tmp_path):
    trained = trainable_config(algorithm, tmp_path).build_algo()
    try:
        trained.train()
        checkpoint = trained.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        trained.stop()
    player = NewStackPlayer(Path(checkpoint), load_config(Path(checkpoint)))
    try:
        episode = player.sample(0, explore=False)
    finally:
        player.stop()
    agent = ra.load_agent(checkpoint)
    for t in range(len(episode)):
        assert agent.act(episode.get_observations(t)) == episode.get_actions(t)
        np.testing.assert_allclose(
            agent.logits, np.ravel(episode.get_extra_model_outputs("action_dist_inputs", t)), rtol=0, atol=1e-6
        )


def test_modules_that_may_compute_anything_are_refused(ray_session, tmp_path):
    config = config_of("gru")
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=OwnModule, catalog_class=RecAttnCatalog))
    checkpoint = save(config, tmp_path)
    with pytest.raises(SettingsError, match=r"its module tests\.agents\.test_load\.OwnModule may compute anything"):
        ra.load_agent(checkpoint)


def test_agents_without_a_model_of_ours_are_refused(ray_session, tmp_path):
    config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0).debugging(log_level="ERROR")
    with pytest.raises(SettingsError, match="DefaultPPOTorchRLModule, has no model of this package"):
        ra.load_agent(save(config, tmp_path))


def test_an_agent_of_the_old_stack_is_told_to_be_converted(ray_session, tmp_path):
    register_model_v2()
    checkpoint = save(old_stack_config(), tmp_path)
    with pytest.raises(SettingsError, match=r"old API stack; convert it first, rllib_recattn\.convert_checkpoint"):
        ra.load_agent(checkpoint)


def test_what_is_no_agent_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="there is no such directory"):
        ra.load_agent(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="there is no checkpoint in here"):
        ra.load_agent(tmp_path)
    for path in (None, 5, "", b"agent", "a\0b"):
        with pytest.raises(SettingsError, match=r"^path = .*: should be the path of a run's directory"):
            ra.load_agent(path)
    for path in ("~nobody-of-this-name/agent", "x" * 5000):
        with pytest.raises(SettingsError):
            ra.load_agent(path)


def test_an_exported_agent_without_its_settings_is_not_taken_for_a_checkpoint(tmp_path):
    folder = exported(tmp_path / "agent")
    (folder / "agent.json").unlink()
    with pytest.raises(SettingsError, match=r"^agent '.*/agent': agent\.json is missing$"):
        ra.load_agent(folder)


def exported(folder, policy="default_policy", seed=0):
    description = description_of()
    folder.mkdir(parents=True)
    write_agent(description, weights_of(description, seed), folder, policy)
    return folder


def test_an_exported_agent_beside_a_runs_checkpoints_is_not_taken_for_the_run(checkpoint, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(checkpoint, run / "trial" / "checkpoint_000000")
    exported(run / "best")
    expected = ra.load_agent(checkpoint).description
    assert ra.load_agent(run).description == expected
    exported(run / "trial" / "best")
    assert ra.load_agent(run / "trial").description == expected
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    exported(copy / "best")
    assert ra.load_agent(copy).description == expected
    assert ra.load_agent(run / "best").description == description_of()


def test_policies_are_taken_from_folders_of_nothing_else(tmp_path, monkeypatch):
    for name in "ab":
        exported(tmp_path / "agents" / name, name)
    ra.load_agent(tmp_path / "agents", policy="b")
    (tmp_path / "agents" / "a").rename(tmp_path / "agents" / "c")
    with pytest.raises(SettingsError, match="policy = 'c': is the policy 'a'"):
        ra.load_agent(tmp_path / "agents", policy="c")
    with pytest.raises(SettingsError, match="policy = 'zzz': is the policy 'b'"):
        ra.load_agent(tmp_path / "agents" / "b", policy="zzz")
    with pytest.raises(SettingsError, match="policy = 5: should be the id of a policy"):
        ra.load_agent(tmp_path / "agents", policy=5)
    (tmp_path / "agents" / "notes.txt").write_text("")
    with pytest.raises(SettingsError, match=r"holds exported agents, 'b', 'c', beside other things, 'notes\.txt'"):
        ra.load_agent(tmp_path / "agents", policy="b")
    monkeypatch.setenv("HOME", str(tmp_path))
    ra.load_agent("~/agents/b")


def test_a_modules_folder_is_of_one_policy(checkpoint, tmp_path):
    shutil.copytree(checkpoint / MODULES / "default_policy", tmp_path / "alone")
    for module in (checkpoint / MODULES / "default_policy", tmp_path / "alone"):
        with pytest.raises(SettingsError, match=f"policy = 'zzz': valid are: {module.name}"):
            ra.load_agent(module, policy="zzz")


def test_loading_changes_nobodys_random_numbers(checkpoint):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    try:
        ra.load_agent(checkpoint)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.rand(1) == expected


def without_connectors(checkpoint, pipeline, *names):
    file = checkpoint / "env_runner" / pipeline / "class_and_ctor_args.pkl"
    content = load_pickle(file)
    args, kwargs = content["ctor_args_and_kwargs"]
    kept = [each for each in kwargs["connectors"] if each[0].__name__ not in names]
    assert len(kept) == len(kwargs["connectors"]) - len(names)
    file.write_bytes(pickle.dumps({**content, "ctor_args_and_kwargs": (args, {**kwargs, "connectors": kept})}))


def without_module(checkpoint):
    shutil.rmtree(checkpoint / MODULES / "default_policy")


def with_weights_of_others(checkpoint):
    file = checkpoint / MODULES / "default_policy" / "module_state.pkl"
    state = load_pickle(file)
    file.write_bytes(pickle.dumps({name: np.zeros((*value.shape, 2), np.float32) for name, value in state.items()}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda checkpoint: shutil.rmtree(checkpoint / MODULES),
        without_module,
        with_weights_of_others,
        lambda checkpoint: (checkpoint / MODULES / "default_policy" / "module_state.pkl").unlink(),
        lambda checkpoint: (checkpoint / MODULES / "default_policy" / "class_and_ctor_args.pkl").unlink(),
        lambda checkpoint: shutil.rmtree(checkpoint / "env_runner" / "module_to_env_connector"),
        lambda checkpoint: without_connectors(checkpoint, "module_to_env_connector", "NormalizeAndClipActions"),
        lambda checkpoint: (checkpoint / "env_runner" / "module_to_env_connector" / "state.pkl").write_bytes(b"x"),
    ],
)
def test_damaged_checkpoints_are_refused(damage, checkpoint, tmp_path):
    copy = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, copy)
    damage(copy)
    with pytest.raises(SettingsError, match=r"checkpoint '.*cannot be read"):
        ra.load_agent(copy)
