"""RLlib's bugs: stock RLlib shows each of them, so that a fix in Ray is noticed, and the agents of `use_model` none."""

from __future__ import annotations

import importlib
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils.numpy import convert_to_numpy

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.fixes import vtrace_bootstrap
from rllib_recattn.rl_module.recurrence import RLlibFixes
from tests.rl_module.small_agents import CONFIGS, small_config, small_stock_config

GAMMA = 0.9
MAX_SEQ_LEN = 7
ALL_OFF = dict.fromkeys(RLlibFixes.model_fields, False)
SPACES = {DEFAULT_MODULE_ID: (gym.spaces.Box(-1, 1, (4,), np.float32), gym.spaces.Discrete(2))}
CRITIC = "encoder.critic_encoder."


def config_of(algorithm, *, rllib_fixes=None, vf_share_layers=True, pack_rows=True, **training):
    config = small_config(
        algorithm=algorithm,
        max_seq_len=MAX_SEQ_LEN,
        vf_share_layers=vf_share_layers,
        pack_rows=pack_rows,
        rllib_fixes=rllib_fixes,
    )
    return config.training(gamma=GAMMA, **training)


def build_module(config):
    return config.get_rl_module_spec(spaces=SPACES).build()


# A critic's own encoder


def has_critic_encoder(state):
    return any(name.startswith(CRITIC) for name in state)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_a_critics_own_encoder_is_among_the_weights_for_env_runners(algorithm):
    module = build_module(config_of(algorithm, vf_share_layers=False))
    assert has_critic_encoder(module.get_state(inference_only=True))


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_stock_rllib_leaves_a_recurrent_critics_encoder_behind(algorithm):
    model_config = {"use_lstm": True, "max_seq_len": MAX_SEQ_LEN, "vf_share_layers": False}
    for config in (
        CONFIGS[algorithm]().rl_module(model_config=model_config),
        config_of(algorithm, vf_share_layers=False, rllib_fixes={"sync_critic_encoder": False}),
    ):
        module = build_module(config)
        assert module.is_stateful()
        assert CRITIC.removesuffix(".") in module.get_non_inference_attributes()
        assert has_critic_encoder(module.get_state())
        assert not has_critic_encoder(module.get_state(inference_only=True))


# V-trace at the ends of chunks


@pytest.fixture(scope="module")
def sampled():
    """The weights of an acting module, and chunks of episodes: ended, truncated and cut by the end of a fragment."""
    runner = SingleAgentEnvRunner(config=config_of("IMPALA"))
    try:
        with torch.no_grad():
            runner.module.vf.net.mlp[-1].bias.fill_(10)  # so that what is wrong about values shows
        chunks = [chunk for _ in range(3) for chunk in runner.sample(num_timesteps=120)]
        assert any(chunk.is_terminated for chunk in chunks)
        assert any(not chunk.is_done for chunk in chunks)
        assert any(len(chunk) % MAX_SEQ_LEN == 0 for chunk in chunks)
        yield runner.module.get_state(), [chunk.to_numpy() for chunk in chunks], runner.get_spaces()
    finally:
        runner.stop()


def copies(chunks):
    """Learners change the chunks that they get; they come to them pickled."""
    return pickle.loads(pickle.dumps(chunks))


