"""What can be done with a checkpoint of recurrent DQN, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from ray.rllib.algorithms.algorithm import Algorithm

import rllib_recattn as ra
from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import load_config
from rllib_recattn.experiment.evaluation.new_stack import NewStackPlayer
from rllib_recattn.experiment.inspection.inspect import inspect_checkpoint
from rllib_recattn.rl_module.exported_weights import begin_with_weights
from tests.rl_module.q_learning.agents import GRU, config, stock_config


@pytest.fixture(scope="module")
def checkpoint(ray_session, tmp_path_factory):
    algorithm = config(use_prev_action=True).build_algo()
    algorithm.train()
    path = Path(algorithm.save_to_path(str(tmp_path_factory.mktemp("dqn") / "checkpoint")))
    algorithm.stop()
    return path


def test_it_plays_the_best_actions_with_its_memory(checkpoint):
    """As the module does that reads the whole episode at once."""
    player = NewStackPlayer(checkpoint, load_config(checkpoint))
    try:
        episode = player.sample(3, explore=False)
    finally:
        player.stop()
    algorithm = Algorithm.from_checkpoint(checkpoint)
    module = algorithm.get_module()
    algorithm.stop()
    actions = torch.as_tensor(np.asarray(episode.get_actions()))
    before = torch.nn.functional.one_hot(actions[:-1].long(), 4).float()
    previous = torch.cat([torch.zeros(1, 4), before])[None]
    batch = {
        "obs": torch.as_tensor(np.asarray(episode.get_observations(slice(0, -1))))[None],
        "state_in": {"state": module.get_initial_state()["state"][None]},
        "prev_action_and_reward": previous,
    }
    with torch.no_grad():
        q_values = module.compute_q_values(batch)["qf_preds"][0]
    assert len(actions) > 3
    gaps = q_values.max(-1).values - q_values.gather(-1, actions.long()[:, None])[:, 0]
    assert gaps.max() < 1e-5


def test_it_is_evaluated_from_the_command_line(checkpoint):
    done = CliRunner().invoke(main, ["evaluate", str(checkpoint), "--episodes", "2"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "greedy actions" in done.output


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (ra.load_agent, "is an agent of DQN, which acts by Q-values; only those with a policy"),
        (inspect_checkpoint, "of DQN, whose actions have Q-values and no distribution"),
    ],
)
def test_what_needs_a_policy_is_refused(checkpoint, call, message):
    with pytest.raises(SettingsError, match=message):
        call(checkpoint)


def test_the_weights_of_an_agent_with_a_policy_are_refused(ray_session, tmp_path):
    with pytest.raises(SettingsError, match=r"weights = .*: should be left out with DQN, which has Q-values"):
        ra.use_model(stock_config(), **GRU, max_seq_len=7, weights=tmp_path)
    algorithm = config().build_algo()
    with pytest.raises(SettingsError, match=r"restore = 'x': should be left out with DQN"):
        begin_with_weights(algorithm, tmp_path, "restore = 'x'")
    algorithm.stop()
