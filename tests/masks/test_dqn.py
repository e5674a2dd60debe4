"""Recurrent DQN with action masks: neither its actions nor its targets are forbidden ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.dqn.default_dqn_rl_module import QF_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.core.columns import Columns

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.masks import FORBIDDEN
from rllib_recattn.rl_module.q_learning.learner import RecAttnDQNLearner
from tests.masks.illegal import Illegal


class SpyLearner(RecAttnDQNLearner):
    """Remembers what its losses were computed of."""

    seen: tuple[tuple[Any, Any, float], ...] = ()

    def compute_loss_for_module(self, *, module_id: str, config: Any, batch: Any, fwd_out: Any) -> Any:
        loss = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        self.seen = (*self.seen, (batch, dict(fwd_out), float(loss.detach())))
        return loss


def masked_dqn(epsilon: float = 0.5, **env_config: Any) -> DQNConfig:
    config = (
        DQNConfig()
        .environment(Illegal, env_config=env_config)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=3, rollout_fragment_length=5)
        .training(
            train_batch_size=8,
            num_steps_sampled_before_learning_starts=60,
            epsilon=epsilon,
            target_network_update_freq=50,
        )
        .learners(num_learners=0)
        .debugging(seed=0, log_level="ERROR")
        .reporting(min_sample_timesteps_per_iteration=100)
    )
    return ra.use_model(config, "gru", max_seq_len=7, burn_in=2, d_model=8, action_mask="action_mask")


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_no_forbidden_action_is_taken(ray_session: None, epsilon: float) -> None:
    algo = masked_dqn(epsilon).training(learner_class=SpyLearner).build_algo()
    try:
        for _ in range(5):
            result = algo.train()
        assert result["env_runners"]["num_env_steps_sampled_lifetime"] >= 400
        learner = algo.learner_group._learner
        assert len(learner.seen) > 10
        for batch, outputs, loss in learner.seen:
            mask = batch[Columns.OBS]["action_mask"]
            forbidden = (mask == 0) & mask.any(-1, keepdim=True)
            assert forbidden.any()
            for q_values in (outputs[QF_PREDS], outputs[QF_TARGET_NEXT_PREDS]):
                assert (q_values[forbidden] == FORBIDDEN).all()
                assert (q_values[~forbidden].abs() < 100).all()
            assert math.isfinite(loss)
            assert loss < 100, "a target was made of a forbidden action"
    finally:
        algo.stop()


def test_random_actions_are_drawn_from_all_that_are_allowed(ray_session: None) -> None:
    algo = masked_dqn(1.0).build_algo()
    module = algo.env_runner.module
    mask = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 1, 0, 0]]).repeat(300, 1)
    batch = {
        Columns.OBS: {"action_mask": mask[:, None].float(), "clock": torch.zeros(600, 1, 2)},
        Columns.STATE_IN: {key: torch.zeros(600, *value.shape) for key, value in module.get_initial_state().items()},
    }
    actions = module.forward_exploration(batch, t=0)[Columns.ACTIONS].flatten()
    algo.stop()
    assert actions[1::2].unique().tolist() == [2]
    counts = actions[::2].bincount(minlength=5)
    assert counts[[0, 2]].tolist() == [0, 0]
    assert (counts[[1, 3, 4]] > 70).all()


def test_a_mask_of_zeros_names_the_environment_and_the_step(ray_session: None) -> None:
    runner = masked_dqn(dead_at=4).build_algo().env_runner
    with pytest.raises(SettingsError, match="environment 'Illegal', step 4 of an episode"):
        runner.sample(num_timesteps=60)
