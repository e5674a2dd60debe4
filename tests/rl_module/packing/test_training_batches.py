"""A learner gets the same advantages, losses and gradients from packed rows as from RLlib's, with less padding."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.core.models.base import ACTOR, CRITIC
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.policy.sample_batch import MultiAgentBatch

import rllib_recattn as ra
from rllib_recattn.inputs.input_settings import WITHOUT_MLP
from rllib_recattn.models.registry import model_names
from rllib_recattn.rl_module.packing.rows import IS_FIRST
from tests.rl_module.packing.agents import LENGTHS, MAX_SEQ_LEN, Outcome, packing_config, sample
from tests.rl_module.small_agents import CONFIGS
from tests.rl_module.sparse_states.multi_agent import MAX_SEQ_LEN as MAX_SEQ_LENS
from tests.rl_module.sparse_states.multi_agent import SKIPPING, crowd_config

MODELS = model_names()


def outcomes(*args, **settings):
    """What learners with the same weights make of the same chunks in packed rows, and in RLlib's."""
    chunks, spaces = sample(packing_config(*args, **settings))
    return [
        Outcome(packing_config(*args, pack_rows=pack_rows, **settings), chunks, spaces) for pack_rows in (True, False)
    ]


def continues(batch):
    """Which rows go on with an episode [B]."""
    states = batch[Columns.STATE_IN]
    states = torch.cat(
        [*states.values()] if ACTOR not in states else [*states[ACTOR].values(), *states[CRITIC].values()], 1
    )
    return states.any(1)


@pytest.mark.parametrize(
    ("model", "vf_share_layers"), [("gru", False), *((model, model != "agalite") for model in MODELS)]
)
def test_ppo(model, vf_share_layers):
    packed, stock = outcomes("PPO", model, vf_share_layers=vf_share_layers, use_prev_action=True, use_prev_reward=True)
    packed.assert_equal(stock)
    rows, stock_rows = packed.batches["default_policy"], stock.batches["default_policy"]
    assert IS_FIRST in rows
    assert IS_FIRST not in stock_rows
    behind_others = rows[IS_FIRST].sum(1)
    # Without a state no row goes on with anything.
    assert (behind_others[continues(rows)] > 0).any() or model == "memoryless", (
        "nothing stands behind the end of an episode that went on"
    )
    assert behind_others.max() > 1
    assert len(rows[Columns.LOSS_MASK]) < 0.75 * len(stock_rows[Columns.LOSS_MASK])
    assert packed.padding_share() < 0.1 < 0.35 < stock.padding_share()


@pytest.mark.parametrize("max_seq_len", [1, 2, 7, 9, 21, 64])
def test_rows_of_any_length(max_seq_len):
    packed, stock = outcomes("PPO", "gru", max_seq_len=max_seq_len)
    packed.assert_equal(stock)
    assert packed.padding_share() <= stock.padding_share()


@pytest.mark.parametrize("separate", [False, True])
def test_the_values_for_the_advantages_are_computed_on_packed_rows(separate):
    n_rows = {}
    for pack_rows in (True, False):
        config = packing_config("PPO", "gru", pack_rows=pack_rows, vf_share_layers=not separate)
        chunks, spaces = sample(config)
        learner = config.build_learner(spaces=spaces)
        encoder = learner.module["default_policy"].encoder
        model = (encoder.critic_encoder if separate else encoder.encoder).model
        seen = []
        model.register_forward_pre_hook(lambda model, args, seen=seen: seen.append(len(args[0])))
        batch = learner._learner_connector(
            rl_module=learner.module, batch={}, episodes=pickle.loads(chunks), shared_data={}
        )["default_policy"]
        assert len(seen) == 1
        n_rows[pack_rows] = seen[0]
        assert len(batch[Columns.LOSS_MASK]) == len(batch[Columns.SEQ_LENS]), "the connectors' rows are RLlib's"
        assert IS_FIRST not in batch
    assert n_rows[False] == len(batch[Columns.LOSS_MASK])
    assert n_rows[True] < 0.75 * n_rows[False]


@pytest.mark.parametrize("algorithm", ["APPO", "IMPALA"])
@pytest.mark.parametrize("fixes", [None, {"vtrace_bootstrap": False}], ids=["mended", "stock V-trace"])
@pytest.mark.parametrize("max_seq_len", [MAX_SEQ_LEN, 21])
def test_v_trace_does_not_run_into_the_chunk_before(algorithm, fixes, max_seq_len):
    vf_share_layers = (algorithm == "APPO") ^ (fixes is None) ^ (max_seq_len == MAX_SEQ_LEN)  # with any two of them
    settings = {"rllib_fixes": fixes, "max_seq_len": max_seq_len, "vf_share_layers": vf_share_layers}
    packed, stock = outcomes(algorithm, "agalite", **settings)
    packed.assert_equal(stock)
    assert packed.padding_share() < 0.75 * stock.padding_share()


