"""The ModelV2 as users meet it: names, class paths, spaces, several agents, errors."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.models.preprocessors import get_preprocessor
from ray.rllib.policy.policy import PolicySpec
from ray.rllib.policy.sample_batch import SampleBatch, concat_samples

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import WITHOUT_MLP, encoder_settings
from rllib_recattn.inputs.tokenizer import Tokenizer
from rllib_recattn.models.registry import model_names
from tests.model_v2.old_stack import (
    CLASS_PATH,
    TINY,
    Replay,
    episodes,
    old_stack_config,
    sample,
    worker_of,
)
from tests.model_v2.test_training import train_twice
from tests.rl_module.inputs.random_env import ACTIONS, MORE_OBSERVATIONS, OBSERVATIONS

SPACES = {
    **OBSERVATIONS,
    **MORE_OBSERVATIONS,
    "as long as Atari's memory": Box(-1, 1, (128,), np.float32),
    "channels first": Box(0, 255, (3, 36, 40), np.uint8),
    "stacked frames": Box(0, 255, (2, 36, 36, 3), np.uint8),
    "Dict with Atari's memory": Dict({"ram": Box(0, 255, (128,), np.uint8), "more": Discrete(2)}),
}
ATARI_SCREEN = Box(0, 255, (210, 160, 3), np.uint8)


@pytest.mark.filterwarnings("ignore:observations of shape")
@pytest.mark.parametrize("is_preprocessed", [True, False])
@pytest.mark.parametrize("name", SPACES)
def test_features_are_those_of_the_new_stack(name, is_preprocessed):
    space = SPACES[name]
    config = old_stack_config(observation=space, model_dict={"_disable_preprocessor_api": not is_preprocessed})
    if not is_preprocessed:
        # Through a class path RLlib hands on custom_model_config alone.
        ra.register_model_v2()
        custom = {**config.model["custom_model_config"]}
        custom.pop("model")
        config.training(
            model={
                "custom_model": "recattn_agalite",
                "custom_model_config": custom,
                "max_seq_len": 4,
                "_disable_preprocessor_api": True,
            }
        )
        config.experimental(_disable_preprocessor_api=True)
    worker = worker_of(config)
    model = worker.get_policy().model
    new_stack = Tokenizer(space, encoder_settings(WITHOUT_MLP))
    new_stack.load_state_dict(model.encoder.tokenizer.state_dict())
    assert type(model.encoder.tokenizer) is Tokenizer
    assert model.encoder.model.input_dim == new_stack.output_dim
    seen = []
    model.encoder.tokenizer.register_forward_hook(lambda _module, _args, tokens: seen.append(tokens))
    prep = get_preprocessor(space)(space) if is_preprocessed else None
    space.seed(0)
    for _ in range(3):
        obs = space.sample()
        policy_obs = prep.transform(obs) if prep is not None else obs
        worker.get_policy().compute_single_action(policy_obs, state=worker.get_policy().get_initial_state())
        expected = new_stack(as_batch(obs))
        torch.testing.assert_close(seen[-1][0], expected[0], atol=2e-5, rtol=1e-5)


def as_batch(obs):
    if isinstance(obs, dict):
        return {key: as_batch(part) for key, part in obs.items()}
    if isinstance(obs, tuple):
        return tuple(as_batch(part) for part in obs)
    return torch.as_tensor(np.asarray(obs))[None, None]


@pytest.mark.parametrize("action", ACTIONS)
def test_any_actions_train_with_previous_ones(ray_session, action):
    train_twice(old_stack_config(action=ACTIONS[action], use_prev_action=True, use_prev_reward=True))


def test_free_log_std():
    config = old_stack_config(action=ACTIONS["Box"])
    ra.register_model_v2()
    config.training(model={**registered("agalite"), "free_log_std": True})
    worker = worker_of(config)
    logits = sample(worker)[SampleBatch.ACTION_DIST_INPUTS]
    assert logits.shape[1] == 4
    np.testing.assert_array_equal(logits[:, 2:], 0)
    assert np.ptp(logits[:, 0]) > 0
    worker.get_policy().model.log_std.data.fill_(-1.0)
    sample(worker)  # a fragment's first actions were chosen when the one before it ended
    np.testing.assert_array_equal(sample(worker)[SampleBatch.ACTION_DIST_INPUTS][:, 2:], -1)


def registered(model, **custom):
    return {
        "custom_model": f"recattn_{model}",
        "custom_model_config": {**TINY[model], **custom},
        "max_seq_len": 4,
    }


def test_every_model_of_the_catalog_is_tried(own_models):
    assert TINY.keys() == set(model_names())


@pytest.mark.parametrize("model", TINY)
def test_registered_names_and_the_class_path_are_the_same_model(model):
    assert f"recattn_{model}" in ra.register_model_v2()
    assert ra.register_model_v2() == ra.register_model_v2()
    config = old_stack_config(model)
    by_path = worker_of(config).get_policy().model
    config.training(model=registered(model))
    by_name = worker_of(config).get_policy().model
    by_path.load_state_dict(by_name.state_dict())
    assert by_name.view_requirements.keys() == by_path.view_requirements.keys()
    for column, view in by_name.view_requirements.items():
        assert view.shift == by_path.view_requirements[column].shift
        assert view.batch_repeat_value == by_path.view_requirements[column].batch_repeat_value
        assert view.used_for_training is not column.startswith("state_out")


def test_an_atari_screen_is_what_rllib_makes_of_it_and_refused_where_that_fails():
    worker = worker_of(old_stack_config(observation=ATARI_SCREEN))
    assert worker.get_policy().model.encoder.tokenizer.encoder.encoders[0].shape == (84, 84, 3)
    with pytest.raises(SettingsError, match=r"screen = Box\(0, 255, \(210, 160, 3\), uint8\): .* Atari screen"):
        worker_of(old_stack_config(observation=Dict({"screen": ATARI_SCREEN})))


def test_own_encoders_see_what_the_environment_says():
    config = old_stack_config(observation=OBSERVATIONS["Dict"], encoder="tests.inputs.own_encoders:Sum")
    assert sample(worker_of(config)).count > 0


def test_a_minibatch_without_rows_is_explained(ray_session):
    algorithm = old_stack_config(max_seq_len=20, fragment=40, length=50).training(minibatch_size=10).build_algo()
    with pytest.raises(ValueError, match="minibatch_size"):  # RLlib wraps what a tower raises
        algorithm.train()
    algorithm.stop()


def check_episodes(worker, batch, policy_id, first_step):
    policy = worker.get_policy(policy_id)
    replay = Replay(policy.model, policy.action_space)
    found = episodes(batch, first_step)
    assert found
    for indices in found:
        logits, _ = replay(batch[SampleBatch.OBS][indices])
        np.testing.assert_allclose(batch[SampleBatch.ACTION_DIST_INPUTS][indices], logits, atol=1e-5)


class TwoAgents(MultiAgentEnv):
    """Agent 1 joins in the second step, misses each third one, and goes before the end."""

    def __init__(self, config=None):
        super().__init__()
        self.agents = self.possible_agents = ["0", "1"]
        self.observation_spaces = dict.fromkeys(self.agents, Box(-1, 1, (3,), np.float32))
        self.action_spaces = dict.fromkeys(self.agents, ACTIONS["Discrete"])
        self.observation_space, self.action_space = self.observation_spaces["0"], self.action_spaces["0"]

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return self._observe(["0"]), {}

    def step(self, actions):
        self.t += 1
        gone = self.t >= 8
        there = ["0"] if (gone and self.t > 8) or self.t % 3 == 0 else ["0", "1"]
        done = {"1": self.t == 8, "__all__": self.t == 11}
        return self._observe(there), dict.fromkeys(there, float(self.t)), done, {"__all__": False}, {}

    def _observe(self, agents):
        return {agent: self.observation_spaces[agent].sample() for agent in agents}


@pytest.mark.parametrize("model", ["agalite", "gtrxl"])
def test_several_agents_keep_their_own_states(model):
    config = old_stack_config(model).environment(TwoAgents, env_config={})
    policies = {"p0": PolicySpec(), "p1": PolicySpec()}
    config.multi_agent(policies=policies, policy_mapping_fn=lambda agent, *_, **__: f"p{agent}")
    worker = worker_of(config)
    batches = [worker.sample() for _ in range(4)]
    for policy_id, first_step in (("p0", 0), ("p1", 1)):
        batch = concat_samples([b.policy_batches[policy_id] for b in batches])
        check_episodes(worker, batch, policy_id, first_step)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_head": 2}, "unknown setting 'n_head': did you mean 'n_heads'"),
        ({"use_prev_actoin": True}, "unknown setting 'use_prev_actoin': did you mean 'use_prev_action'"),
        ({"max_seq_len": 8}, "max_seq_len = 8: belongs one level up"),
        ({"vf_share_layers": "no"}, "vf_share_layers = 'no'"),
        ({"model": "agalit"}, "unknown model 'agalit': did you mean 'agalite' or"),
        ({"encoder": "cnn"}, "has no image"),
        ({"rllib_fixes": {"vtrace": True}}, "vtrace"),
    ],
)
def test_wrong_settings_are_refused(change, message):
    config = old_stack_config()
    config.model["custom_model_config"].update(change)
    with pytest.raises(SettingsError, match=message):
        worker_of(config)


def test_a_model_has_to_be_named():
    config = old_stack_config()
    del config.model["custom_model_config"]["model"]
    with pytest.raises(SettingsError, match="'model' is missing; should be a model's name"):
        worker_of(config)


@pytest.mark.parametrize("wrapper", ["use_lstm", "use_attention"])
def test_rllibs_own_memory_around_a_model_is_refused(wrapper):
    ra.register_model_v2()
    config = old_stack_config().training(model={**registered("agalite"), wrapper: True})
    with pytest.raises(SettingsError, match=rf"{wrapper} = True: should be left out"):
        worker_of(config)


def test_an_existing_config_changes_in_one_line(ray_session):
    ra.register_model_v2()
    config = (
        PPOConfig()
        .api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False)
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, rollout_fragment_length=32)
        .training(train_batch_size=64, minibatch_size=32, num_epochs=1)
    )
    config.training(model={"custom_model": "recattn_lstm", "custom_model_config": {"d_model": 8}, "max_seq_len": 16})
    train_twice(config)


BLOCK = """
import sys