class VTraceTargets:
    """What a learner's V-trace made of the minibatches of one update: targets, values and masks [B, T] by row."""

    def __init__(self, monkeypatch, algorithm, rllib_fixes, sampled, **training):
        weights, chunks, spaces = sampled
        config = config_of(algorithm, rllib_fixes=rllib_fixes, lr=0.0, **training)
        self.learner = config.build_learner(spaces=spaces)
        module = self.learner.module[DEFAULT_MODULE_ID]
        module.set_state(weights)
        if algorithm == "APPO":
            module.make_target_networks()
        self.batch = self.learner._learner_connector(
            rl_module=self.learner.module, batch={}, episodes=copies(chunks), shared_data={}
        )[DEFAULT_MODULE_ID]
        with torch.no_grad():
            self.values = module.compute_values(self.batch)
        self.minibatches = []
        loss_file = importlib.import_module(
            f"ray.rllib.algorithms.{algorithm.lower()}.torch.{algorithm.lower()}_torch_learner"
        )
        vtrace_torch = loss_file.vtrace_torch

        def spy(**kwargs):
            targets, advantages = vtrace_torch(**kwargs)
            self.minibatches.append(targets.T)
            return targets, advantages

        monkeypatch.setattr(loss_file, "vtrace_torch", spy)
        # What the thread calls to which IMPALA's learner hands its batches.
        Learner.update(
            self.learner,
            episodes=copies(chunks),
            timesteps={},
            num_epochs=config.num_epochs,
            minibatch_size=config.minibatch_size,
        )

    def errors(self):
        """The error of the targets of each minibatch at the steps that have a loss, with n-step returns by hand."""
        row = 0
        errors = []
        for targets in self.minibatches:
            for i, target in enumerate(targets):
                expected = self.n_step_returns(row, is_last=i == len(targets) - 1 < len(self.values) - 1)
                errors += [abs(float(target[t]) - value) for t, value in expected.items()]
                row = (row + 1) % len(self.values)
        return np.array(errors)

    def n_step_returns(self, row, is_last):
        """Step of a row → reward by reward to the end of the row's chunk, or of the row, and the value from there."""
        rewards, values = self.batch[Columns.REWARDS][row].tolist(), self.values[row].tolist()
        terminated = self.batch[Columns.TERMINATEDS][row].tolist()
        steps = int(self.batch[Columns.LOSS_MASK][row].sum())
        if steps < len(values):
            value_after = values[steps]
        elif is_last and not terminated[-1]:
            steps -= 1
            value_after = values[-1]
        else:
            value_after = float(self.values[(row + 1) % len(self.values)][0])
        expected = {}
        value = value_after
        for t in reversed(range(steps)):
            value = rewards[t] + GAMMA * (not terminated[t]) * value
            expected[t] = value
        return expected


@pytest.mark.parametrize("algorithm", ["APPO", "IMPALA"])
def test_value_targets_are_n_step_returns(monkeypatch, sampled, algorithm):
    errors = VTraceTargets(monkeypatch, algorithm, None, sampled).errors()
    assert len(errors) >= 300
    assert errors.max() < 1e-4


@pytest.mark.parametrize("algorithm", ["APPO", "IMPALA"])
def test_stock_rllib_loses_the_value_at_the_ends_of_chunks(monkeypatch, sampled, algorithm):
    errors = VTraceTargets(monkeypatch, algorithm, {"vtrace_bootstrap": False}, sampled).errors()
    assert errors.max() > 5


@pytest.mark.parametrize("training", [{"minibatch_size": 40}, {"num_epochs": 2}], ids=["minibatches", "epochs"])
def test_value_targets_do_not_come_from_the_first_row_of_a_minibatch(monkeypatch, sampled, training):
    targets = VTraceTargets(monkeypatch, "IMPALA", None, sampled, **training)
    assert len(targets.minibatches) > 1
    assert targets.errors().max() < 1e-4


def test_stock_rllib_takes_the_last_value_of_a_minibatch_from_its_first_row(monkeypatch, sampled):
    monkeypatch.setattr(vtrace_bootstrap, "_mask", lambda batch, config: batch[Columns.LOSS_MASK])
    errors = VTraceTargets(monkeypatch, "IMPALA", None, sampled, minibatch_size=40).errors()
    assert errors.max() > 0.01


