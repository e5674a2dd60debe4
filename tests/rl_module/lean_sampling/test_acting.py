"""Actions are drawn as RLlib draws them."""

from __future__ import annotations

import pytest
import torch
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical

from rllib_recattn.rl_module.lean_sampling.acting import draw


@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (32, 1, 4), (3, 1, 1)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_actions_and_log_probabilities_are_those_of_rllibs_distribution_and_of_its_random_numbers(shape, scale):
    logits = scale * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    distribution = TorchCategorical.from_logits(logits)
    torch.manual_seed(0)
    for _ in range(3):
        state = torch.get_rng_state()
        drawn = draw(logits)
        after = torch.get_rng_state()
        torch.set_rng_state(state)
        actions = distribution.sample()
        assert torch.equal(drawn["actions"], actions)
        assert drawn["actions"].dtype == actions.dtype
        assert torch.equal(drawn["action_logp"], distribution.logp(actions))
        assert torch.equal(torch.get_rng_state(), after)
