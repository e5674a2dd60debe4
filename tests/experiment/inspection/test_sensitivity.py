"""Gradients of a whole episode, against those of a loop over its steps."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from ray.rllib.core.columns import Columns

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.inspection.replay import Replay
from rllib_recattn.experiment.inspection.sensitivity import chosen_outputs, sensitivity
from tests.experiment.inspection.episodes import acted, small_module

DISCRETE = gym.spaces.Discrete(4)
MULTI = gym.spaces.MultiDiscrete([2, 3])
BOX = gym.spaces.Box(-2, 2, (2,), np.float32)


def outputs_by_hand(module, recording, steps, of):
    """Act step by step with a graph; returns the observations and what is differentiated at each step, [k]."""
    observations = [each.clone().requires_grad_() for each in recording.batch[Columns.OBS].unbind(1)]
    state, outputs = recording.batch[Columns.STATE_IN], []
    for t, observation in enumerate(observations):
        batch = {Columns.OBS: observation[:, None], Columns.STATE_IN: state}
        out = module.forward_train(batch)
        state = out[Columns.STATE_OUT]
        if of == "value":
            outputs.append(module.compute_values(batch, out[Columns.EMBEDDINGS])[0])
            continue
        logits, action = out[Columns.ACTION_DIST_INPUTS][0, 0], recording.actions[t]
        if isinstance(module.action_space, gym.spaces.Box):
            outputs.append(logits[:2])
        elif isinstance(module.action_space, gym.spaces.Discrete):
            outputs.append((logits[action] - logits.mean())[None])
        else:
            outputs.append(
                torch.stack([logits[:2][action[0]] - logits[:2].mean(), logits[2:][action[1]] - logits[2:].mean()])
            )
    return observations, outputs


@pytest.mark.parametrize(
    ("model", "actions", "of", "settings"),
    [
        ("agalite", DISCRETE, "action", {}),
        ("agalite", MULTI, "action", {}),
        ("agalite", BOX, "action", {"vf_share_layers": False}),
        ("agalite", DISCRETE, "value", {"vf_share_layers": False}),
        ("gtrxl", DISCRETE, "action", {}),
        ("rate", BOX, "value", {}),
        ("lstm", DISCRETE, "action", {}),
        ("stock", DISCRETE, "action", {}),
    ],
)
def test_norms_are_those_of_gradients_taken_step_by_step(model, actions, of, settings):
    module = small_module(model, actions, **settings)
    recording = acted(module, 9)
    steps = [0, 3, 4, 8]
    observations, outputs = outputs_by_hand(module, recording, steps, of)
    expected = np.zeros((len(steps), 9))
    for row, t in enumerate(steps):
        squares = np.zeros(9)
        for component in outputs[t]:
            gradients = torch.autograd.grad(component, observations, retain_graph=True, allow_unused=True)
            squares += [0.0 if each is None else float(each.square().sum()) for each in gradients]
        expected[row] = squares**0.5
    norms = sensitivity(Replay(module, recording), of, steps)
    np.testing.assert_allclose(norms, expected, rtol=1e-3, atol=1e-6)
    assert (norms[-1] > 1e-4).sum() > 3  # what is compared is not all zero


def test_more_steps_than_rows_and_a_window_that_closes():
    """GTrXL with two layers and M = 4 cannot see farther back than 8 steps."""
    module = small_module("gtrxl", DISCRETE)
    recording = acted(module, 40)
    done = []
    norms = sensitivity(Replay(module, recording), "action", range(40), done.append)
    assert sum(done) == 40
    assert len(done) > 1
    ages = np.arange(40)[:, None] - np.arange(40)
    assert not norms[(ages < 0) | (ages > 8)].any()
    assert (norms[(ages >= 0) & (ages <= 4)] > 0).all()
    some = sensitivity(Replay(module, recording), "action", [5, 37])
    np.testing.assert_allclose(some, norms[[5, 37]], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    "observations", [gym.spaces.Box(0, 255, (20, 20, 3), np.uint8), gym.spaces.Discrete(5)], ids=["image", "Discrete"]
)
def test_observations_without_a_gradient_are_taken_as_encoded(observations):
    module = small_module("agalite", DISCRETE, observations)
    recording = acted(module, 6)
    replay = Replay(module, recording)
    reading = replay.read(3, 5)
    (features,) = reading.inputs
    assert features.shape[:2] == (3, 5)
    assert reading.logits.shape == (3, 5, 4)
    assert reading.values.shape == (3, 5)
    torch.testing.assert_close(reading.logits[1], recording.logits[:5], rtol=1e-4, atol=1e-5)
    # Tokenizers answer for themselves again.
    out = module.forward_train(recording.batch)
    torch.testing.assert_close(out[Columns.ACTION_DIST_INPUTS][0], recording.logits, rtol=1e-4, atol=1e-5)
    assert sensitivity(replay, "action", [5])[0, 5] > 0


def test_actions_without_a_single_output_are_refused():
    space = gym.spaces.Tuple((gym.spaces.Discrete(2), BOX))
    with pytest.raises(SettingsError, match=r"--of action: actions of Tuple spaces .* should be 'value'"):
        chosen_outputs(space, torch.zeros(1, 2, 6), tree.map_structure(np.asarray, (0, 0)))
