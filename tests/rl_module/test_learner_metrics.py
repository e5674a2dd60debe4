"""What learners report about recurrent modules, counted by hand."""

from __future__ import annotations

import pickle

import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.models.base import ACTOR, CRITIC
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.models.parts.blocks import GRUGate
from rllib_recattn.rl_module.encoder import STATE
from rllib_recattn.rl_module.learner_metrics import _gate_openness
from tests.rl_module.small_agents import CONFIGS, small_config

MAX_SEQ_LEN = 7


def report(**settings):
    """A learner's report on an update with an EnvRunner's second fragment, and the batch that it made of it."""
    config = small_config(max_seq_len=MAX_SEQ_LEN, pack_rows=False, **settings)
    runner = SingleAgentEnvRunner(config=config)
    try:
        _, chunks = (runner.sample(num_timesteps=60) for _ in range(2))
        learner = config.build_learner(spaces=runner.get_spaces())
    finally:
        runner.stop()
    shipped = pickle.dumps([chunk.to_numpy() for chunk in chunks])
    batch = learner._learner_connector(
        rl_module=learner.module, batch={}, episodes=pickle.loads(shipped), shared_data={}
    )[DEFAULT_MODULE_ID]
    # Not the update of IMPALA's learner, which hands batches to a thread.
    results = Learner.update(learner, episodes=pickle.loads(shipped), timesteps={})
    return results[DEFAULT_MODULE_ID].get("recattn"), batch


@pytest.mark.parametrize("algorithm", CONFIGS)
@pytest.mark.parametrize("sparse_states", [True, False], ids=["sparse", "dense"])
def test_an_update_is_reported(algorithm, sparse_states, vf_share_layers):
    metrics, batch = report(algorithm=algorithm, sparse_states=sparse_states, vf_share_layers=vf_share_layers)
    rows, steps = len(batch[Columns.LOSS_MASK]), int(batch[Columns.LOSS_MASK].sum())
    states = batch[Columns.STATE_IN]
    state = states[STATE] if vf_share_layers else torch.cat([states[ACTOR][STATE], states[CRITIC][STATE]], dim=1)
    carried = rows if sparse_states else steps
    norms = [row.norm() for row in state if row.any()]
    assert 0 < len(norms) < rows
    assert metrics["padding_share"].peek() == pytest.approx(1 - steps / (rows * MAX_SEQ_LEN))
    assert metrics["state_bytes_per_step"].peek() == pytest.approx(carried * 4 * state.shape[1] / steps)
    assert metrics["state_norm"].peek() == pytest.approx(float(torch.stack(norms).mean()), rel=1e-5)


def test_no_state_norm_is_reported_where_all_rows_start_an_episode():
    config = small_config(max_seq_len=MAX_SEQ_LEN)
    runner = SingleAgentEnvRunner(config=config)
    try:
        chunks = runner.sample(num_timesteps=3 * (MAX_SEQ_LEN - 1))
        learner = config.build_learner(spaces=runner.get_spaces())
    finally:
        runner.stop()
    results = learner.update(episodes=pickle.loads(pickle.dumps(chunks)), timesteps={})
    assert results[DEFAULT_MODULE_ID]["recattn"].keys() == {"padding_share", "state_bytes_per_step", "gate_openness"}


def test_the_openness_of_gates_is_the_mean_of_their_updates_over_the_steps():
    config = small_config(max_seq_len=MAX_SEQ_LEN)
    runner = SingleAgentEnvRunner(config=config)
    learner = config.build_learner(spaces=runner.get_spaces())
    runner.stop()
    module = learner.module[DEFAULT_MODULE_ID]
    gates = [gate for gate in module.modules() if isinstance(gate, GRUGate)]
    assert gates
    for number, gate in enumerate(gates):
        gate.last_update = torch.full((2, 3, 4), float(number))
        gate.last_update[1] = 100.0  # padding
    mask = torch.tensor([[True, True, True], [False, False, False]])
    assert _gate_openness(module, mask) == pytest.approx((len(gates) - 1) / 2)
    assert _gate_openness(torch.nn.GRU(2, 2), mask).isnan()


def test_the_openness_starts_where_the_bias_puts_it():
    # σ(−2) where nothing speaks for or against; a gate's inputs do.
    assert report()[0]["gate_openness"].peek() == pytest.approx(0.12, abs=0.08)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_nothing_is_reported_when_switched_off(algorithm):
    assert report(algorithm=algorithm, report_metrics=False)[0] is None
