"""What an agent would have done if it had seen something else, against agents of which that is known."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from ray.rllib.core.columns import Columns
from torch import nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.inspection import counterfactual as counterfactual_module
from rllib_recattn.experiment.inspection.counterfactual import counterfactual, replaced_steps
from rllib_recattn.experiment.inspection.distance import action_distance
from rllib_recattn.experiment.inspection.recording import Recording
from rllib_recattn.experiment.inspection.replacements import Replacements
from rllib_recattn.experiment.inspection.replay import Replay
from rllib_recattn.experiment.inspection.sensitivity import sensitivity
from tests.experiment.inspection.episodes import acted, small_module

DISCRETE = gym.spaces.Discrete(4)
MULTI = gym.spaces.MultiDiscrete([2, 3])
BOX = gym.spaces.Box(-2, 2, (2,), np.float32)
N_STEPS = 12


class Known(nn.Module):
    """An agent that goes where the first observation says (or the present one), and is very sure of it."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, looks_at_the_first):
        super().__init__()
        self.looks_at_the_first = looks_at_the_first

    def forward_train(self, batch):
        observations = batch[Columns.OBS]
        seen = observations[:, :1].expand_as(observations) if self.looks_at_the_first else observations
        side = torch.tanh(10 * seen[..., 0])
        return {Columns.ACTION_DIST_INPUTS: torch.stack([40 * side, -40 * side], dim=-1)}


def replay_of(module, observations):
    """An episode of a known agent, that has no state."""
    observations = torch.as_tensor(observations, dtype=torch.float32)[None]
    batch = {Columns.OBS: observations, Columns.STATE_IN: torch.zeros(1, 1)}
    logits = module.forward_train(batch)[Columns.ACTION_DIST_INPUTS][0]
    n_steps = len(logits)
    return Replay(
        module,
        Recording(batch, torch.zeros(n_steps, 1), logits, logits.argmax(-1).numpy(), np.zeros(n_steps), [], [], None),
    )


def episode(cue, black_after=3):
    """A cue in the first number of the first step, then noise that tells nothing, then black frames."""
    observations = np.zeros((N_STEPS, 3), np.float32)
    observations[0, 0] = cue
    observations[1:black_after] = np.random.default_rng(int(cue * 10) + 100).normal(size=(black_after - 1, 3))
    return observations


def others(*observations):
    return [torch.as_tensor(each)[None] for each in observations]


def moved_by(replay, replacements):
    return counterfactual(replay, "action", range(N_STEPS), replacements)


def test_of_a_saturated_agent_the_cue_is_named_where_the_gradient_says_nothing():
    replay = replay_of(Known(looks_at_the_first=True), episode(1.0))
    gradients = sensitivity(replay, "action", range(N_STEPS))
    assert gradients.max() < 1e-5, "the softmax and the tanh before it are saturated"
    found = moved_by(replay, Replacements(replay.recording.batch[Columns.OBS], others(episode(-1.0), episode(-0.9))))
    assert found.measure == "total variation"
    np.testing.assert_allclose(found.of(0), 1.0, atol=1e-6)
    assert np.nanmax(found.moved[1:]) < 1e-6
    assert found.strongest()[0] == 0
    assert found.strongest()[2] == pytest.approx(1.0)
    assert found.n_replacements == (2,) * 3 + (0,) * 9, "all of the black frames are the same"


@pytest.mark.parametrize("source", ["episodes", "zeros"])
def test_black_frames_and_noise_that_do_not_matter_show_nothing(source):
    replay = replay_of(Known(looks_at_the_first=True), episode(1.0))
    found = moved_by(replay, Replacements(replay.recording.batch[Columns.OBS], others(episode(-1.0)), source))
    assert np.nanmax(found.moved[1:]) < 1e-6
    assert found.of(0).min() > 0.49, "without any cue the agent does not know"


def test_an_agent_without_memory_owes_nothing_to_the_past():
    replay = replay_of(Known(looks_at_the_first=False), episode(1.0, black_after=N_STEPS))
    replacements = Replacements(replay.recording.batch[Columns.OBS], others(-episode(1.0, black_after=N_STEPS)))
    found = moved_by(replay, replacements)
    np.testing.assert_allclose(np.diag(found.moved), 1.0, atol=1e-6)
    assert np.nanmax(found.moved[np.triu_indices(N_STEPS, 1)]) < 1e-6
    assert np.isnan(found.moved[np.tril_indices(N_STEPS, -1)]).all()


def test_the_cue_of_others_counts_only_where_it_differs():
    replay = replay_of(Known(looks_at_the_first=True), episode(1.0))
    mixed = others(episode(1.0), episode(-1.0), episode(1.0))
    found = moved_by(replay, Replacements(replay.recording.batch[Columns.OBS], mixed))
    assert found.n_replacements[0] == 1
    np.testing.assert_allclose(found.of(0), 1.0, atol=1e-6)


