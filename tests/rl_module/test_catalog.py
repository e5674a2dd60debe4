"""What the catalog builds for an environment's spaces, and which spaces it refuses."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_recattn.errors import SettingsError
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, random_env_config

VECTOR = OBSERVATIONS["vector"]


def module_for(observation_space, action_space, **settings):
    config = random_env_config(observation_space, action_space, **settings)
    return config.get_rl_module_spec(spaces={DEFAULT_MODULE_ID: (observation_space, action_space)}).build()


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({}, 64),
        ({"encoder": {"type": "auto", "widths": []}}, 3),
        ({"encoder": {"type": "auto", "widths": []}, "use_prev_reward": True}, 3 + 1),
        ({"use_prev_action": True}, 64 + 3 + 2 + 2 + 4),
        ({"use_prev_action": True, "use_prev_reward": True, "encoder": {"type": "mlp", "widths": [7]}}, 7 + 11 + 1),
    ],
)
def test_the_model_reads_what_it_was_told_to(settings, size):
    assert module_for(VECTOR, ACTIONS["Dict"], **settings).encoder.encoder.model.input_dim == size


def test_a_critic_of_its_own_has_an_encoder_of_its_own():
    module = module_for(OBSERVATIONS["image 7x7"], ACTIONS["Box"], vf_share_layers=False)
    actor, critic = (
        dict(encoder.tokenizer.named_parameters())
        for encoder in (module.encoder.actor_encoder, module.encoder.critic_encoder)
    )
    assert actor.keys() == critic.keys()
    assert actor
    assert all(actor[name] is not critic[name] for name in actor)


def test_observation_spaces_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match=r"observation space Dict.*: Text.* at 'mission' should be Box, Discrete"):
        module_for(Dict({"mission": gym.spaces.Text(9), "image": OBSERVATIONS["image 7x7"]}), ACTIONS["Discrete"])


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (MultiBinary(3), "it should be MultiDiscrete, with 2 values for each of its bits"),
        (Box(0, 3, (2,), np.int64), "should have a float dtype; integers are MultiDiscrete's"),
        (Box(-1, 1, (2, 2), np.float32), "should have one dimension"),
        (Box(-1, 1, (), np.float32), "should have one dimension"),
        (MultiDiscrete([[2, 2], [3, 3]]), "should have one dimension"),
        (Discrete(3, start=1), "should start at 0: shift the actions"),
        (MultiDiscrete([2, 3], start=[0, 1]), "should start at 0"),
        (gym.spaces.Text(3), "it should be Discrete, MultiDiscrete or Box, or a Dict or Tuple of those"),
        (
            Dict({"a": Discrete(2), "b": Tuple((MultiBinary(2),))}),
            r"MultiBinary\(2\) at 'b\.0' should be MultiDiscrete",
        ),
        (Tuple(()), "should have something to choose"),
    ],
)
def test_action_spaces_that_do_not_fit_are_refused(space, message):
    with pytest.raises(SettingsError, match=f"(?s)action space .*: .*{message}"):
        module_for(VECTOR, space)