@pytest.mark.parametrize("model", MODELS)
def test_impala_with_every_model(model):
    packed, stock = outcomes("IMPALA", model, use_prev_action=True)
    packed.assert_equal(stock)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_states_in_columns(algorithm):
    packed, stock = outcomes(algorithm, "gru", sparse_states=False)
    packed.assert_equal(stock)
    assert packed.padding_share() < stock.padding_share()


@pytest.mark.parametrize("algorithm", ["PPO", "IMPALA"])
def test_each_policy_of_several(algorithm):
    config = crowd_config(algorithm, agents=SKIPPING, length=13, num_envs=3)
    plain = copy.deepcopy(config)
    for policy, max_seq_len in MAX_SEQ_LENS.items():
        settings = {"max_seq_len": max_seq_len, "d_model": 8, "pack_rows": False}
        ra.use_model(plain, "gru", policies=[policy], encoder=WITHOUT_MLP, **settings)
    if algorithm == "PPO":
        for each in (config, plain):
            each.training(minibatch_size=None)
    chunks, spaces = sample(config, MultiAgentEnvRunner, fragments=3)
    packed, stock = Outcome(config, chunks, spaces), Outcome(plain, chunks, spaces)
    packed.assert_equal(stock)
    assert packed.batches.keys() == {*MAX_SEQ_LENS, "plain"}
    for policy in MAX_SEQ_LENS:
        assert IS_FIRST in packed.batches[policy]
        assert packed.padding_share(policy) < stock.padding_share(policy)
    assert IS_FIRST not in packed.batches["plain"]


def test_minibatches_have_the_steps_that_minibatch_size_says():
    config = packing_config("PPO", "gru", minibatch_size=24)
    chunks, spaces = sample(config)
    seen = {}
    for pack_rows in (True, False):
        learner = packing_config("PPO", "gru", minibatch_size=24, pack_rows=pack_rows).build_learner(spaces=spaces)
        minibatches = []
        compute_loss = learner.compute_loss_for_module

        def spy(*, batch, compute_loss=compute_loss, minibatches=minibatches, **kwargs):
            minibatches.append(batch)
            return compute_loss(batch=batch, **kwargs)

        learner.compute_loss_for_module = spy
        learner.update(
            episodes=pickle.loads(chunks), timesteps={}, minibatch_size=24, num_epochs=4, shuffle_batch_per_epoch=True
        )
        seen[pack_rows] = minibatches
    assert all(batch[IS_FIRST].shape == batch[Columns.LOSS_MASK].shape for batch in seen[True])
    n_steps = {pack_rows: [int(b[Columns.LOSS_MASK].sum()) for b in batches] for pack_rows, batches in seen.items()}
    assert sum(n_steps[True]) == pytest.approx(sum(n_steps[False]), rel=0.1)
    assert 0.6 * 24 < np.mean(n_steps[False]) < 0.9 * 24 < np.mean(n_steps[True]) <= 24


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_a_packed_batch_is_not_packed_again(algorithm):
    """IMPALA's learner makes a batch, hands it to its thread, and there makes a batch of it."""
    config = packing_config(algorithm, "gru", burn_in=2)
    chunks, spaces = sample(config)
    outcome = Outcome(config, chunks, spaces)
    batch = MultiAgentBatch(outcome.batches, env_steps=17)
    again = outcome.learner._make_batch_if_necessary(TrainingData(batch=batch))
    assert again.env_steps() == 17
    assert again.policy_batches["default_policy"] is outcome.batches["default_policy"]


def test_a_whole_update_of_impalas_learner_reports_the_packed_share():
    config = packing_config("IMPALA", "agalite")
    chunks, spaces = sample(config)
    shares = {}
    for pack_rows in (True, False):
        outcome = Outcome(packing_config("IMPALA", "agalite", pack_rows=pack_rows), chunks, spaces)
        results = Learner.update(outcome.learner, episodes=pickle.loads(chunks), timesteps={})
        shares[pack_rows] = results["default_policy"]["recattn"]["padding_share"].peek()
        assert shares[pack_rows] == pytest.approx(outcome.padding_share())
    assert shares[True] < 0.75 * shares[False]


def test_rows_that_all_continue_are_left_alone():
    config = packing_config("IMPALA", "gru", lengths=(10_000,))
    _, spaces = sample(config, fragments=1)
    chunks = pickle.dumps(pickle.loads(sample(config)[0])[3:])
    batch = Outcome(config, chunks, spaces).batches["default_policy"]
    assert IS_FIRST not in batch
    assert continues(batch).all()


def test_a_column_that_cannot_be_moved_keeps_rlibs_rows():
    config = packing_config("PPO", "gru")
    chunks, spaces = sample(config)
    outcome = Outcome(packing_config("PPO", "gru", pack_rows=False), chunks, spaces)
    packing = config.build_learner(spaces=spaces)
    columns = outcome.batches["default_policy"]
    columns["of another shape"] = torch.zeros(len(columns[Columns.LOSS_MASK]))
    batch = MultiAgentBatch({"default_policy": columns}, env_steps=len(LENGTHS))
    assert packing._make_batch_if_necessary(TrainingData(batch=batch)).policy_batches["default_policy"] is columns
