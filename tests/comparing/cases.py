"""A small experiment in an environment of a user's own, and runs that nobody trained."""

from __future__ import annotations

from pathlib import Path

from rllib_recattn.comparing.plan import plan_comparison
from rllib_recattn.comparing.pool import Pool
from rllib_recattn.comparing.result import Evaluation, Point
from rllib_recattn.experiment.definition.load import load_experiment

ENVIRONMENT = '''
import gymnasium as gym
import numpy as np


class Recall(gym.Env):
    """Shows a bit, and asks for it after `delay` steps."""

    def __init__(self, delay=2):
        self.delay = delay
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.bit, self.t = int(self.np_random.integers(2)), 0
        return np.array([2 * self.bit - 1, 0], np.float32), {}

    def step(self, action):
        self.t += 1
        done = self.t > self.delay
        right = bool(done and action == self.bit)
        info = {"success": right} if done else {}
        return np.array([0, self.t == self.delay], np.float32), float(right), done, False, info
'''

EXPERIMENT = """
recall:
  run: PPO
  env: {module}:Recall
  stop: {{env_runners/success_rate: 0.95, num_env_steps_sampled_lifetime: 4_000}}
  model: {{name: gla, d_model: 16, n_layers: 1, n_heads: 2, d_head: 8, max_seq_len: 8}}
  config:
    env_config: {{delay: 2}}
    num_env_runners: 0
    num_envs_per_env_runner: 8
    train_batch_size_per_learner: 512
    minibatch_size: 256
    num_epochs: 2
    lr: 0.003
"""


def write_experiment(folder: Path, module: str = "own_recall", **changed: str) -> Path:
    """Write the experiment and its environment; `changed` are lines to put in the place of others."""
    (folder / f"{module}.py").write_text(ENVIRONMENT, encoding="utf-8")
    text = EXPERIMENT.format(module=module)
    for before, after in changed.items():
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{before}:"))
        text = text.replace(line, after)
    path = folder / "recall.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def plan_of(folder: Path, models=("gla", "gru"), **options):
    """Plan a comparison of the experiment, without a search if nothing else is said."""
    path = write_experiment(folder)
    return plan_comparison(
        load_experiment(path),
        list(models),
        **{"seeds": 2, "budget": "4k", "directory": folder / "out", "lr_search": "off", "episodes": 200, **options},
    )


class FakePool(Pool):
    """Answers at once; `learn` says after how many steps a run has solved its task, None: never."""

    def __init__(self, learn, fail=lambda run: False, batch=512):
        self.learn, self.fail, self.batch = learn, fail, batch
        self.begun, self.ended, self.asked, self.steps = [], [], [], {}

    def begin(self, run, experiment, goals):
        assert experiment.config["seed"] == run.seed
        assert experiment.model == run.contender.model
        self.begun.append(run.label)
        self.steps[run] = 0

    def ask(self, run, what, *arguments):
        self.asked.append((run, what, arguments))

    def answers(self):
        run, what, arguments = self.asked.pop(0)
        if self.fail(run):
            return [(run, "failed", ValueError("it broke"))]
        if what == "machine":
            return [(run, what, {"cpu": "none"})]
        if what == "evaluate":
            solved = self.learn(run)
            rate = 0.97 if solved is not None and self.steps[run] >= solved else 0.5 + run.seed / 100
            return [(run, what, Evaluation(episodes=arguments[0], mean_return=rate, success_rate=rate))]
        self.steps[run] += self.batch
        steps, solved = self.steps[run], self.learn(run)
        rate = 1.0 if solved is not None and steps >= solved else 0.5
        goals = {"env_runners/success_rate": rate}
        point = Point(
            steps=steps, episodes=steps // 3, seconds=steps / 100, mean_return=rate, success_rate=rate, goals=goals
        )
        return [(run, what, point)]

    def end(self, run):
        self.asked = [asked for asked in self.asked if asked[0] != run]
        self.ended.append(run.label)
