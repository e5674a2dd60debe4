"""Steps of agents as graphs, for onnxruntime and for PyTorch alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import gymnasium as gym
import numpy as np
import onnxruntime
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete

import rllib_recattn as ra
from rllib_recattn.agents.graphs import comparison, onnx_file, write
from rllib_recattn.agents.graphs.interface import INTERFACE_FILE
from rllib_recattn.agents.graphs.onnx_file import METADATA
from rllib_recattn.agents.graphs.ports import ports_of
from rllib_recattn.agents.graphs.program import record
from rllib_recattn.agents.graphs.step import StepGraph
from rllib_recattn.agents.graphs.write import write_graph
from rllib_recattn.agents.stored import read_agent, write_agent
from rllib_recattn.errors import SettingsError
from rllib_recattn.models.registry import model_names
from tests.agents.small import agent_of
from tests.model_v2.old_stack import TINY
from tests.rl_module.inputs.random_env import ACTIONS, MORE_OBSERVATIONS, OBSERVATIONS

BOTH = {"use_prev_action": True, "use_prev_reward": True}
# Now and then a norm, or AGaLiTe's normaliser, divides by a number so small that it makes much of rounding: with images
# that happens to a few models, by 4e-5 at most. AGaLiTe has both divisions behind each other: by the same code,
# float32 is off from float64 by 2e-4 of vectors and 5e-4 of a Dict, more than the graphs are from the agent.
LIMITS = {"Dict": 1e-4, "image": 1e-4}
LIMITS_OF = {"agalite": 4e-4}
CELLS = {
    "vector": {"observation": OBSERVATIONS["vector"]},
    "image": {"observation": OBSERVATIONS["image 7x7"], "action": ACTIONS["MultiDiscrete"]},
    "Dict": {"observation": OBSERVATIONS["Dict"], "action": ACTIONS["Box"], "vf_share_layers": False},
    "previous inputs": {"observation": OBSERVATIONS["Tuple"], "action": ACTIONS["Dict"], "inputs": BOTH},
}


def small_agent(model="gru", cell="vector", **fields):
    return agent_of(model=model, settings=TINY[model], **{**CELLS[cell], "values": True, **fields})


def runs(graph):
    """Return what runs a module as files are run."""

    def run(inputs):
        with torch.no_grad():
            outputs = graph({name: torch.from_numpy(array) for name, array in inputs.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    return run


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The graph of a cheap model in ONNX, whose first export takes seconds; the other models run in the slow tests."""
    agent = small_agent("gru", action=Discrete(3), inputs=BOTH)
    return write_graph(agent, tmp_path_factory.mktemp("exported"), "main", "onnx")


def test_a_graph_acts_as_its_agent_does(exported, tmp_path):
    assert exported.error <= 1e-5
    assert write_graph(small_agent("min_gru", "Dict"), tmp_path, "main", "pt2").error <= 1e-5


def test_a_model_without_a_memory_has_no_state(tmp_path):
    agent = small_agent("memoryless")
    assert write_graph(agent, tmp_path, "main", "pt2").error <= 1e-5
    assert [port.name for port in ports_of(agent).inputs] == ["observation", "is_first"]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("model", model_names())
def test_every_model_acts_alike_in_every_format(model, cell, tmp_path, monkeypatch):
    agent = small_agent(model, cell)
    ports = ports_of(agent)
    program = record(agent, ports)  # once, which takes as long as all else
    monkeypatch.setattr(write, "record", lambda *args: program)
    for form in ("onnx", "pt2"):
        (tmp_path / form).mkdir()
        assert write_graph(agent, tmp_path / form, "default_policy", form).error <= LIMITS_OF.get(
            model, LIMITS.get(cell, 1e-5)
        )
    write_agent(agent.description, agent.network.state_dict(), tmp_path, "default_policy")
    again = StepGraph(read_agent(tmp_path, values=True), ports)
    assert comparison.largest_error(agent, ports, runs(again)) <= 1e-5


