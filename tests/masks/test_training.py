"""Agents that train, and act, in environments that raise on a forbidden action."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.encoder import TorchRecAttnEncoder
from tests.masks.illegal import IllegalForTwo
from tests.masks.small import masked, stock

pytestmark = pytest.mark.usefixtures("ray_session")


def losses_of(result: dict[str, Any], policy: str = "default_policy") -> list[float]:
    learnt = result["learners"][policy]
    return [float(learnt[key]) for key in ("total_loss", "entropy", "mean_kl_loss", "vf_loss") if key in learnt]


@pytest.mark.parametrize("algorithm", ["PPO", pytest.param("APPO", marks=pytest.mark.slow), "IMPALA"])
@pytest.mark.parametrize(
    ("use", "env_config"),
    [
        ({}, {}),
        pytest.param({"burn_in": 2, "vf_share_layers": False}, {"sizes": [4, 3]}, marks=pytest.mark.slow),
        pytest.param({"pack_rows": False, "use_prev_action": True}, {"binary": False}, marks=pytest.mark.slow),
        pytest.param({"lean_sampling": False, "action_mask_as_input": True}, {}, marks=pytest.mark.slow),
    ],
)
def test_no_forbidden_action_is_taken(algorithm: str, use: dict[str, Any], env_config: dict[str, Any]) -> None:
    algo = masked(algorithm, use=use, **env_config).build_algo()
    try:
        for _ in range(10):
            result = algo.train()
        assert result["env_runners"]["num_env_steps_sampled_lifetime"] >= 1000
        assert result["env_runners"]["lean_sampling"] == float(use.get("lean_sampling", True))
        assert all(map(math.isfinite, losses_of(result)))
    finally:
        algo.stop()


def test_without_a_mask_the_environment_raises() -> None:
    config = masked(use={"action_mask": None}).environment(disable_env_checking=True)
    with pytest.raises(RuntimeError) as raised:
        config.build_algo().train()
    assert "illegal action" in str(raised.value.__cause__)


@pytest.mark.parametrize("algorithm", ["PPO", pytest.param("IMPALA", marks=pytest.mark.slow)])
def test_several_agents(algorithm: str) -> None:
    algo = masked(algorithm, IllegalForTwo, num_agents=2).build_algo()
    try:
        for _ in range(3):
            result = algo.train()
        assert all(map(math.isfinite, losses_of(result, "p0")))
    finally:
        algo.stop()


def test_lean_sampling_takes_the_same_actions() -> None:
    chunks = []
    for lean in (True, False):
        runner = masked(use={"lean_sampling": lean}).build_algo().env_runner
        torch.manual_seed(0)
        np.random.seed(0)
        chunks.append([episode for _ in range(2) for episode in runner.sample(num_timesteps=40)])
    assert len(chunks[0]) == len(chunks[1]) > 0
    for ours, theirs in zip(*chunks, strict=True):
        for column in (Columns.ACTION_LOGP, Columns.ACTION_DIST_INPUTS):
            np.testing.assert_array_equal(ours.get_extra_model_outputs(column), theirs.get_extra_model_outputs(column))
        np.testing.assert_array_equal(ours.get_actions(), theirs.get_actions())


@pytest.mark.parametrize("lean", [True, False])
def test_a_mask_of_zeros_names_the_environment_and_the_step(lean: bool) -> None:
    runner = masked(use={"lean_sampling": lean}, dead_at=4).build_algo().env_runner
    with pytest.raises(SettingsError, match="environment 'Illegal', step 4 of an episode: the mask 'action_mask'"):
        runner.sample(num_timesteps=60)


def test_a_mask_of_zeros_names_the_agent() -> None:
    runner = masked(env=IllegalForTwo, num_agents=2, dead_at=4).build_algo().env_runner
    with pytest.raises(SettingsError, match="agent 0, step 4 of an episode"):
        runner.sample(num_timesteps=60)


@pytest.mark.parametrize(("as_input", "size"), [(False, 2), (True, 7)])
def test_the_mask_is_no_input_unless_asked(as_input: bool, size: int) -> None:
    module = masked(use={"action_mask_as_input": as_input}).build_algo().env_runner.module
    encoder = module.encoder.encoder
    assert isinstance(encoder, TorchRecAttnEncoder)
    assert encoder.tokenizer.encoder.mlp[0].in_features == size
    torch.manual_seed(1)
    batch = {
        Columns.OBS: {"clock": torch.rand(2, 3, 2), "action_mask": torch.eye(5)[:3].repeat(2, 1, 1)},
        Columns.STATE_IN: {key: value[None].repeat(2, 1) for key, value in module.get_initial_state().items()},
    }
    other = {**batch, Columns.OBS: {**batch[Columns.OBS], "action_mask": torch.ones(2, 3, 5)}}
    assert torch.equal(module.compute_values(batch), module.compute_values(other)) is not as_input


@pytest.mark.parametrize("algorithm", ["PPO", "APPO", "IMPALA"])
@pytest.mark.parametrize("use", [{}, {"pack_rows": False}, {"burn_in": 2}], ids=str)
def test_what_learners_compute_is_masked_and_padding_does_no_harm(
    algorithm: str, use: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    algo = masked(algorithm, use=use).build_algo()
    learner, seen = algo.learner_group._learner, []
    compute = learner.compute_loss_for_module

    def spy(*, module_id: str, config: Any, batch: Any, fwd_out: Any) -> Any:
        loss = compute(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        parameters = [each for each in learner.module[module_id].parameters() if each.requires_grad]
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        seen.append((batch, fwd_out, loss, [each for each in gradients if each is not None]))
        return loss

    monkeypatch.setattr(learner, "compute_loss_for_module", spy)
    algo.train()
    assert seen
    padded = 0
    for batch, outputs, loss, gradients in seen:
        real = batch[Columns.LOSS_MASK]
        allowed = batch[Columns.OBS]["action_mask"] > 0
        empty = ~allowed.any(-1)
        padded += int(empty.sum())
        probabilities = torch.softmax(outputs[Columns.ACTION_DIST_INPUTS], -1)
        assert not (empty & real).any()
        assert (probabilities[~allowed & ~empty[..., None]] == 0).all()
        taken = batch[Columns.ACTIONS].long()[..., None]
        assert allowed.gather(-1, taken)[..., 0][real].all()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(each).all() for each in gradients)
    assert padded, "no row of the batches had a mask of zeros"


def test_a_filter_of_observations_is_refused() -> None:
    import rllib_recattn as ra
    from rllib_recattn.rl_module.observation_filter import filter_observations

    with pytest.raises(SettingsError, match="would normalise the mask"):
        ra.use_model(filter_observations(stock("PPO")), "gru", action_mask="action_mask")
