"""An agent computes what RLlib's own EnvRunner computes, step by step."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
from rllib_recattn.models.registry import model_names
from rllib_recattn.rl_module.observation_filter import filter_observations
from tests.agents.checkpoints import assert_plays_alike, config_of, save
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS

pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")

# RLlib lays the logits of a Dict out by its sorted keys, and this package the features of a previous action in order.
UNSORTED = gym.spaces.Dict(OrderedDict([("b", gym.spaces.Discrete(2)), ("a", gym.spaces.Box(-3, 4, (2,)))]))
BOTH = {"use_prev_action": True, "use_prev_reward": True}
CASES: dict[str, dict[str, Any]] = {
    "vector": {"model": "gtrxl", "action": ACTIONS["Box"], **BOTH},
    "image 7x7": {"model": "lstm", "action": ACTIONS["MultiDiscrete"], "use_prev_action": True},
    "Discrete": {"action": ACTIONS["Tuple"], "vf_share_layers": False, **BOTH},
    "MultiBinary": {
        "model": "rate",
        "action": UNSORTED,
        "use_prev_action": True,
        "use_prev_reward": True,
        "vf_share_layers": False,
    },
    "Dict": {"model": "gla", "action": ACTIONS["Dict"], "vf_share_layers": False, **BOTH},
    "Tuple": {
        "model": "hybrid",
        "model_config": {
            "head_fcnet_hiddens": [6, 5],
            "head_fcnet_activation": "tanh",
            "head_fcnet_use_layernorm": True,
        },
    },
}


def settings_of(case: str) -> dict[str, Any]:
    return {"observation": OBSERVATIONS[case], **CASES[case]}


@pytest.mark.parametrize("case", CASES)
def test_an_episode_is_played_alike(case, ray_session, tmp_path):
    checkpoint = save(config_of(**settings_of(case)), tmp_path)
    agent = ra.load_agent(checkpoint)
    assert_plays_alike(checkpoint, agent)
    assert_plays_alike(checkpoint, agent)  # and again, after a reset


@pytest.mark.slow
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("model", model_names())
def test_every_model_plays_alike(model, action, ray_session, tmp_path):
    checkpoint = save(config_of(model, action=ACTIONS[action], **BOTH), tmp_path)
    assert_plays_alike(checkpoint, ra.load_agent(checkpoint))


@pytest.mark.parametrize(
    "settings",
    [
        {"model_config": {"free_log_std": True}},
        {"model_config": {"log_std_clip_param": 0.01}},
        {"config": PPOConfig().environment(normalize_actions=False, clip_actions=True)},
        {"config": APPOConfig()},
    ],
    ids=["free log std", "limited log std", "clipped", "APPO"],
)
def test_boxes_are_scaled_and_clipped_alike(settings, ray_session, tmp_path):
    # Narrow and beside 0, so that they are clipped.
    space = gym.spaces.Box(np.array([-0.05, 0.0], np.float32), np.array([0.01, 3.0], np.float32))
    checkpoint = save(config_of("gru", action=space, **settings), tmp_path)
    assert_plays_alike(checkpoint, ra.load_agent(checkpoint))


def test_values_are_those_of_rllib(ray_session, tmp_path):
    for shared in (True, False):
        config = config_of("agalite", vf_share_layers=shared, use_prev_action=True)
        algorithm = config.build_algo()
        try:
            checkpoint = algorithm.save_to_path(str(tmp_path / str(shared)))
            module = algorithm.get_module()
        finally:
            algorithm.stop()
        agent = ra.load_agent(checkpoint, values=True)
        rng = np.random.default_rng(0)
        state = tree.map_structure(lambda part: torch.as_tensor(part)[None], module.get_initial_state())
        previous = torch.zeros(1, 1, 3)
        for _ in range(4):
            observation = rng.uniform(-1, 1, 3).astype(np.float32)
            batch = {"obs": torch.from_numpy(observation)[None, None], "state_in": state}
            batch["prev_action_and_reward"] = previous
            with torch.no_grad():
                out = module.forward_train(batch)
                values = module.compute_values(batch)
            action = agent.act(observation)
            np.testing.assert_allclose(agent.logits, out["action_dist_inputs"][0, 0], rtol=0, atol=1e-6)
            np.testing.assert_allclose(agent.values, values[0, 0], rtol=0, atol=1e-6)
            state = out["state_out"]
            previous = torch.nn.functional.one_hot(torch.tensor([[int(action)]]), 3).float()


def test_a_filter_of_observations_is_taken_along(ray_session, tmp_path):
    space = gym.spaces.Box(-50, 90, (2,), np.float64)
    config = filter_observations(PPOConfig())
    checkpoint = save(config_of("gru", observation=space, config=config), tmp_path, iterations=2)
    agent = ra.load_agent(checkpoint)
    assert agent.observation_space == space
    learnt = agent.network.filters[0].mean.clone()
    assert learnt.abs().min() > 1
    assert_plays_alike(checkpoint, agent)
    assert torch.equal(learnt, agent.network.filters[0].mean)