def test_the_interface_is_that_of_the_file(exported):
    folder = exported.file.parent
    interface = json.loads((folder / INTERFACE_FILE).read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(folder / interface["file"])
    types = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(bool)": "bool"}
    for said, there in ((interface["inputs"], session.get_inputs()), (interface["outputs"], session.get_outputs())):
        assert [(port["name"], port["shape"], port["dtype"]) for port in said] == [
            (value.name, value.shape, types[value.type]) for value in there
        ]
    assert [port["name"] for port in interface["inputs"]] == [
        *("observation", "is_first", "previous_action", "reward", "state")
    ]
    assert [port["name"] for port in interface["outputs"]] == [
        *("action", "logits", "value", "chosen_action", "next_state")
    ]
    assert interface["feedback"] == {"state": "next_state", "previous_action": "chosen_action"}
    assert interface["initial"] == {"state": 0.0}
    assert interface["logits"] == [{"path": [], "holds": "log_probabilities", "from": 0, "to": 3}]
    assert interface["action_mask"] is None
    assert interface["policy"] == "main"
    assert json.loads(session.get_modelmeta().custom_metadata_map[METADATA]) == interface
    assert str(Path(ra.__file__).parent) not in (folder / interface["file"]).read_bytes().decode("latin-1")


def test_where_an_episode_begins_nothing_that_is_given_matters(exported):
    run = onnx_file.run_onnx(exported.file)
    observation = np.array([[0.1, -0.2, 0.3]] * 4, np.float32)
    rest = {
        "state": np.array([[0], [5], [-9], [np.nan]], np.float32).repeat(8, 1),
        "previous_action": np.array([0, 1, 2, 77]),
        "reward": np.array([0, 1, -3, np.inf], np.float32),
    }
    outputs = run({"observation": observation, "is_first": np.ones(4, bool), **rest})
    for output in outputs.values():
        assert np.array_equal(output, output[:1].repeat(4, 0))
    assert not np.array_equal(
        run({"observation": observation, "is_first": np.zeros(4, bool), **rest})["next_state"], outputs["next_state"]
    )


def test_a_graph_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(StepGraph, "_previous", lambda graph, inputs: torch.zeros(inputs["is_first"].shape[0], 4))
    with pytest.raises(
        SettingsError, match=r"model 'gru': cannot be written as pt2: its results differ from the agent's"
    ):
        write_graph(small_agent("gru", inputs=BOTH), tmp_path, "main", "pt2")


def test_choices_that_are_not_the_most_likely_ones_are_refused():
    agent = agent_of(model="gru", settings=TINY["gru"])
    ports = ports_of(agent)
    run = runs(StepGraph(agent, ports))
    assert comparison.largest_error(agent, ports, run, steps=5) <= 1e-5

    def another(inputs):
        outputs = run(inputs)
        return {**outputs, "action": outputs["action"] + 1}

    with pytest.raises(SettingsError, match=r"action: is (?s:.)* the most likely actions are"):
        comparison.largest_error(agent, ports, another, steps=5)


class OneRow(torch.nn.Module):
    """An encoder that no graph holds for any number of rows."""

    def __init__(self, observation_space):
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)

    def forward(self, obs):
        return torch.stack([self.layer(row) for row in obs.unbind(0)][: len(obs)])


def test_what_holds_for_one_number_of_rows_only_is_refused(tmp_path):
    encoder = {"type": f"{__name__}:OneRow", "settings": {}}
    agent = agent_of(model="gru", settings=TINY["gru"], inputs={"encoder": encoder})
    with pytest.raises(SettingsError, match=r"cannot be recorded as a graph for any number of rows: .* safetensors"):
        write_graph(agent, tmp_path, "main", "pt2")


def test_without_the_packages_of_onnx_nothing_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(SettingsError, match=r"needs onnxscript: pip install 'rllib-recattn\[onnx\]'; --format pt2"):
        write_graph(small_agent(), tmp_path, "main", "onnx")
    assert not list(tmp_path.iterdir())


def test_a_graph_consists_of_pytorchs_operations_alone():
    agent = small_agent("min_gru")
    program = record(agent, ports_of(agent))
    calls = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert calls
    assert all(name.startswith(("aten.", "<built-in function getitem>")) for name in calls)


def test_each_leaf_has_a_name_of_its_own():
    space = Dict({"a b": Box(-1, 1, (2,)), "a.b": Box(-1, 1, (2,)), "ä": Discrete(2), "c": Dict({"d": Discrete(3)})})
    names = [port.name for port in ports_of(agent_of(space, model="gru", settings=TINY["gru"])).inputs]
    assert names == ["observation_a_b", "observation_a_b_2", "observation_c_d", "observation__", "is_first", "state"]
    assert all(name.isidentifier() and name.isascii() for name in names)


