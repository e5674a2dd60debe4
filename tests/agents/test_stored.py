"""Agents in folders: what is written is what is read, and what others wrote is refused with one clear error."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Text, Tuple
from safetensors.torch import load_file, save_file

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.space_data import space_from_data, space_to_data
from rllib_recattn.agents.stored import SETTINGS_FILE, WEIGHTS_FILE, read_agent, write_agent
from rllib_recattn.errors import SettingsError
from rllib_recattn.models.registry import model_names
from tests.agents.signed import change, sign
from tests.agents.small import agent_of, description_of, weights_of
from tests.model_v2.old_stack import TINY
from tests.rl_module.inputs.random_env import ACTIONS, MORE_OBSERVATIONS, OBSERVATIONS

BOTH = {"use_prev_action": True, "use_prev_reward": True}


def written(folder, **fields):
    description = description_of(**fields)
    weights = weights_of(description)
    write_agent(description, weights, folder, "default_policy")
    return Agent(description, weights)


@pytest.mark.parametrize("model", model_names())
def test_what_is_written_is_what_is_read(model, tmp_path):
    fields = {"observation": OBSERVATIONS["Dict"], "action": ACTIONS["Dict"], "inputs": BOTH}
    before = written(tmp_path, model=model, settings=TINY[model], vf_share_layers=False, **fields)
    after = read_agent(tmp_path, values=True)
    assert after.description == before.description
    space = before.observation_space
    space.seed(0)
    for _ in range(3):
        observation = space.sample()
        for agent in (before, after):
            agent.act(observation, reward=0.5)
        assert np.array_equal(before.logits, after.logits)


@pytest.mark.parametrize(
    "space",
    [
        *OBSERVATIONS.values(),
        *MORE_OBSERVATIONS.values(),
        *ACTIONS.values(),
        Box(np.array([-np.inf, -1.5]), np.array([0.1, np.inf]), dtype=np.float64),
        Box(np.array([[0, 1]]), np.array([[2**63 - 1, 3]]), dtype=np.int64),
        Box(0, 2**64 - 1, (2,), np.uint64),
        Dict(OrderedDict([("b", Discrete(2)), ("a", Discrete(3))])),
        Dict(OrderedDict([("b", Discrete(2, dtype=np.int32)), ("a", MultiBinary(3)), (3, Discrete(2))])),
        Tuple(()),
    ],
    ids=str,
)
def test_spaces_survive(space):
    data = json.loads(json.dumps(space_to_data(space), allow_nan=False))
    again = space_from_data(data, "here")
    assert again == space
    assert again.dtype == space.dtype
    assert list(getattr(again, "spaces", ())) == list(getattr(space, "spaces", ()))


def test_spaces_that_are_none():
    for space, message in ((Text(3), "a Text cannot be stored"), (Dict({(1, 2): Discrete(2)}), r"the key \(1, 2\)")):
        with pytest.raises(SettingsError, match=message):
            space_to_data(space)


BOX = {"type": "Box", "shape": [2], "dtype": "float32", "low": 0, "high": 1}
DEEP: dict = {"type": "Tuple", "spaces": []}
for _ in range(20):
    DEEP = {"type": "Tuple", "spaces": [DEEP]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "is no space, but a int"),
        ({"type": "Graph"}, "type = 'Graph': should be one of Box, Dict"),
        (DEEP, "nested too deep"),
        ({**BOX, "shape": [10**5, 10**5]}, "has 10000000000 numbers; should have 16777216 at most"),
        ({**BOX, "shape": [-1]}, "-1: should be a whole number from 1"),
        ({**BOX, "shape": [10**400]}, "should be a whole number from 1"),
        ({**BOX, "dtype": "object"}, "dtype = 'object': should be one of"),
        ({**BOX, "low": "nan"}, "low: should be numbers"),
        ({**BOX, "low": [0, 0, 0]}, "is no space: ValueError"),
        ({"type": "Discrete", "n": 10**9, "start": 0, "dtype": "int64"}, "should be a whole number from 1"),
        ({"type": "MultiDiscrete", "nvec": [10**6] * 3, "start": [0] * 3, "dtype": "int64"}, "3000000 choices"),
        ({"type": "Dict", "spaces": [["a", BOX], ["a", BOX]]}, "keys of a Dict"),
        ({"type": "Dict", "spaces": [[None, BOX]]}, "keys of a Dict"),
        ({"type": "Box"}, "is no space: KeyError: 'shape'"),
    ],
)
def test_hostile_spaces_are_refused(data, message):
    with pytest.raises(SettingsError, match=f"^here: .*{message}"):
        space_from_data(data, "here")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["model"], "nothing", "unknown model 'nothing'"),
        (["model"], "os:system", r"names code to be imported, 'os:system'; .*trust=True"),
        (["model"], "../../etc/passwd", "unknown model"),
        (
            ["inputs", "encoder"],
            {"type": "antigravity:fly", "settings": {}},
            "names code to be imported, 'antigravity:fly'",
        ),
        (["inputs", "encoder"], "antigravity:fly", "names code to be imported"),
        (["settings", "models"], [{"name": "this:that"}], "names code to be imported, 'this:that'"),
        (["settings", "d_model"], 10**9, "settings: 1000000000: should be 65,536 at most"),
        (["settings", "n_layers"], 2**16, "settings: ask for more weights than there are"),
        (["settings", "d_head"], 2**16, "settings: ask for more weights than there are"),
        (["settings", "d_model"], -3, "d_model = -3"),
        (["settings", "d_model"], "wide", "d_model = 'wide'"),
        (["settings", "gate_bias"], float("nan"), "NaN is no number"),
        (["settings", "n_heads"], 2, "has shape .* should have"),
        (["settings", "more"], 1, "unknown setting 'more'"),
        (["head", "widths"], [2**16] * 10**4, "ask for more weights than there are"),
        (["head", "free_log_std"], True, "which only actions of a Box have"),
        (["has_values"], "yes", "has_values = 'yes'"),
        (["filter_limit"], -1.0, "filter_limit = -1.0"),
        (["has_filter"], True, "'filters.0.mean' is missing"),
        (["format"], "pickle", "format = 'pickle'"),
        (["version"], 2, "was written by a later version of rllib_recattn"),
        (["observation_space", "shape"], [4096, 4096, 4], "has 67108864 numbers"),
        (["observation_space", "shape"], [4], "seen_space: should differ from observation_space in bounds only"),
        (["action_space", "n"], 4, "has shape .* should have"),
        (["action_space"], {"type": "MultiBinary", "n": 3}, "should be MultiDiscrete"),
        (["action_space"], {"type": "Tuple", "spaces": []}, "should have something to choose"),
    ],
)
def test_edited_settings_are_refused(path, value, message, tmp_path):
    written(tmp_path)
    change(tmp_path, *path, value=value)
    if not (isinstance(value, float) and np.isnan(value)):
        with pytest.raises(SettingsError):
            read_agent(tmp_path)
        sign(tmp_path)
    with pytest.raises(SettingsError, match=message) as caught:
        read_agent(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "antigravity" not in sys.modules


def test_memories_beyond_all_bounds_are_refused(tmp_path):
    written(tmp_path, model="gtrxl", settings={"d_model": 128, "n_layers": 9})
    change(tmp_path, "settings", "memory_length", value=2**16)
    sign(tmp_path)
    with pytest.raises(SettingsError, match=r"a state has 75497473 numbers; should have 67108864 at most"):
        read_agent(tmp_path)


def test_edited_weights_are_refused(tmp_path):
    written(tmp_path)
    file = tmp_path / WEIGHTS_FILE
    weights = load_file(file)
    name = "policy.layers.0.bias"
    for edit, message in (
        ({name: torch.full((3,), torch.nan)}, f"'{name}' should hold finite numbers"),
        ({name: torch.zeros(3, dtype=torch.int64)}, "dtype torch.int64; should have"),
        ({name: torch.zeros(3, dtype=torch.float64)}, "dtype torch.float64"),
        ({name: torch.zeros(1, 3)}, r"has shape \[1, 3\]"),
        ({"more": torch.zeros(3)}, "'more' is none of this agent's"),
    ):
        save_file({**weights, **edit}, file)
        with pytest.raises(SettingsError, match=r"weights\.safetensors: has changed since it was written"):
            read_agent(tmp_path)
        sign(tmp_path)
        with pytest.raises(SettingsError, match=message):
            read_agent(tmp_path)


def outcome(folder):
    try:
        return None, read_agent(folder)
    except SettingsError as error:
        return str(error), None


def test_damaged_files_are_refused(tmp_path):
    """Cut short, with bytes of others in them, exchanged, or gone: one clear error, or the agent as it was."""
    agent = written(tmp_path)
    expected, settings = agent.description, json.loads((tmp_path / SETTINGS_FILE).read_text())
    draw = random.Random(0)
    for name in (SETTINGS_FILE, WEIGHTS_FILE):
        whole = (tmp_path / name).read_bytes()
        # The beginning of the weights says where they are.
        near = len(whole) if name == SETTINGS_FILE else 600
        damaged = [whole[: draw.randrange(len(whole))] for _ in range(15)] + [
            b"",
            b"\xff" * 40,
            b"[" * 10**5,
            b"[]",
            b"3",
        ]
        damaged += [b'{"format": ' + b"9" * 10**5 + b"}", bytes([0xFF] * 8) + whole[8:], whole + whole]
        for _ in range(60):
            at = draw.randrange(near)
            damaged.append(whole[:at] + bytes(draw.choices(range(256), k=draw.choice((1, 1, 8)))) + whole[at + 1 :])
        refused = 0
        for content in damaged:
            (tmp_path / name).write_bytes(content)
            error, read = outcome(tmp_path)
            if error is not None:
                refused += 1
                assert str(tmp_path) in error
            else:
                assert json.loads((tmp_path / SETTINGS_FILE).read_text()) == settings
                assert read.description == expected
                weights = read.network.state_dict()
                assert all(tensor.equal(weights[key]) for key, tensor in agent.network.state_dict().items())
        assert refused > len(damaged) // 2
        (tmp_path / name).write_bytes(whole)
        (tmp_path / name).rename(tmp_path / "elsewhere")
        with pytest.raises(SettingsError, match=f"{name} is missing"):
            read_agent(tmp_path)
        (tmp_path / "elsewhere").rename(tmp_path / name)
    assert read_agent(tmp_path).description == expected


def test_each_number_that_changes_is_noticed(tmp_path):
    """Also such as fit: bounds by which actions are scaled, a weight's last bit, a limit of the filter."""
    written(tmp_path, action=Box(-1, 1, (2,)))
    for path, value in (
        (["action_space", "high"], 2.0),
        (["normalize_actions"], False),
        (["settings", "gate_bias"], 0.5),
        (["policy"], "other"),
        (["written_by"], "9.9"),
    ):
        before = (tmp_path / SETTINGS_FILE).read_text()
        change(tmp_path, *path, value=value)
        with pytest.raises(SettingsError, match=r"agent\.json: has changed since it was written"):
            read_agent(tmp_path)
        sign(tmp_path)
        read_agent(tmp_path)
        (tmp_path / SETTINGS_FILE).write_text(before)
    content = bytearray((tmp_path / WEIGHTS_FILE).read_bytes())
    content[-4] ^= 1
    (tmp_path / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(SettingsError, match=r"weights\.safetensors: has changed since it was written"):
        read_agent(tmp_path)
    sign(tmp_path)
    data = json.loads((tmp_path / SETTINGS_FILE).read_text())
    for key in ("weights_sha256", "settings_sha256", "policy"):
        (tmp_path / SETTINGS_FILE).write_text(json.dumps({each: data[each] for each in data if each != key}))
        with pytest.raises(SettingsError, match=f"the setting '{key}' is missing"):
            read_agent(tmp_path)


def test_it_says_of_which_policy_it_is(tmp_path):
    written(tmp_path)
    assert read_agent(tmp_path, policy="default_policy").n_rows is None
    with pytest.raises(SettingsError, match="policy = 'zzz': is the policy 'default_policy'"):
        read_agent(tmp_path, policy="zzz")


def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            written(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_encoders_of_others_are_imported_for_those_who_trust_them(tmp_path):
    encoder = {"type": "tests.inputs.own_encoders:Sum", "settings": {"width": 5}}
    space = Dict({"vector": Box(-1, 1, (2,)), "image": Box(0, 255, (2, 3), np.uint8)})
    before = written(tmp_path, observation=space, inputs={"encoder": encoder})
    with pytest.raises(SettingsError, match=r"names code to be imported, 'tests\.inputs\.own_encoders:Sum'"):
        read_agent(tmp_path)
    after = read_agent(tmp_path, trust=True)
    for agent in (before, after):
        agent.act({"vector": np.ones(2), "image": np.full((2, 3), 7)})
    assert np.array_equal(before.logits, after.logits)


def test_it_is_loaded_and_acts_where_there_is_no_ray(tmp_path):
    written(tmp_path, inputs={"use_prev_action": True})
    code = (
        f"import sys; sys.modules['ray'] = None\n"
        f"import rllib_recattn as ra\n"
        f"agent = ra.load_agent({str(tmp_path)!r}, values=True)\n"
        f"print(agent.act([0.1, 0.2, 0.3]).shape, agent.n_rows)\n"
        f"unwanted = ('gymnasium.envs.mujoco.', 'pygame', 'minigrid', 'miniworld', 'scipy', 'pandas', 'matplotlib')\n"
        f"print([name for name in sys.modules if name.startswith(unwanted)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["() None", "[]"], done.stderr


def test_reading_leaves_no_limit_behind(tmp_path):
    written(tmp_path)
    read_agent(tmp_path)
    assert torch.nn.Linear(1000, 1000).weight.numel() == 1_000_000
    assert agent_of().n_rows is None
