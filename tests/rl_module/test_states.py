"""The states that acting produces, that episodes carry and that the learner trains from are one and the same."""

from __future__ import annotations

import copy
from collections import defaultdict

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ACTOR, CRITIC
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.rl_module.encoder import STATE
from tests.rl_module.small_agents import small_config

MAX_SEQ_LEN = 7


def sample_fragments(runner, fragments=3, steps=60):
    """Sampled chunks of episodes, grouped by episode, in order."""
    chunks = defaultdict(list)
    for _ in range(fragments):
        for chunk in runner.sample(num_timesteps=steps):
            chunks[chunk.id_].append(chunk.to_numpy())
    assert any(len(parts) > 1 for parts in chunks.values()), "no episode was cut by the end of a fragment"
    return chunks


def models_of(module):
    encoder = module.encoder
    if hasattr(encoder, "encoder"):
        return {None: encoder.encoder.model}
    return {ACTOR: encoder.actor_encoder.model, CRITIC: encoder.critic_encoder.model}


def replay(model, chunks):
    """One sequence forward over all observations of an episode: the state before each step, and after the last."""
    observations = np.concatenate([chunk.get_observations()[: len(chunk)] for chunk in chunks])
    states = [model.initial_state(1)]
    with torch.no_grad():
        for x in torch.from_numpy(observations)[:, None, None]:
            states.append(model(x, states[-1])[1])
        y, last = model(torch.from_numpy(observations)[None], states[0])
    torch.testing.assert_close(last, states[-1], rtol=1e-4, atol=1e-5)
    return torch.cat(states), y[0]


def test_acting_step_by_step_equals_one_sequence_forward(action_space, vf_share_layers):
    config = small_config(action_space, vf_share_layers=vf_share_layers, max_seq_len=MAX_SEQ_LEN, sparse_states=False)
    runner = SingleAgentEnvRunner(config=config)
    try:
        for chunks in sample_fragments(runner).values():
            acted = np.concatenate([chunk.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS) for chunk in chunks])
            for role, model in models_of(runner.module).items():
                states, y = replay(model, chunks)
                stored = np.concatenate([state_outs(chunk, role) for chunk in chunks])
                np.testing.assert_allclose(stored, states[1:].numpy(), rtol=1e-4, atol=1e-5)
                if role in (None, ACTOR):
                    with torch.no_grad():
                        logits = runner.module.pi(y).numpy()
                    # A norm of small numbers makes much of rounding.
                    np.testing.assert_allclose(acted, logits, rtol=1e-3, atol=5e-5)
    finally:
        runner.stop()


def state_outs(chunk, role):
    out = chunk.get_extra_model_outputs(Columns.STATE_OUT)
    return (out if role is None else out[role])[STATE]


def test_the_learner_starts_from_the_states_that_acting_produced(action_space, vf_share_layers):
    config = small_config(action_space, vf_share_layers=vf_share_layers, max_seq_len=MAX_SEQ_LEN, sparse_states=False)
    runner = SingleAgentEnvRunner(config=config)
    try:
        episodes = sample_fragments(runner)
        learner = config.build_learner(env=runner.env.unwrapped, spaces=runner.get_spaces())
        pipeline = learner._learner_connector
        for chunks in episodes.values():
            start = 0
            for chunk in chunks:
                # PPO appends one step to every chunk, for the value of its last observation.
                length = len(chunk) + 1
                batch = pipeline(rl_module=learner.module, batch={}, episodes=[copy.deepcopy(chunk)], shared_data={})[
                    DEFAULT_MODULE_ID
                ]
                rows = range(start, start + length, MAX_SEQ_LEN)
                for role, model in models_of(runner.module).items():
                    states, _ = replay(model, chunks)
                    state_in = batch[Columns.STATE_IN] if role is None else batch[Columns.STATE_IN][role]
                    torch.testing.assert_close(state_in[STATE].cpu(), states[list(rows)], rtol=1e-4, atol=1e-5)
                start += len(chunk)
    finally:
        runner.stop()


@pytest.mark.parametrize("max_seq_len", [1, 7, 300])
def test_values_do_not_depend_on_how_rows_are_cut(max_seq_len, vf_share_layers):
    reference = small_config(vf_share_layers=vf_share_layers, max_seq_len=100, sparse_states=False)
    runner = SingleAgentEnvRunner(config=reference)
    try:
        episodes = runner.sample(num_timesteps=60)
        values = {}
        for length in (100, max_seq_len):
            config = small_config(vf_share_layers=vf_share_layers, max_seq_len=length, sparse_states=False)
            config.training(minibatch_size=400)
            learner = config.build_learner(env=runner.env.unwrapped, spaces=runner.get_spaces())
            learner.module[DEFAULT_MODULE_ID].set_state(runner.module.get_state())
            batch = learner._learner_connector(
                rl_module=learner.module, batch={}, episodes=copy.deepcopy(episodes), shared_data={}
            )[DEFAULT_MODULE_ID]
            values[length] = batch["value_targets"][batch[Columns.LOSS_MASK]]
        torch.testing.assert_close(values[max_seq_len], values[100], rtol=1e-4, atol=1e-5)
    finally:
        runner.stop()