class Removed:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("ray.rllib.models.torch.torch_modelv2", "ray.rllib.policy")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Removed())
import rllib_recattn as ra
import rllib_recattn.model_v2
from rllib_recattn.errors import SettingsError

assert ra.list_models()
for use in (lambda: ra.register_model_v2(), lambda: rllib_recattn.model_v2.RecAttnModelV2):
    try:
        use()
    except SettingsError as error:
        print(error)
"""


def test_without_the_old_stack_the_package_works_and_says_so():
    done = subprocess.run([sys.executable, "-c", BLOCK], capture_output=True, text=True, check=True)
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "has no old API stack any more (no module 'ray.rllib." in line
        assert "use_model" in line


def test_the_class_path_is_what_the_documentation_says():
    from rllib_recattn.model_v2 import RecAttnModelV2

    assert f"rllib_recattn.model_v2.{RecAttnModelV2.__name__}" == CLASS_PATH


def test_several_agents_train(ray_session):
    config = old_stack_config("gtrxl").environment(TwoAgents, env_config={})
    policies = {"p0": PolicySpec(), "p1": PolicySpec()}
    config.multi_agent(policies=policies, policy_mapping_fn=lambda agent, *_, **__: f"p{agent}")
    algorithm = config.build_algo()
    before = [algorithm.get_policy(policy_id).model.pi.weight.clone() for policy_id in policies]
    algorithm.train()
    for policy_id, weight in zip(policies, before, strict=True):
        after = algorithm.get_policy(policy_id).model.pi.weight
        assert torch.isfinite(after).all()
        assert not torch.equal(after, weight)
    algorithm.stop()
