"""The state that RLlib's old stack carries is the model's own: from step to step, row to row, fragment to fragment."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from ray.rllib.policy.rnn_sequencing import pad_batch_to_sequences_of_same_size
from ray.rllib.policy.sample_batch import SampleBatch

from rllib_recattn.model_v2.state_views import MemoryView
from rllib_recattn.models.registry import build_model
from tests.model_v2.old_stack import TINY, Replay, episodes, old_stack_config, sample, samples, worker_of
from tests.rl_module.inputs.random_env import ACTIONS

TOLERANCE = 3e-5  # float32, through a stack, in products of other shapes
CASES = {
    **{name: {"model": name} for name in TINY},
    "separate critic": {"model": "agalite", "vf_share_layers": False},
    "gtrxl, separate critic": {"model": "gtrxl", "vf_share_layers": False},
    "gtrxl, packed": {"model": "gtrxl", "memory_view": False},
    "gtrxl, long memory": {"model": "gtrxl", "memory_length": 30, "length": 50},
    "gtrxl, memory of a step": {"model": "gtrxl", "memory_length": 1},
    "long episodes": {"model": "agalite", "length": 50},
    "IMPALA": {"model": "gtrxl", "algorithm": "IMPALA"},
    "rows longer than episodes": {"model": "gtrxl", "max_seq_len": 12, "length": 5},
}
PREVIOUS = {"use_prev_action": True, "use_prev_reward": True}


class Sampled(NamedTuple):
    """A policy, what it sampled in some fragments, and what postprocessing saw of them."""

    config: Any
    policy: Any
    batch: SampleBatch
    fragments: list[SampleBatch]


def sampled_with(config, n_fragments=4):
    worker, seen = worker_of(config), []
    # NEXT_OBS serves the bootstrap value only and does not travel on.
    worker.callbacks.on_postprocess_trajectory = lambda *, postprocessed_batch, **_: seen.append(postprocessed_batch)
    batch = samples(worker, n_fragments)
    return Sampled(config, worker.get_policy(), batch, seen)


@pytest.fixture(scope="module", params=CASES)
def sampled(request):
    return sampled_with(old_stack_config(**CASES[request.param]))


@pytest.fixture(scope="module", params=["agalite", "gtrxl"])
def sampled_with_previous(request):
    return sampled_with(old_stack_config(request.param, **PREVIOUS))


def test_acting_is_the_model_read_step_by_step(sampled):
    check_acting(sampled)


@pytest.mark.parametrize("model", ["agalite", "gtrxl"])
@pytest.mark.parametrize("action", ["MultiDiscrete", "Box"])
def test_previous_actions_and_rewards_are_those_of_the_step_before(model, action):
    check_acting(sampled_with(old_stack_config(model, action=ACTIONS[action], **PREVIOUS)), use_prev=True)


def test_previous_discrete_actions_are_those_of_the_step_before(sampled_with_previous):
    check_acting(sampled_with_previous, use_prev=True)


def check_acting(sampled, use_prev=False):
    policy, batch = sampled.policy, sampled.batch
    replay = Replay(policy.model, policy.action_space, use_prev)
    found = episodes(batch)
    assert len(found) >= 2
    for indices in found:
        logits, values = replay(
            batch[SampleBatch.OBS][indices], batch[SampleBatch.ACTIONS][indices], batch[SampleBatch.REWARDS][indices]
        )
        np.testing.assert_allclose(batch[SampleBatch.ACTION_DIST_INPUTS][indices], logits, atol=TOLERANCE)
        np.testing.assert_allclose(batch[SampleBatch.VF_PREDS][indices], values, atol=TOLERANCE)


def test_training_reads_what_acting_read(sampled):
    check_training(sampled)


def test_training_reads_the_same_previous_actions_and_rewards(sampled_with_previous):
    check_training(sampled_with_previous)


def check_training(sampled):
    policy, batch = sampled.policy, sampled.batch.copy()
    acted = batch[SampleBatch.ACTION_DIST_INPUTS].copy()
    pad_batch_to_sequences_of_same_size(
        batch, max_seq_len=sampled.config.model["max_seq_len"], view_requirements=policy.view_requirements
    )
    lengths = batch[SampleBatch.SEQ_LENS]
    train_batch = policy._lazy_tensor_dict(batch)
    with torch.no_grad():
        logits, _ = policy.model(train_batch)
    is_step = np.arange(len(logits) // len(lengths)) < lengths[:, None]
    assert 0 < is_step.sum() == len(acted)
    np.testing.assert_allclose(logits.numpy()[is_step.ravel()], acted, atol=TOLERANCE)


def test_the_value_after_a_fragment_sees_the_right_state(sampled):
    """Of a fragment that cuts an episode, the bootstrap value is that of the next observation."""
    errors = bootstrap_errors(sampled)
    assert len(errors) >= 2
    assert errors.max() < TOLERANCE


def bootstrap_errors(sampled):
    """By how much the bootstrap values after some fragments differ from those of the model read step by step."""
    replay = Replay(sampled.policy.model, sampled.policy.action_space)
    history: dict[int, list[np.ndarray]] = {}
    errors = []
    for batch in sampled.fragments:
        episode = history.setdefault(batch[SampleBatch.EPS_ID][0], [])
        episode.extend(batch[SampleBatch.OBS])
        bootstrap = batch[SampleBatch.VALUES_BOOTSTRAPPED][-1]
        if batch[SampleBatch.TERMINATEDS][-1]:
            assert bootstrap == 0
        else:
            _, values = replay([*episode, batch[SampleBatch.NEXT_OBS][-1]])
            errors.append(abs(bootstrap - values[-1]))
    return np.array(errors)


def test_stock_rllib_shows_steps_of_a_memory_twice():
    """What ``window_bootstrap`` mends: full rows, and a fragment that is shorter than what the memory holds."""
    case = CASES["gtrxl, long memory"]
    config = old_stack_config(**case, rllib_fixes={"window_bootstrap": False})
    assert bootstrap_errors(sampled_with(config, n_fragments=3)).max() > 1e-3


@pytest.mark.parametrize("model", TINY)
def test_no_state_travels_but_one_for_each_row(model):
    worker = worker_of(old_stack_config(model))
    batch = sample(worker)
    assert not [column for column in batch if column.startswith("state_out")]
    states = [column for column in batch if column.startswith("state_in")]
    assert states
    for column in states:
        assert len(batch[column]) == len(batch[SampleBatch.SEQ_LENS])


def test_a_memory_view_is_gtrxls_packed_state():
    torch.manual_seed(0)
    model = build_model("gtrxl", input_dim=3, **TINY["gtrxl"])
    views = MemoryView(model)
    x, state = torch.randn(2, 9, 3), model.initial_state(2)
    window = torch.zeros(2, model.memory_length, views.sizes[1])
    count = torch.zeros(2, 1)
    for t in range(x.shape[1]):
        states = [count, window]
        torch.testing.assert_close(views.read(states), state)
        _, state = model(x[:, t : t + 1], state)
        count, record = views.write(state, states)
        window = torch.cat([window[:, 1:], record.detach().unsqueeze(1)], dim=1)


def test_states_carried_by_hand_are_the_same(sampled):
    """As RLlib documents it for acting without workers: each call's states are the next one's."""
    check_carrying(sampled.policy)


def test_states_carried_by_hand_beside_previous_actions_are_the_same(sampled_with_previous):
    check_carrying(sampled_with_previous.policy, use_prev=True)


def check_carrying(policy, use_prev=False):
    obs = np.random.default_rng(0).normal(size=(12, *policy.observation_space.shape)).astype(np.float32)
    logits, values, actions, rewards = [], [], [0], np.arange(12, dtype=np.float32)
    state = policy.get_initial_state()
    for t in range(12):
        previous = {"prev_action": np.asarray(actions[-1]), "prev_reward": rewards[t - 1]} if use_prev else {}
        action, state, extra = policy.compute_single_action(obs[t], state=state, explore=False, **previous)
        logits.append(extra[SampleBatch.ACTION_DIST_INPUTS])
        values.append(extra[SampleBatch.VF_PREDS])
        actions.append(int(action))
    expected, expected_values = Replay(policy.model, policy.action_space, use_prev)(
        obs, np.asarray(actions[1:]), rewards
    )
    np.testing.assert_allclose(logits, expected, atol=TOLERANCE)
    np.testing.assert_allclose(values, expected_values, atol=TOLERANCE)