@pytest.mark.parametrize("space", [*OBSERVATIONS, *MORE_OBSERVATIONS])
def test_observations_of_all_kinds_reach_the_networks(space):
    space = {**OBSERVATIONS, **MORE_OBSERVATIONS}[space]
    agent = agent_of(space, ACTIONS["Tuple"], model="gru", settings=TINY["gru"], inputs=BOTH)
    ports = ports_of(agent)
    assert comparison.largest_error(agent, ports, runs(StepGraph(agent, ports)), steps=5) <= 1e-5


def test_actions_of_all_kinds_are_scaled_and_clipped():
    low, high = np.array([-0.05, 0.0]), np.array([0.01, 3.0])
    for dtype in (np.float32, np.float64, np.float16):
        for normalize, clip in ((True, False), (False, True), (False, False)):
            box = Box(low.astype(dtype), high.astype(dtype), dtype=dtype)
            fields = {"normalize_actions": normalize, "clip_actions": clip}
            agent = agent_of(None, box, model="gru", settings=TINY["gru"], **fields)
            ports = ports_of(agent)
            assert comparison.largest_error(agent, ports, runs(StepGraph(agent, ports)), steps=5) <= 1e-5


PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")


def shown(language, holding):
    """The block of code on the page that holds something."""
    blocks = [block.split("```")[0] for block in PAGE.split(f"```{language}\n")[1:]]
    return next(block for block in blocks if holding in block)


class ThreeNumbers(gym.Env):
    """Notes which actions it gets."""

    observation_space, action_space = OBSERVATIONS["vector"], Discrete(3)

    def __init__(self):
        self.observations = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
        self.actions = []

    def reset(self, *, seed=None, options=None):
        return self.observations[0], {}

    def step(self, action):
        self.actions.append(int(action))
        return self.observations[len(self.actions)], 0.0, len(self.actions) == 8, False, {}


def actions_of(agent):
    env = ThreeNumbers()
    agent.reset()
    return [int(agent.act(observation, reward=0.0)) for observation in env.observations[:8]]


def test_what_the_page_shows_of_onnxruntime_plays_as_the_agent(exported, tmp_path, monkeypatch):
    (tmp_path / "agent").symlink_to(exported.file.parent)
    monkeypatch.chdir(tmp_path)
    namespace = {"env": ThreeNumbers()}
    exec(shown("python", "onnxruntime"), namespace)
    assert len(set(namespace["env"].actions)) > 1
    assert namespace["env"].actions == actions_of(small_agent("gru", action=Discrete(3), inputs=BOTH))


def test_what_the_page_shows_of_pytorch_runs(tmp_path, monkeypatch):
    agent = small_agent("gru", values=False)
    (tmp_path / "agent").mkdir()
    write_graph(agent, tmp_path / "agent", "main", "pt2")
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(shown("python", "export.load"), namespace)
    agent.reset(n_rows=8)
    agent.act(np.zeros((8, 3)))
    np.testing.assert_allclose(namespace["outputs"]["logits"], agent.logits, rtol=0, atol=1e-6)
    assert set(namespace["outputs"]) == {"action", "logits", "next_state"}


@pytest.mark.slow
def test_what_the_page_shows_is_compiled_for_other_numbers_of_rows(tmp_path, monkeypatch):
    agent = small_agent("gla", inputs=BOTH)
    (tmp_path / "agent").mkdir()
    write_graph(agent, tmp_path / "agent", "main", "pt2")
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(shown("python", "export.load") + shown("python", "aoti_load"), namespace)
    ports = ports_of(agent)
    assert comparison.largest_error(agent, ports, runs(namespace["step"])) <= 1e-5


@pytest.mark.slow
def test_what_the_page_shows_of_javascript_plays_as_the_agent(exported, tmp_path):
    node = shutil.which("node")
    found = node and subprocess.run(
        [node, "-e", "require.resolve('onnxruntime-node')"], capture_output=True, check=False
    )
    if not found or found.returncode:
        pytest.skip("needs Node.js and onnxruntime-node in NODE_PATH")
    (tmp_path / "agent").symlink_to(exported.file.parent)
    observations = ThreeNumbers().observations[:8].tolist()
    code = (
        f"{shown('js', 'onnxruntime')}\nplay({observations}).then((actions) => console.log(JSON.stringify(actions)));"
    )
    (tmp_path / "play.js").write_text(code, encoding="utf-8")
    done = subprocess.run([node, "play.js"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == actions_of(small_agent("gru", action=Discrete(3), inputs=BOTH))
