"""``rllib export``: agents in folders."""

from __future__ import annotations

import json
import resource
import shutil

import gymnasium as gym
import numpy as np
import pytest
from click.testing import CliRunner
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole

import rllib_recattn as ra
from rllib_recattn.agents.stored import SETTINGS_FILE, WEIGHTS_FILE
from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.observation_filter import filter_observations
from tests.agents.checkpoints import assert_plays_alike, config_of, save

pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")


def export(*arguments):
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


@pytest.fixture(scope="module")
def checkpoint(ray_session, tmp_path_factory):
    box = gym.spaces.Box(-5, 9, (2,), np.float64)
    config = filter_observations(PPOConfig())
    config = config_of(
        "gru", box, box, config=config, vf_share_layers=False, use_prev_action=True, use_prev_reward=True
    )
    return save(config, tmp_path_factory.mktemp("exported"), iterations=1)


def test_what_is_exported_plays_as_rllib_does(checkpoint, tmp_path):
    out = tmp_path / "a folder" / "agent"
    done = export(checkpoint, "-o", out)
    assert done.exit_code == 0, done.output
    assert f"Wrote {out}: policy default_policy, gru, " in done.output.replace("\n", " ")
    assert sorted(path.name for path in out.iterdir()) == [SETTINGS_FILE, WEIGHTS_FILE]
    assert [path.name for path in out.parent.iterdir()] == ["agent"]
    assert json.loads((out / SETTINGS_FILE).read_text())["has_filter"]
    agent = ra.load_agent(out, values=True)
    assert_plays_alike(checkpoint, agent)
    before = ra.load_agent(checkpoint, values=True)
    for each in (agent, before):
        each.reset()
        each.act(np.array([1.0, 2.0]))
    assert agent.values == before.values


@pytest.mark.parametrize("form", [pytest.param("onnx", marks=pytest.mark.slow), "pt2"])
def test_graphs_are_run_beside_the_agent_before_they_are_kept(form, checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "agent"
    done = export(checkpoint, "-o", out, "--format", form, "--values")
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "in 50 steps of 1, 3 and 64 rows: the largest error is" in text
    assert "docs/agents.md shows how to run it" in text
    assert sorted(path.name for path in out.iterdir()) == [f"agent.{form}", "interface.json"]
    outputs = [port["name"] for port in json.loads((out / "interface.json").read_text())["outputs"]]
    assert outputs == ["action", "logits", "value", "chosen_action", "next_state", "next_critic_state"]
    with pytest.raises(SettingsError, match=rf"holds the graph of a step, agent\.{form}, .* --format safetensors"):
        ra.load_agent(out)
    assert "is an exported agent already" in " ".join(export(out, "-o", tmp_path / "again").output.split())
    assert "replace the agent in it with --force" in " ".join(export(checkpoint, "-o", out).output.split())

    def fail(*args):
        raise SettingsError("differs")

    monkeypatch.setattr("rllib_recattn.agents.graphs.write.largest_error", fail)
    assert "differs" in export(checkpoint, "-o", out, "--format", form, "--force").output
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]
    assert (out / f"agent.{form}").is_file()
    assert export(checkpoint, "-o", out, "--force").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [SETTINGS_FILE, WEIGHTS_FILE]


def test_values_are_asked_for_where_a_graph_may_leave_them_out(checkpoint, tmp_path):
    done = export(checkpoint, "-o", tmp_path / "agent", "--values")
    assert "--values: is of graphs; safetensors hold the value function anyway" in " ".join(done.output.split())


def test_a_run_is_one_whatever_lies_beside_its_checkpoints(checkpoint, tmp_path):
    run = tmp_path / "run"
    assert export(checkpoint, "-o", run).exit_code == 0
    shutil.copytree(checkpoint, run / "trial" / "checkpoint_000000")
    done = export(run, "-o", tmp_path / "agent")
    assert done.exit_code == 0, done.output


