"""The first steps of rows that continue an episode have no loss; everything else stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from tests.rl_module.packing.agents import MAX_SEQ_LEN, Outcome, packing_config, sample
from tests.rl_module.small_agents import CONFIGS, small_stock_config

BURN_IN = 3


def outcomes(algorithm, **settings):
    """Learners with the same weights on the same chunks: stock rows without and with burn-in, packed with burn-in."""
    chunks, spaces = sample(packing_config(algorithm, "gru", **settings))
    for pack_rows, burn_in in ((False, 0), (False, BURN_IN), (True, BURN_IN)):
        config = packing_config(algorithm, "gru", pack_rows=pack_rows, burn_in=burn_in, **settings)
        yield Outcome(config, chunks, spaces)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_only_the_first_steps_of_continuing_rows_lose_their_loss(algorithm):
    without, with_burn_in, _ = (outcome.batches["default_policy"] for outcome in outcomes(algorithm))
    continues = without[Columns.STATE_IN]["state"].any(1)
    assert 10 < continues.sum() < len(continues) - 10
    mask = without[Columns.LOSS_MASK].clone()
    mask[continues, :BURN_IN] = False
    assert mask.sum() < without[Columns.LOSS_MASK].sum() - 20
    torch.testing.assert_close(with_burn_in[Columns.LOSS_MASK], mask)
    for name, column in without.items():
        if name not in (Columns.LOSS_MASK, Columns.STATE_IN):
            torch.testing.assert_close(with_burn_in[name], column, rtol=0, atol=0)
    assert (Postprocessing.ADVANTAGES in with_burn_in) == (algorithm == "PPO")


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_packed_rows_have_the_same_burn_in(algorithm, vf_share_layers):
    without, stock, packed = outcomes(algorithm, vf_share_layers=vf_share_layers)
    packed.assert_equal(stock)
    assert abs(stock.losses["default_policy"] - without.losses["default_policy"]) > 1e-4
    assert len(stock.steps()) < len(without.steps())


def test_without_a_state_there_is_nothing_to_warm_up():
    chunks, spaces = sample(packing_config("PPO", "memoryless"))
    without, with_burn_in = (
        Outcome(packing_config("PPO", "memoryless", burn_in=burn_in, pack_rows=False), chunks, spaces)
        for burn_in in (0, BURN_IN)
    )
    np.testing.assert_array_equal(with_burn_in.steps(), without.steps())
    assert len(without.steps()) > 100


def test_the_state_is_warmed_up_by_steps_without_loss():
    """With the burn-in the loss depends on the observations in it, and their state, but on no action there."""
    chunks, spaces = sample(packing_config("PPO", "gru"))
    outcome = Outcome(packing_config("PPO", "gru", burn_in=BURN_IN), chunks, spaces)
    batch = dict(outcome.batches["default_policy"])
    mask, continues = batch[Columns.LOSS_MASK], batch[Columns.STATE_IN]["state"].any(1)
    rows = continues & mask[:, BURN_IN]
    assert rows.any()
    assert not mask[rows, :BURN_IN].any()

    def loss(**changes):
        batches = {"default_policy": {**batch, **changes}}
        out = outcome.learner.module.forward_train(batches)
        return outcome.learner.compute_losses(fwd_out=out, batch=batches)["default_policy"].item()

    observations, advantages = batch[Columns.OBS].clone(), batch[Postprocessing.ADVANTAGES].clone()
    observations[rows, 0] += 1
    advantages[rows, :BURN_IN] += 100
    assert loss(**{Columns.OBS: observations}) != loss()
    assert loss(**{Postprocessing.ADVANTAGES: advantages}) == loss()


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_agents_train_with_it(ray_session, algorithm):
    config = small_stock_config(algorithm)
    algo = ra.use_model(config, "gru", d_model=8, max_seq_len=7, burn_in=3).build_algo()
    try:
        results = [algo.train() for _ in range(3)]
    finally:
        algo.stop()
    losses = [
        result["learners"]["default_policy"]["total_loss"]
        for result in results
        if "default_policy" in result.get("learners", {})
    ]
    assert losses
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"burn_in": 8, "max_seq_len": 8}, "burn_in = 8: should be less than max_seq_len = 8"),
        ({"burn_in": -1}, "burn_in = -1: input should be greater than or equal to 0"),
        ({"burn_in": 2.0}, "burn_in = 2.0: input should be a valid integer"),
        ({"pack_rows": 1}, "pack_rows = 1: input should be a valid boolean"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        ra.use_model(small_stock_config(), "gru", **settings)


def test_the_settings_are_in_model_config():
    config = ra.use_model(small_stock_config(), "gru", max_seq_len=MAX_SEQ_LEN, burn_in=7, pack_rows=False)
    training = config.model_config["recattn_training"]
    assert (training["burn_in"], training["pack_rows"]) == (7, False)
