"""What training left, exported as files and graphs and asked over HTTP: the same episodes, the same successes."""

from __future__ import annotations

import re
from pathlib import Path

import gymnasium as gym
import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from tests.serving.test_server import serving

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")
EPISODES = 30


def shown(word):
    """The program in Python of the page that has a word."""
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if word in block)
    return code


class Seeded(gym.Wrapper):
    """Begins each episode with the next seed, as `rllib evaluate` does, and counts what succeeds."""

    def __init__(self):
        super().__init__(gym.make("rllib_recattn/TMaze-v0", corridor_length=3, max_episode_steps=12))
        self.episodes, self.successes = 0, 0

    def reset(self, **options):
        self.episodes += 1
        return super().reset(seed=self.episodes - 1)

    def step(self, action):
        *result, info = super().step(int(action))
        self.successes += bool(info.get("success", False))
        return *result, info


@pytest.mark.slow
def test_episodes_by_onnx_and_over_http_succeed_as_those_of_rllib(finished_run, tmp_path, monkeypatch):
    run = str(finished_run.result.run_dir)
    for arguments in (["-o", "stored"], ["-o", "agent", "--format", "onnx"]):
        out = str(tmp_path / arguments[1])
        done = CliRunner().invoke(main, ["export", run, "-o", out, *arguments[2:]])
        assert done.exit_code == 0, done.output
    evaluated = evaluate_checkpoint(finished_run.result.run_dir, episodes=EPISODES)
    expected = sum(bool(episode.success) for episode in evaluated.episodes)

    monkeypatch.chdir(tmp_path)  # where the page's programs look for agent/
    by_onnx = Seeded()
    for _ in range(EPISODES):
        exec(shown("InferenceSession"), {"env": by_onnx})
    assert (by_onnx.episodes, by_onnx.successes) == (EPISODES, expected)

    over_http = Seeded()
    with serving(tmp_path / "stored") as (client, _):
        for _ in range(EPISODES):
            exec(shown("httpx").replace("http://127.0.0.1:8000", str(client.base_url)), {"env": over_http})
    assert (over_http.episodes, over_http.successes) == (EPISODES, expected)
