"""`rllib evaluate` and `rllib inspect` play with masks, in an environment that raises on a forbidden action."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.inspection.inspect import inspect_checkpoint
from tests.agents.checkpoints import save
from tests.masks.small import masked


@pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")
def test_what_is_evaluated_and_inspected_is_masked(ray_session: None, tmp_path: Path) -> None:
    checkpoint = save(masked(), tmp_path, iterations=1)
    evaluation = evaluate_checkpoint(checkpoint, episodes=3, seed=3, explore=True)
    assert [episode.length for episode in evaluation.episodes] == [9, 9, 9]
    inspection = inspect_checkpoint(checkpoint, seed=3, explore=True, episodes=1)
    recording = inspection.recording
    masks = np.stack([observation["action_mask"] for observation in recording.observations])[:9]
    probabilities = recording.logits[: len(masks)].softmax(-1).numpy()
    assert (probabilities[masks == 0] == 0).all()
    assert (probabilities[masks == 1] > 0).all()