def test_in_a_shuffled_batch_each_row_bootstraps_from_its_own_last_value():
    mask = torch.tensor([[True, True, True], [True, True, False], [True, True, True]])
    terminated = torch.tensor([[False, False, False], [False, False, False], [False, False, True]])
    batch = {Columns.LOSS_MASK: mask, Columns.TERMINATEDS: terminated}
    config = IMPALAConfig().training(minibatch_size=50, shuffle_batch_per_epoch=True, num_epochs=2)
    expected = [[True, True, False], [True, True, False], [True, True, True]]
    assert vtrace_bootstrap._mask(batch, config).tolist() == expected
    assert mask[0, 2], "the batch itself was changed"


# The value pass before the advantages


@pytest.mark.parametrize(("fixes", "with_graph"), [({}, False), ({"values_without_grad": False}, True)])
def test_stock_rllib_builds_a_graph_for_the_values_of_the_whole_batch_and_ours_does_not(sampled, fixes, with_graph):
    _, chunks, spaces = sampled
    learner = config_of("PPO", minibatch_size=40, rllib_fixes=fixes).build_learner(spaces=spaces)
    module = learner.module[DEFAULT_MODULE_ID]
    compute_values, graphs = module.compute_values, []

    def spy(batch, embeddings=None):
        values = compute_values(batch, embeddings)
        graphs.append(values.requires_grad)
        return values

    module.compute_values = spy
    learner._learner_connector(rl_module=learner.module, batch={}, episodes=copies(chunks), shared_data={})
    assert graphs == [with_graph]
    learner.update(episodes=copies(chunks), timesteps={}, minibatch_size=40)
    assert all(graphs[2:]), "the loss has no gradient"
    assert len(graphs) > 2


# Minibatches smaller than a row


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_minibatches_smaller_than_a_row_are_refused_when_the_learner_is_built(algorithm):
    config = config_of(algorithm, minibatch_size=MAX_SEQ_LEN - 1)
    with pytest.raises(SettingsError, match=r"minibatch_size = 6: should be at least max_seq_len = 7"):
        config.build_learner(spaces=SPACES)


def test_stock_rllib_makes_empty_minibatches_of_them(sampled):
    _, chunks, spaces = sampled
    config = config_of("PPO", minibatch_size=MAX_SEQ_LEN - 1, rllib_fixes={"minibatch_check": False})
    learner = config.build_learner(spaces=spaces)
    with pytest.raises(KeyError, match="obs"):
        learner.update(episodes=copies(chunks), timesteps={}, minibatch_size=config.minibatch_size)


# Minibatches in which no step has a loss