def test_what_is_there_is_not_lost(checkpoint, tmp_path):
    out = tmp_path / "agent"
    assert export(checkpoint, "-o", out).exit_code == 0
    done = export(checkpoint, "-o", out)
    assert done.exit_code != 0
    assert "replace the agent in it with --force" in " ".join(done.output.split())
    assert export(checkpoint, "-o", out, "--force").exit_code == 0
    ra.load_agent(out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    done = export(checkpoint, "-o", tmp_path / "mine", "--force")
    assert "holds something else than exported agents" in " ".join(done.output.split())
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agent", "mine"]
    done = export(out, "-o", tmp_path / "again")
    assert "is an exported agent already" in " ".join(done.output.split())


def test_only_what_was_exported_is_replaced(checkpoint, tmp_path):
    agent = tmp_path / "agent"
    assert export(checkpoint, "-o", agent).exit_code == 0

    def folder(name, *parts):
        made = tmp_path / name
        made.mkdir()
        for part in parts:
            shutil.copytree(agent, made / part) if part else shutil.copytree(agent, made, dirs_exist_ok=True)
        return made

    mine = folder("mine")
    (mine / SETTINGS_FILE).write_text("{}")
    (mine / WEIGHTS_FILE).write_bytes(b"")
    beside = folder("beside", "")
    (beside / "notes.txt").write_text("kept")
    hidden = folder("hidden", "")
    (hidden / ".git").mkdir()
    among = folder("among", "a", "b")
    (among / "plot.png").write_bytes(b"kept")
    within = folder("within", "a", "b")
    (within / "b" / "notes.txt").write_text("kept")
    link = folder("link", "a")
    (link / "b").symlink_to(agent, target_is_directory=True)
    cases = [(mine, "'agent.json', 'weights.safetensors'"), (beside, "'notes.txt'"), (hidden, "'.git'")]
    cases += [(among, "'plot.png'"), (within, "'b'"), (link, "'b'")]
    for out, named in cases:
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        done = export(checkpoint, "-o", out, "--force")
        text = " ".join(done.output.split())
        assert done.exit_code != 0, out
        assert "holds something else than exported agents" in text
        assert named in text
        assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert export(checkpoint, "-o", folder("empty"), "--force").exit_code == 0


def test_nothing_is_left_of_what_could_not_be_written(checkpoint, tmp_path, monkeypatch):
    from rllib_recattn.experiment.trained_agents import export as module

    def fail(*args, **kwargs):
        raise SettingsError("no")

    monkeypatch.setattr(module, "read_agent", fail)
    with pytest.raises(SettingsError, match="no"):
        module.export_agents(checkpoint, tmp_path / "agent")
    assert list(tmp_path.iterdir()) == []


def test_several_policies_lie_in_a_folder_each(ray_session, tmp_path):
    config = PPOConfig().environment(MultiAgentCartPole, env_config={"num_agents": 2}).env_runners(num_env_runners=0)
    config.multi_agent(policies={"a", "b"}, policy_mapping_fn=lambda agent, *args, **kwargs: "ab"[agent])
    config.debugging(log_level="ERROR")
    checkpoint, out = save(ra.use_model(config, "gru", d_model=8), tmp_path), tmp_path / "agents"
    done = export(checkpoint, "-o", out)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]
    with pytest.raises(SettingsError, match="has several policies; choose one by policy=…: a, b"):
        ra.load_agent(out)
    with pytest.raises(SettingsError, match="policy = 'c': valid are: a, b"):
        ra.load_agent(out, policy="c")
    logits = []
    for path in (checkpoint, out):
        for policy in "ab":
            agent = ra.load_agent(path, policy=policy)
            agent.act([0.1, 0.2, 0.3, 0.4])
            logits.append(agent.logits)
    assert np.array_equal(logits[:2], logits[2:])
    assert not np.array_equal(logits[0], logits[1])
    done = export(checkpoint, "-o", out, "--policy", "b", "--force")
    assert "holds the agents of the policies 'a', 'b', of which 'b' would replace all" in " ".join(done.output.split())
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]
    assert export(checkpoint, "-o", out, "--force").exit_code == 0
    assert export(checkpoint, "-o", tmp_path / "b", "--policy", "b").exit_code == 0
    ra.load_agent(tmp_path / "b").act([0.1, 0.2, 0.3, 0.4])


def test_the_hint_says_that_an_encoder_of_ones_own_is_to_be_trusted(ray_session, tmp_path):
    space = gym.spaces.Dict({"vector": gym.spaces.Box(-1, 1, (2,)), "image": gym.spaces.Box(0, 255, (2, 3), np.uint8)})
    encoder = {"type": "tests.inputs.own_encoders:Sum", "settings": {"width": 5}}
    checkpoint, out = save(config_of("gru", space, encoder=encoder), tmp_path), tmp_path / "agent"
    done = export(checkpoint, "-o", out)
    assert done.exit_code == 0, done.output
    assert ", trust=True)" in done.output
    ra.load_agent(out, trust=True).act(space.sample())


def test_a_full_disk_is_said_to_be_one(checkpoint, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        done = export(checkpoint, "-o", tmp_path / "agent")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written to: file too large" in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []
