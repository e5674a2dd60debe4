"""The supervised probe asks for what only a memory can tell."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.memory import probe
from benchmarks.memory.plan import MODELS
from rllib_recattn.envs.tmaze import TMazeEnv
from rllib_recattn.envs.tmaze_task import RIGHT


def test_the_bit_is_shown_in_the_first_step_only():
    x, cues = probe.bit_batch(12, np.random.default_rng(0))
    assert torch.equal(x[:, 0, :2].argmax(-1), cues[:, 0])
    assert not x[:, 1:, :2].any()
    assert len(cues.unique()) == 2


def test_the_bits_observations_are_those_of_a_maze():
    env = TMazeEnv(corridor_length=12)
    first, _ = env.reset(seed=0)
    rows = [first, *(env.step(RIGHT)[0] for _ in range(11))]
    x, _ = probe.bit_batch(12, np.random.default_rng(0))
    assert x.shape[1:] == np.stack(rows).shape
    places = slice(2, 10)
    np.testing.assert_array_equal(x[0, :, places].numpy(), np.stack(rows)[:, places])


def test_a_symbol_is_to_be_told_three_steps_later():
    x, answers = probe.repeat_batch(10, np.random.default_rng(0))
    assert torch.equal(x.argmax(-1)[:, :7], answers)


def test_a_model_that_remembers_learns_to_tell_and_one_without_memory_does_not(monkeypatch):
    monkeypatch.setattr(probe, "MAX_UPDATES", 100)
    memoryless = {"name": "memoryless", "d_model": 64, "n_layers": 2}
    assert probe.learn(MODELS["gtrxl-128"], "bit, 40 steps", seed=0)["updates"] <= 100
    for task in ("bit, 40 steps", "repeat, 20 steps"):
        outcome = probe.learn(memoryless, task, seed=0)
        assert outcome["updates"] is None
        assert outcome["right"] < 0.8
