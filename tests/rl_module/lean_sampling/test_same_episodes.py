"""What is sampled in one batch is what RLlib's way gives, to the bit."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rllib_recattn.rl_module.lean_sampling import sampler
from tests.rl_module.lean_sampling.both_ways import CALLS, assert_same, config_of, run

Box, Discrete = gym.spaces.Box, gym.spaces.Discrete
IMAGE = Box(0, 255, (12, 12, 3), np.uint8)
PREVIOUS = {"use_prev_action": True, "use_prev_reward": True}


def acting(space, **settings):
    return {"env_config": {"action_space": space}, **settings}


def seeing(space, **settings):
    return {"env_config": {"observation_space": space}, **settings}


CASES = {
    "agalite": {},
    "gtrxl": {"model": "gtrxl"},
    "lstm": {"model": "lstm"},
    "memoryless": {"model": "memoryless"},
    "hybrid": {"model": "hybrid"},
    "gla": {"model": "gla", "max_seq_len": 1},
    "critic of its own": {"vf_share_layers": False, **PREVIOUS},
    "previous": PREVIOUS,
    "box": acting(Box(-2, 3, (2,), np.float32), **PREVIOUS),
    "box, clipped": acting(
        Box(-0.1, 0.1, (2,), np.float32),
        before=lambda config: config.environment(normalize_actions=False, clip_actions=True),
    ),
    "box, as it is": acting(
        Box(-0.1, 0.1, (2,), np.float32), before=lambda config: config.environment(normalize_actions=False)
    ),
    "unbounded box": acting(Box(-np.inf, np.inf, (1,), np.float32)),
    "multi-discrete": acting(gym.spaces.MultiDiscrete([2, 3]), **PREVIOUS),
    "dict actions": acting(gym.spaces.Dict({"b": Discrete(3), "a": Box(-1, 2, (2,), np.float32)}), **PREVIOUS),
    "tuple actions": acting(gym.spaces.Tuple((Discrete(2), gym.spaces.MultiDiscrete([2, 2]))), model="gru"),
    "image": seeing(IMAGE, encoder={"type": "cnn", "widths": [4], "output_dim": 8}),
    "dict observations": seeing(gym.spaces.Dict({"picture": IMAGE, "numbers": Box(-1, 1, (2,), np.float32)})),
    "numbers of 64 bits": seeing(Box(-1, 1, (3,), np.float64), model="lstm"),
    "discrete observations": seeing(Discrete(5), model="lstm"),
    "no lookback": {"before": lambda config: config.env_runners(episode_lookback_horizon=0), "model": "gru"},
    "long lookback": {"before": lambda config: config.env_runners(episode_lookback_horizon=5), **PREVIOUS},
    "one environment": {"num_envs": 1, "env_config": {"lengths": (30, 2)}},
    "episodes of one step": {"env_config": {"lengths": (1,)}, **PREVIOUS},
    "gymnasium's": {"env": "Pendulum-v1"},
    "vectorised": {"env": "rllib_recattn/TMaze-v0", "env_config": {"corridor_length": 5}, "mode": "vector_entry_point"},
    "in processes": {"mode": "async", **PREVIOUS},
}


@pytest.mark.parametrize("case", CASES)
def test_both_ways_give_the_same(case, monkeypatch):
    lean_calls = []
    sample = sampler.LeanSampler.sample
    monkeypatch.setattr(
        sampler.LeanSampler, "sample", lambda self, **how: lean_calls.append(how) or sample(self, **how)
    )
    found = run(config_of(**CASES[case]))
    n_lean_calls = len(lean_calls)
    expected = run(config_of(**CASES[case], lean_sampling=False))
    assert len(lean_calls) == n_lean_calls == sum("random_actions" not in call for call in CALLS)
    assert_same(found, expected)


def test_exploration_that_is_switched_off_in_the_middle_of_episodes():
    """Log-probabilities are whole numbers then, which RLlib puts behind the others in columns of their type."""
    calls = [{"num_timesteps": n, "explore": explore} for n in (4, 6) for explore in (True, False)]
    found, expected = (run(config_of("gru", lean_sampling=lean), calls) for lean in (True, False))
    assert_same(found, expected)
