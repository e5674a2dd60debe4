"""`rllib serve` as a program: processes that come and go, and what is refused before it starts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import gymnasium
import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from rllib_recattn.agents.stored import write_agent
from rllib_recattn.cli.main import main
from tests.agents.small import agent_of, description_of, weights_of
from tests.programs import RLLIB_PROGRAM


@pytest.fixture
def exported(tmp_path):
    folder = tmp_path / "agent"
    folder.mkdir()
    description = description_of()
    write_agent(description, weights_of(description), folder, "default_policy")
    return folder


def free_port():
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


@contextmanager
def serving(*arguments):
    """Yields a client of a server that runs, and its process."""
    port = free_port()
    command = [sys.executable, "-c", RLLIB_PROGRAM, "serve", *map(str, arguments), "--port", str(port)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        try:
            until(lambda: client.get("/healthz").status_code == 200)
            yield client, process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def until(holds):
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("it never came")


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_no_session_with_it(exported):
    agent = agent_of()
    observations = np.random.default_rng(0).uniform(-1, 1, (30, 3)).astype(np.float32)
    with serving(exported, "--workers", 2) as (client, _):

        def worker():
            return httpx.get(f"{client.base_url}/healthz").json()["process"]  # whichever takes a new connection

        both = set()
        until(lambda: both.add(worker()) or len(both) == 2)
        to_kill = dict(zip((10, 20), both, strict=True))
        state = None
        for step, observation in enumerate(observations):
            if step in to_kill:
                os.kill(to_kill[step], signal.SIGKILL)
            asked = {"observation": observation.tolist(), "state": state, "session": "a", "logits": True}
            answers = []
            until(lambda asked=asked, answers=answers: answers.append(client.post("/act", json=asked)) or True)
            agent.act(observation)
            np.testing.assert_allclose(answers[-1].json()["logits"], agent.logits, rtol=1e-5, atol=1e-6)
            state = answers[-1].json()["state"]
        until(lambda: worker() not in both)


@pytest.mark.slow
def test_the_program_of_the_documentation_plays_an_episode(exported, monkeypatch):
    page = Path(__file__).parents[2].joinpath("docs", "agents.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "httpx" in block)
    assert "http://127.0.0.1:8000" in code
    agent, env = agent_of(), PlayedEnv()
    with serving(exported) as (client, _):
        exec(code.replace("http://127.0.0.1:8000", str(client.base_url)), {"env": env})
    assert len(env.actions) == len(env.observations) - 1
    assert env.actions == [int(agent.act(each)) for each in env.observations[:-1]]


class PlayedEnv(gymnasium.Env):
    """Shows random numbers for 12 steps."""

    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Discrete(3)

    def reset(self, **options):
        self.observation_space.seed(0)
        self.observations, self.actions = [self.observation_space.sample()], []
        return self.observations[-1], {}

    def step(self, action):
        self.actions.append(action)
        self.observations.append(self.observation_space.sample())
        return self.observations[-1], 0.0, len(self.actions) == 12, False, {}


@pytest.mark.slow
def test_a_hundred_megabytes_are_refused_and_it_ends_when_told_to(exported, tmp_path):
    (tmp_path / "secret").write_text("a secret of the tests\n")
    with serving(exported, "--secret-file", tmp_path / "secret") as (client, _):
        state = client.post("/act", json={"observation": [0, 0, 0]}).json()["state"]
        try:
            answer = client.post("/act", content=b"0" * (100 << 20), headers={"content-type": "application/json"})
            assert answer.status_code == 413
        except httpx.WriteError:
            pass  # it closed the connection while we were still sending
        assert client.get("/healthz").status_code == 200
    with serving(exported, "--secret-file", tmp_path / "secret") as (client, process):
        answer = client.post("/act", json={"observation": [0, 0, 0], "state": state})
        assert answer.status_code == 200, "the session did not outlast the restart"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert "agalite acts at http://127.0.0.1:" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_it_ends_though_a_client_never_comes_to_its_end(exported):
    with (
        serving(exported) as (client, process),
        socket.create_connection((client.base_url.host, client.base_url.port)) as slow,
    ):
        slow.sendall(b"POST /act HTTP/1.1\r\nHost: agent\r\nContent-Length: 50\r\n\r\n{")
        assert client.get("/healthz").status_code == 200
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
        assert slow.recv(20).startswith(b"HTTP/1.1 503")
    assert process.returncode == 0
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--expire", "0"], "--expire 0: should be a finite number of seconds > 0"),
        (["--expire", "nan"], "--expire nan: should be a finite number of seconds > 0"),
        (["--secret-file", "/nowhere/secret"], "--secret-file '/nowhere/secret': cannot be read"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1 --port 8000: cannot listen there"),
        (["--policy", "other"], "other"),
        (["--device", "abacus"], "device = 'abacus'"),
        (["--port", "65536"], "65536 is not in the range"),
    ],
)
def test_what_is_wrong_is_said_before_it_starts(exported, arguments, says):
    done = CliRunner().invoke(main, ["serve", str(exported), *arguments])
    assert done.exit_code != 0
    assert says in " ".join(done.output.split()).replace("' '", "")


def test_a_port_that_is_taken_and_a_secret_that_is_short(exported, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["serve", str(exported), "--port", str(port)])
    assert f"--port {port}: cannot listen there: address already in use" in " ".join(done.output.split())
    (tmp_path / "short").write_text("12345")
    done = CliRunner().invoke(main, ["serve", str(exported), "--secret-file", str(tmp_path / "short")])
    assert "should hold at least 16 bytes" in " ".join(done.output.split())


def test_no_agent_is_said(tmp_path):
    done = CliRunner().invoke(main, ["serve", str(tmp_path / "none")])
    assert done.exit_code != 0
    assert "none" in done.output
    assert "Traceback" not in done.output
