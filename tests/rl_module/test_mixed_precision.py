"""PPO under `torch.autocast`, with the backward pass and the optimizer's step within it, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

import rllib_recattn as ra
from rllib_recattn.models.registry import model_names, settings_of
from rllib_recattn.rl_module.learner import RecAttnPPOLearner
from tests.models.conftest import SMALL
from tests.rl_module.small_agents import small_stock_config


class HalfPrecisionLearner(RecAttnPPOLearner):
    """What a user writes who wants mixed precision."""

    def _uncompiled_update(self, batch: dict[str, Any], **kwargs: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super()._uncompiled_update(batch, **kwargs)


def first_iteration(model: str, learner_class: type[RecAttnPPOLearner]) -> dict[str, float]:
    sizes = {key: value for key, value in SMALL.items() if key in settings_of(model).model_fields}
    config = small_stock_config().training(num_epochs=1, minibatch_size=120).learners(learner_class=learner_class)
    algorithm = ra.use_model(config, model, max_seq_len=7, **sizes).build_algo()
    try:
        return algorithm.train()["learners"][DEFAULT_MODULE_ID]
    finally:
        algorithm.stop()


# tests/models/test_mixed_precision.py asks more of each model by itself.
TRIED = ("agalite", "gated_delta_net", "gtrxl", "lstm")


@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=[] if name in TRIED else [pytest.mark.slow]) for name in model_names()]
)
def test_an_update_is_that_of_float32_within_the_tolerance(ray_session, model):
    exact, half = (first_iteration(model, learner) for learner in (RecAttnPPOLearner, HalfPrecisionLearner))
    for metric in ("total_loss", "policy_loss", "vf_loss", "entropy"):
        np.testing.assert_allclose(half[metric], exact[metric], rtol=0.05, atol=0.02, err_msg=metric)
    assert half["entropy"] != exact["entropy"]
