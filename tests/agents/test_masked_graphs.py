"""The graph of an agent with an action mask: which input that is, and that no forbidden action comes out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from rllib_recattn.agents.graphs.interface import INTERFACE_FILE
from rllib_recattn.agents.graphs.onnx_file import run_onnx
from rllib_recattn.agents.graphs.program import run_program
from rllib_recattn.agents.graphs.write import write_graph
from tests.agents.small import agent_of

RUN = {"onnx": run_onnx, "pt2": run_program}


@pytest.mark.parametrize(("form", "action"), [("onnx", MultiDiscrete([2, 2])), ("pt2", Discrete(4))])
def test_the_interface_names_the_mask_and_the_graph_obeys_it(form, action, tmp_path):
    observation = Dict({"allowed now": MultiBinary(4), "seen": Box(-1, 1, (3,))})
    agent = agent_of(observation, action, model="gru", settings={"d_model": 8}, inputs={"action_mask": "allowed now"})
    written = write_graph(agent, tmp_path, "main", form)
    assert written.error <= 1e-5
    interface = json.loads((tmp_path / INTERFACE_FILE).read_text(encoding="utf-8"))
    name = interface["action_mask"]["input"]
    assert [port["path"] for port in interface["inputs"] if port["name"] == name] == [["allowed now"]]

    rows, rng = 16, np.random.default_rng(0)
    inputs = {port["name"]: np.zeros((rows, *port["shape"][1:]), port["dtype"]) for port in interface["inputs"]}
    inputs["observation_seen"][:] = rng.uniform(-1, 1, (rows, 3))
    only = rng.integers(0, action.nvec if isinstance(action, MultiDiscrete) else 4, (rows, *action.shape))
    begins = [0, 2] if isinstance(action, MultiDiscrete) else [0]
    for row, choices in enumerate(only.reshape(rows, -1)):
        inputs[name][row, begins + choices] = 1
    outputs = RUN[form](written.file)(inputs)
    np.testing.assert_array_equal(outputs["action"], only)