def acted_with(module, recording, step, observation, of):
    """Act step by step with one observation changed; returns the parameters of the actions, or the values."""
    state, outputs = recording.batch[Columns.STATE_IN], []
    for t, seen in enumerate(recording.batch[Columns.OBS].unbind(1)):
        batch = {Columns.OBS: (observation if t == step else seen)[:, None], Columns.STATE_IN: state}
        with torch.no_grad():
            out = module.forward_train(batch)
            values = module.compute_values(batch, out[Columns.EMBEDDINGS])
        state = out[Columns.STATE_OUT]
        outputs.append(values[0] if of == "value" else out[Columns.ACTION_DIST_INPUTS][0])
    return torch.cat(outputs)


@pytest.mark.parametrize(
    ("model", "actions", "of", "settings"),
    [
        ("agalite", DISCRETE, "action", {}),
        ("agalite", MULTI, "action", {}),
        ("agalite", BOX, "action", {"vf_share_layers": False}),
        ("agalite", DISCRETE, "value", {"vf_share_layers": False}),
        ("gtrxl", DISCRETE, "action", {}),
        ("rate", BOX, "value", {}),
        ("stock", DISCRETE, "action", {}),
    ],
)
def test_it_is_what_acting_step_by_step_would_have_come_to(model, actions, of, settings, monkeypatch):
    monkeypatch.setattr(counterfactual_module, "_TOKENS_AT_ONCE", 45)  # several steps at once, and steps cut in two
    module = small_module(model, actions, **settings)
    recording = acted(module, 9)
    generator = torch.Generator().manual_seed(2)
    elsewhere = [torch.rand(1, n_steps, 3, generator=generator) for n_steps in (9, 9, 6)]
    steps, done = [0, 2, 5, 7], []
    replacements = Replacements(recording.batch[Columns.OBS], elsewhere)
    found = counterfactual(Replay(module, recording), of, steps, replacements, done.append)
    assert sum(done) == len(steps)
    assert found.n_replacements == (3, 3, 3, 2)
    whole = acted_with(module, recording, -1, None, of)
    for step, moved in zip(steps, found.moved, strict=True):
        distances = []
        for other in (each for each in elsewhere if each.shape[1] > step):
            changed = acted_with(module, recording, step, other[:, step], of)
            distances.append((changed - whole).abs() if of == "value" else action_distance(actions, changed, whole))
        expected = torch.stack(distances).mean(0).numpy()
        np.testing.assert_allclose(moved[step:], expected[step:], rtol=1e-3, atol=1e-5)
        assert np.isnan(moved[:step]).all()
    assert np.nanmax(found.moved) > 1e-3  # what is compared is not all zero


def test_a_window_that_closes():
    """GTrXL with two layers and M = 4 cannot see farther back than 8 steps."""
    module = small_module("gtrxl", DISCRETE)
    recording = acted(module, 30)
    elsewhere = [torch.rand(1, 30, 3)]
    found = counterfactual(
        Replay(module, recording), "action", range(30), Replacements(recording.batch[Columns.OBS], elsewhere)
    )
    ages = np.arange(30) - np.arange(30)[:, None]
    assert np.nanmax(found.moved[ages > 8]) < 1e-6
    assert (found.moved[(ages >= 0) & (ages <= 4)] > 0).all()


def test_images_are_replaced_before_they_are_encoded():
    module = small_module("agalite", DISCRETE, gym.spaces.Box(0, 255, (20, 20, 3), np.uint8))
    recording = acted(module, 5)
    black = Replacements(recording.batch[Columns.OBS], [], "zeros")
    found = counterfactual(Replay(module, recording), "action", [1], black)
    changed = recording.batch[Columns.OBS].clone()
    changed[:, 1] = 0
    with torch.no_grad():
        out = module.forward_train({**recording.batch, Columns.OBS: changed})[Columns.ACTION_DIST_INPUTS][0]
    expected = action_distance(DISCRETE, out, recording.logits)
    np.testing.assert_allclose(found.of(1)[1:], expected[1:], rtol=1e-3, atol=1e-5)
    assert found.n_replacements == (0,)


def test_nested_observations_differ_if_any_part_does():
    own = {"a": torch.zeros(1, 3, 2), "b": torch.zeros(1, 3, dtype=torch.long)}
    other = {"a": torch.zeros(1, 2, 2), "b": torch.tensor([[0, 1]])}
    replacements = Replacements(own, [other])
    assert replacements.of(0)[1] is False
    there, are_others = replacements.of(1)
    assert are_others
    tree.map_structure(torch.testing.assert_close, there, {"a": torch.zeros(1, 1, 2), "b": torch.tensor([[1]])})
    assert replacements.of(2)[1] is False, "the other episode has ended"
    with pytest.raises(SettingsError, match="replace_with = 'noise': should be 'episodes' or 'zeros'"):
        Replacements(own, [other], "noise")


def test_of_long_episodes_some_steps_are_replaced_the_cue_among_them():
    assert replaced_steps(100, 8, 0) == list(range(100))
    long = replaced_steps(5000, 8, 7)
    assert 7 in long
    assert {0, 4999} <= set(long)
    assert len(long) * 8 * 5000 <= 1.1 * counterfactual_module.MAX_TOKENS
    assert replaced_steps(10**6, 8, 3) == [0, 3]
