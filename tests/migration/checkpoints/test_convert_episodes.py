"""A converted agent is the same agent: logits and values of whole episodes, on both stacks' own machinery."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_recattn.migration.checkpoints.convert import convert_checkpoint
from rllib_recattn.model_v2 import RecAttnModelV2
from tests.migration.checkpoints.agents import (
    assert_same_bits,
    greedy_config,
    played_on_new_stack,
    played_on_old_stack,
    trained,
    weights_of,
)
from tests.model_v2.old_stack import TINY
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS

PREVIOUS = {"use_prev_action": True, "use_prev_reward": True}
CASES = {
    **{model: {"model": model} for model in TINY},
    "agalite, own critic": {"vf_share_layers": False},
    **{f"previous {action}": {"action": ACTIONS[action], **PREVIOUS} for action in ("Box", "Dict")},
    "gtrxl, previous inputs, own critic": {"model": "gtrxl", "vf_share_layers": False, **PREVIOUS},
    **{name: {"observation": OBSERVATIONS[name]} for name in ("image 7x7", "Discrete", "Dict")},
    "free log std": {"action": ACTIONS["Box"], "model_dict": {"custom_model": RecAttnModelV2, "free_log_std": True}},
    "mlp": {"encoder": {"type": "mlp", "widths": [7, 5]}},
}
# Of the others, the same weights say it.
PLAYED_AGAIN = {"agalite", "gtrxl, previous inputs, own critic", "Dict", "free log std", "mlp"}


# Weights are moved by their names, whatever the model; in the default tests these stand for all.
TRIED = {"agalite", "gtrxl", "lstm", "hybrid", "memoryless"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] if case in TINY.keys() - TRIED else []) for case in CASES]
)
def test_there_and_back(ray_session, tmp_path, case):
    checkpoint = trained(greedy_config(**CASES[case]), tmp_path / "old")
    new = convert_checkpoint(checkpoint, tmp_path / "new")
    before, after = played_on_old_stack(checkpoint), played_on_new_stack(new)
    assert len(before) > 1
    assert len(after) > 1
    for episode in (*before[1:], *after):
        np.testing.assert_allclose(episode.logits, before[0].logits, rtol=0, atol=1e-5)
        np.testing.assert_allclose(episode.values, before[0].values, rtol=0, atol=1e-5)
    n_changing = before[0].logits.shape[1] // (2 if case == "free log std" else 1)
    assert np.ptp(before[0].logits[:, :n_changing], axis=0).min() > 1e-3
    assert np.ptp(before[0].values) > 1e-3

    back = convert_checkpoint(new, tmp_path / "back")
    assert_same_bits(weights_of(back)["default_policy"], weights_of(checkpoint)["default_policy"])
    if case in PLAYED_AGAIN:
        again = played_on_old_stack(back)
        np.testing.assert_array_equal(again[0].logits, before[0].logits)
        np.testing.assert_array_equal(again[0].values, before[0].values)
