"""Every model trains on RLlib's old API stack, and its losses see steps and no padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.rnn_sequencing import pad_batch_to_sequences_of_same_size
from ray.rllib.policy.sample_batch import SampleBatch

from tests.model_v2.old_stack import CONFIGS, TINY, old_stack_config, sample, samples, worker_of

# Rows of 4, of which those at the ends of episodes and fragments are shorter; no episode ends with a fragment.
ROWS = {"length": 7, "fragment": 10, "max_seq_len": 4}


# An algorithm sees of a model the size of its state alone: a clock in it, a window, none.
@pytest.mark.parametrize(
    ("model", "algorithm"),
    [(model, "PPO") for model in TINY]
    + [
        (model, algorithm)
        for algorithm in CONFIGS
        if algorithm != "PPO"
        for model in ("agalite", "gtrxl", "memoryless")
    ],
)
def test_two_iterations(ray_session, model, algorithm):
    train_twice(old_stack_config(model, algorithm))


@pytest.mark.slow
def test_remote_workers(ray_session):
    train_twice(old_stack_config("gtrxl", "APPO").env_runners(num_env_runners=1))


def train_twice(config):
    algorithm = config.build_algo()
    try:
        model = algorithm.get_policy().model
        before = {name: value.clone() for name, value in model.state_dict().items()}
        updates = 0
        for _ in range(200):  # IMPALA and APPO learn in a thread of their own, and not in each iteration
            updates += bool(algorithm.train()["info"]["learner"])
            if updates == 2:
                break
        assert updates == 2
        for part in ("encoder.model.", "pi.", "vf."):
            names = [name for name in before if name.startswith(part)]
            after = model.state_dict()
            assert all(torch.isfinite(after[name]).all() for name in names)
            assert any(not torch.equal(after[name], before[name]) for name in names), part
    finally:
        algorithm.stop()


@pytest.mark.parametrize("vf_share_layers", [True, False])
@pytest.mark.parametrize("algorithm", CONFIGS)
@pytest.mark.parametrize("model", ["agalite", "gtrxl"])
def test_padding_changes_neither_loss_nor_gradients(model, algorithm, vf_share_layers):
    worker = worker_of(old_stack_config(model, algorithm, **ROWS, vf_share_layers=vf_share_layers))
    policy = worker.get_policy()
    batch = padded(policy, samples(worker, 2), ROWS["max_seq_len"])
    assert (batch[SampleBatch.SEQ_LENS] < ROWS["max_seq_len"]).any()
    other = batch.copy()
    is_padding = padding_of(batch)
    random = np.random.default_rng(0)
    for column in (SampleBatch.OBS, SampleBatch.REWARDS, SampleBatch.VF_PREDS, SampleBatch.VALUES_BOOTSTRAPPED):
        if column in other:
            other[column] = other[column].astype(np.float32)
            other[column][is_padding] = random.normal(size=other[column][is_padding].shape)
    loss, gradients = loss_and_gradients(policy, batch)
    other_loss, other_gradients = loss_and_gradients(policy, other)
    torch.testing.assert_close(other_loss, loss)
    assert max(gradient.abs().max() for gradient in gradients) > 0
    for gradient, other_gradient in zip(gradients, other_gradients, strict=True):
        torch.testing.assert_close(other_gradient, gradient)


@pytest.mark.parametrize("algorithm", ["APPO", "IMPALA"])
def test_value_targets_in_padded_rows(algorithm):
    """On policy, V-trace's targets are the n-step returns up to the end of a row, and its bootstrap value."""
    targets, expected = value_targets(algorithm)
    np.testing.assert_allclose(targets, expected, atol=1e-4)


@pytest.mark.parametrize("algorithm", ["APPO", "IMPALA"])
def test_stock_rllib_takes_padding_for_the_future(algorithm):
    """What ``vtrace_padding`` mends."""
    targets, expected = value_targets(algorithm, rllib_fixes={"vtrace_padding": False})
    assert np.abs(targets - expected).max() > 0.1


def value_targets(algorithm, **custom):
    """The targets that the loss worked out for the steps of a batch, and those by hand."""
    config = old_stack_config("agalite", algorithm, **ROWS, **custom)
    worker = worker_of(config)
    policy = worker.get_policy()
    # Bootstrap values that differ from what the value function says of padding.
    policy.model.vf.bias.data.fill_(5.0)
    batch = padded(policy, samples(worker, 2), ROWS["max_seq_len"])
    n_rows, lengths = len(batch[SampleBatch.SEQ_LENS]), batch[SampleBatch.SEQ_LENS]
    rewards, bootstrap, ended = (
        batch[column].reshape(n_rows, -1).copy()
        for column in (SampleBatch.REWARDS, SampleBatch.VALUES_BOOTSTRAPPED, SampleBatch.TERMINATEDS)
    )
    expected = []
    for row, length in enumerate(lengths):
        value = bootstrap[row, length - 1]
        returns = []
        for t in reversed(range(length)):
            value = rewards[row, t] + config.gamma * value * (1 - ended[row, t])
            returns.append(value)
        expected += returns[::-1]
    loss_and_gradients(policy, batch)
    appo_keeps = policy.model.tower_stats.get("value_targets")
    targets = captured_targets(policy, batch) if algorithm == "IMPALA" else appo_keeps
    is_step = ~padding_of(batch).reshape(n_rows, -1)
    return targets.detach().numpy().T[is_step], np.array(expected)


def captured_targets(policy, batch):
    """IMPALA keeps its targets in no place: have its loss show them."""
    from ray.rllib.algorithms.impala import impala_torch_policy

    seen = []

    class Loss(impala_torch_policy.VTraceLoss):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            seen.append(self.value_targets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(impala_torch_policy, "VTraceLoss", Loss)
        loss_and_gradients(policy, batch)
    return seen[0]


def test_ppo_reads_its_batches_as_they_are():
    worker = worker_of(old_stack_config("agalite", "PPO", **ROWS))
    assert SampleBatch.VALUES_BOOTSTRAPPED not in worker.get_policy().model.view_requirements
    batch = padded(worker.get_policy(), sample(worker), ROWS["max_seq_len"])
    rewards = batch[SampleBatch.REWARDS].copy()
    loss_and_gradients(worker.get_policy(), batch)
    np.testing.assert_array_equal(batch[SampleBatch.REWARDS], rewards)
    assert Postprocessing.ADVANTAGES in batch


def padded(policy, batch, max_seq_len):
    pad_batch_to_sequences_of_same_size(batch, max_seq_len=max_seq_len, view_requirements=policy.view_requirements)
    return batch


def padding_of(batch):
    lengths = batch[SampleBatch.SEQ_LENS]
    n_steps = len(batch[SampleBatch.REWARDS]) // len(lengths)
    return (np.arange(n_steps) >= lengths[:, None]).ravel()


def loss_and_gradients(policy, batch):
    train_batch = policy._lazy_tensor_dict(batch.copy())
    train_batch.set_training(True)
    policy.model.zero_grad()
    loss = policy.loss(policy.model, policy.dist_class, train_batch)
    loss.backward()
    return loss.detach(), [torch.zeros(1) if p.grad is None else p.grad.clone() for p in policy.model.parameters()]