def losses_without_a_step(algorithm, chunks, spaces, rllib_fixes):
    """The loss and the gradients of a batch whose mask is empty."""
    config = config_of(algorithm, rllib_fixes=rllib_fixes)
    learner = config.build_learner(spaces=spaces)
    learner.module.foreach_module(lambda _, module: getattr(module, "make_target_networks", lambda: None)())
    batch = learner._make_batch_if_necessary(TrainingData(episodes=copies(chunks))).policy_batches[DEFAULT_MODULE_ID]
    batch[Columns.LOSS_MASK] = torch.zeros_like(batch[Columns.LOSS_MASK])
    batches = {DEFAULT_MODULE_ID: batch}
    losses = learner.compute_losses(fwd_out=learner.module.forward_train(batches), batch=batches)
    return losses[DEFAULT_MODULE_ID], learner.compute_gradients(losses)


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_a_minibatch_without_a_step_to_learn_from_changes_nothing(sampled, algorithm):
    _, chunks, spaces = sampled
    loss, gradients = losses_without_a_step(algorithm, chunks, spaces, None)
    assert loss == 0
    # Several learners wait for each other's gradients of every weight.
    assert all(gradient is not None and not gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_stock_rllib_makes_nan_of_it(sampled, algorithm):
    _, chunks, spaces = sampled
    loss, gradients = losses_without_a_step(algorithm, chunks, spaces, ALL_OFF)
    assert loss.isnan()
    if algorithm != "PPO":  # which means over no step at all, to which no gradient flows
        assert any(gradient.isnan().any() for gradient in gradients.values())


@pytest.mark.parametrize("algorithm", CONFIGS)
def test_fragments_that_end_within_their_burn_in_train(ray_session, algorithm):
    config = small_stock_config(algorithm).env_runners(rollout_fragment_length=2)
    config.training(train_batch_size_per_learner=6)
    if algorithm == "PPO":
        config.training(minibatch_size=6)
    algo = ra.use_model(config, "gru", d_model=8, max_seq_len=5, burn_in=4).build_algo()
    try:
        for _ in range(3):
            algo.train()
        weights = algo.learner_group.get_weights()[DEFAULT_MODULE_ID]
    finally:
        algo.stop()
    assert all(np.isfinite(weight).all() for weight in weights.values())


# States of other types than float32


def act(fixes, dtype):
    """What a module hands out whose model has states of a dtype."""
    module = build_module(config_of("PPO", rllib_fixes=fixes))
    model = module.encoder.encoder.model
    forward, initial_state = model.forward, model.initial_state

    def with_dtype(x, state, is_first=None):
        y, state = forward(x, state.float(), is_first)
        return y, state.to(dtype)

    model.forward = with_dtype
    model.initial_state = lambda n_rows: initial_state(n_rows).to(dtype)
    state_in = {name: state[None] for name, state in module.get_initial_state().items()}
    return state_in, module.forward_exploration({Columns.OBS: torch.zeros(1, 1, 4), Columns.STATE_IN: state_in})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_states_are_carried_as_float32(dtype):
    state_in, outputs = act(None, dtype)
    states = [*state_in.values(), *outputs[Columns.STATE_OUT].values()]
    assert {state.dtype for state in states} == {torch.float32}
    convert_to_numpy(outputs)


def test_stock_rllib_cannot_carry_bfloat16_and_returns_other_types_changed():
    fixes = {"float32_state": False}
    with pytest.raises(TypeError, match="BFloat16"):
        convert_to_numpy(act(fixes, torch.bfloat16)[1])
    (state,) = act(fixes, torch.float64)[1][Columns.STATE_OUT].values()
    assert state.dtype == torch.float64
    assert convert_to_numpy({"state": state}, reduce_type=True)["state"].dtype == np.float32


# Rows that are mostly padding


@pytest.mark.parametrize(
    ("length", "share"), [(MAX_SEQ_LEN, 1 / 2), (MAX_SEQ_LEN - 1, 1 / MAX_SEQ_LEN), (1, 1 - 1 / MAX_SEQ_LEN)]
)
def test_the_padding_share_tells_of_rows_that_hold_only_the_appended_step(length, share):
    config = config_of("PPO", minibatch_size=40, pack_rows=False)
    runner = SingleAgentEnvRunner(config=config)
    try:
        chunks = [chunk for chunk in runner.sample(num_timesteps=3 * length) if len(chunk) == length]
        assert chunks
        learner = config.build_learner(spaces=runner.get_spaces())
    finally:
        runner.stop()
    results = learner.update(episodes=copies(chunks), timesteps={}, minibatch_size=40, num_epochs=2)
    assert results[DEFAULT_MODULE_ID]["recattn"]["padding_share"].peek() == pytest.approx(share)


# The switches


def test_all_fixes_can_be_switched_off_and_an_unknown_one_is_refused():
    config = config_of("APPO", rllib_fixes=ALL_OFF)
    assert set(config.model_config["recattn_training"]["rllib_fixes"].values()) == {False}
    for fixes, message in (
        ({"sync_critic": False}, "unknown setting 'rllib_fixes.sync_critic': did you mean 'sync_critic_encoder'"),
        ({"vtrace_bootstrap": 0}, "rllib_fixes.vtrace_bootstrap = 0: input should be a valid boolean"),
        (False, "rllib_fixes = False: input should be a valid dictionary"),
    ):
        with pytest.raises(SettingsError, match=message):
            config_of("APPO", rllib_fixes=fixes)
