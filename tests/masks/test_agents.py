"""Agents without RLlib, and the graphs of their steps, honour masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

import rllib_recattn as ra
from rllib_recattn.agents.graphs.write import write_graph
from rllib_recattn.agents.stored import read_agent, write_agent
from rllib_recattn.errors import SettingsError
from tests.agents.checkpoints import our_steps, rllibs_steps, save
from tests.agents.small import agent_of
from tests.masks.illegal import Illegal
from tests.masks.small import masked

CELLS: dict[str, dict[str, Any]] = {
    "Discrete": {"action": Discrete(4), "inputs": {"action_mask": "mask"}},
    "MultiDiscrete": {
        "action": MultiDiscrete([3, 1]),
        "inputs": {"action_mask": "mask", "action_mask_as_input": True, "use_prev_action": True},
        "vf_share_layers": False,
    },
}
FORMATS = [
    ("pt2", "Discrete"),
    ("pt2", "MultiDiscrete"),
    pytest.param("onnx", "Discrete", marks=pytest.mark.slow),
    pytest.param("onnx", "MultiDiscrete", marks=pytest.mark.slow),
]


def small_agent(cell: str) -> Any:
    space = Dict({"mask": MultiBinary(4), "x": Box(-1, 1, (3,))})
    return agent_of(space, model="gru", settings={"d_model": 8}, values=True, **CELLS[cell])


@pytest.mark.parametrize(
    ("use", "env_config"),
    [({}, {}), ({"action_mask_as_input": True, "use_prev_action": True}, {"sizes": [4, 3], "binary": False})],
    ids=str,
)
def test_an_agent_plays_as_rllib_does(
    use: dict[str, Any], env_config: dict[str, Any], ray_session: None, tmp_path: Path
) -> None:
    checkpoint = save(masked(use=use, **env_config), tmp_path, iterations=1)
    agent = ra.load_agent(checkpoint)
    theirs, ours = list(rllibs_steps(checkpoint)), list(our_steps(agent, Illegal(env_config)))
    assert len(theirs) == len(ours) == 9
    for (logits, reward), (our_logits, our_reward) in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(our_logits, logits, rtol=1e-6, atol=1e-6)
        assert (our_logits < -1e19).any()
        assert our_reward == reward


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_drawn_is_allowed(cell: str) -> None:
    agent = small_agent(cell)
    agent.reset(n_rows=3)
    masks = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 1, 1, 1]], np.int8)
    for _ in range(20):
        actions = agent.act({"mask": masks, "x": np.zeros((3, 3), np.float32)}, explore=True)
        for mask, action in zip(masks, np.asarray(actions).reshape(3, -1), strict=True):
            assert mask[action[0]] == 1


def test_a_mask_of_zeros_names_the_row() -> None:
    agent = small_agent("Discrete")
    agent.reset(n_rows=2)
    masks = np.array([[1, 0, 0, 1], [0, 0, 0, 0]], np.int8)
    with pytest.raises(SettingsError, match="observation of row 1: the mask 'mask' allows no action"):
        agent.act({"mask": masks, "x": np.zeros((2, 3), np.float32)})


@pytest.mark.parametrize("cell", CELLS)
def test_a_stored_agent_has_its_mask(cell: str, tmp_path: Path) -> None:
    agent = small_agent(cell)
    write_agent(agent.description, agent.network.state_dict(), tmp_path, "main")
    again = read_agent(tmp_path)
    observation = {"mask": np.array([0, 1, 1, 1], np.int8), "x": np.ones(3, np.float32)}
    assert np.array_equal(agent.act(observation), again.act(observation))
    assert np.array_equal(agent.logits, again.logits)
    assert again.logits[0] == np.float32(-1e20)


@pytest.mark.parametrize(("form", "cell"), FORMATS)
def test_a_graph_masks_as_its_agent_does(form: str, cell: str, tmp_path: Path) -> None:
    assert write_graph(small_agent(cell), tmp_path, "main", form).error <= 1e-5
