"""Evaluation, against a loop over the RLModule written by hand."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from PIL import Image
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModule

import rllib_recattn as ra
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import load_config, module_directory
from rllib_recattn.experiment.evaluation.evaluate import EpisodeResult, EvaluationResult, evaluate_checkpoint
from rllib_recattn.experiment.evaluation.video import VideoRecorder

# RLlib registers environments that are given as a class again for each EnvRunner.
pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env")

EPISODES = 6


class EveryActionCounts(gym.Env):
    """Random observations, and a return that tells which action was taken at which step."""

    observation_space = gym.spaces.Box(-1, 1, (3,))
    action_space = gym.spaces.Discrete(4)

    def __init__(self, config=None):
        self.reports_success = (config or {}).get("reports_success", True)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.length = 0, int(self.np_random.integers(8, 13))
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        reward = float(action) * 4.0**self.steps
        done = self.steps == self.length
        info = {"success": bool(action == 0)} if done and self.reports_success else {}
        return self.observe(), reward, done, False, info

    def observe(self):
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)


def play_by_hand(checkpoint, seed, explore):
    """Play an episode with nothing but the environment and the RLModule, the state carried along."""
    env = EveryActionCounts(load_config(checkpoint).env_config)
    module = RLModule.from_checkpoint(module_directory(checkpoint))
    torch.manual_seed(seed)
    observation, _ = env.reset(seed=seed)
    state = tree.map_structure(lambda part: torch.as_tensor(part)[None], module.get_initial_state())
    rewards, done, info = [], False, {}
    while not done:
        batch = {Columns.OBS: torch.as_tensor(observation)[None]}
        if module.is_stateful():
            batch = {Columns.OBS: batch[Columns.OBS][:, None], Columns.STATE_IN: state}
        with torch.no_grad():
            out = module.forward_exploration(batch) if explore else module.forward_inference(batch)
        logits = out[Columns.ACTION_DIST_INPUTS].reshape(1, -1)
        state = out.get(Columns.STATE_OUT)
        action = torch.distributions.Categorical(logits=logits).sample() if explore else logits.argmax(-1)
        observation, reward, done, _, info = env.step(int(action))
        rewards.append(reward)
    return EpisodeResult(seed, sum(rewards), len(rewards), info.get("success"))


@pytest.fixture(scope="module", params=["agalite", "lstm", "mlp"])
def checkpoint(request, ray_session, tmp_path_factory):
    """A checkpoint of an agent with large random weights, whose actions depend much on what it remembers."""
    config = (
        PPOConfig()
        .environment(EveryActionCounts, env_config={"reports_success": request.param != "lstm"})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2)
        .training(train_batch_size_per_learner=64, minibatch_size=32)
        .debugging(seed=0, log_level="ERROR")
    )
    if request.param == "agalite":
        ra.use_model(config, "agalite", max_seq_len=8, d_model=16, n_layers=2, n_heads=2, d_head=4)
    else:
        recurrence = {"use_lstm": True, "max_seq_len": 8, "lstm_cell_size": 16} if request.param == "lstm" else {}
        config.rl_module(model_config={"fcnet_hiddens": [16], **recurrence})

    def randomize(learner):
        with torch.no_grad():
            for name, parameter in learner.module["default_policy"].named_parameters():
                # A large bias would choose the same action always.
                parameter.normal_(std=0.0 if name.endswith("bias") else 1.0)

    algorithm = config.build_algo()
    try:
        algorithm.learner_group.foreach_learner(randomize)
        algorithm.save_to_path(str(tmp_path_factory.mktemp(request.param) / "checkpoint"))
    finally:
        algorithm.stop()
    return tmp_path_factory.getbasetemp() / f"{request.param}0" / "checkpoint"


@pytest.fixture(scope="module")
def mlp_checkpoint(ray_session, tmp_path_factory):
    """A checkpoint of RLlib's own feed-forward network, with observations normalised by a connector."""
    from ray.rllib.connectors.env_to_module import MeanStdFilter

    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, env_to_module_connector=lambda *args, **kwargs: MeanStdFilter())
        .rl_module(model_config={"fcnet_hiddens": [16]})
        .training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
        .debugging(seed=0, log_level="ERROR")
    )
    return save(config, tmp_path_factory.mktemp("mlp"))


def save(config, directory):
    algorithm = config.build_algo()
    try:
        algorithm.train()
        algorithm.save_to_path(str(directory / "checkpoint"))
    finally:
        algorithm.stop()
    return directory / "checkpoint"


@pytest.mark.parametrize("explore", [False, True], ids=["greedy", "stochastic"])
def test_every_episode_is_as_played_by_hand(checkpoint, explore):
    result = evaluate_checkpoint(checkpoint, episodes=EPISODES, seed=3, explore=explore)
    assert list(result.episodes) == [play_by_hand(checkpoint, seed, explore) for seed in range(3, 3 + EPISODES)]
    assert len({episode.episode_return for episode in result.episodes}) == EPISODES
    assert result.env == "EveryActionCounts"
    assert (result.success_rate is None) == (not result.env_config["reports_success"])


@pytest.mark.parametrize("explore", [False, True], ids=["greedy", "stochastic"])
def test_an_episode_does_not_depend_on_the_ones_before(mlp_checkpoint, explore):
    together = evaluate_checkpoint(mlp_checkpoint, episodes=4, explore=explore).episodes
    alone = [evaluate_checkpoint(mlp_checkpoint, episodes=1, seed=k, explore=explore).episodes[0] for k in range(4)]
    assert list(together) == alone
    assert len({episode.length for episode in together}) > 1


@pytest.mark.parametrize("explore", [False, True], ids=["greedy", "stochastic"])
def test_an_agent_that_was_restored_plays_the_episodes_that_it_played_before(checkpoint, tmp_path, explore):
    before = evaluate_checkpoint(checkpoint, episodes=EPISODES, explore=explore)
    algorithm = Algorithm.from_checkpoint(checkpoint)
    algorithm.save_to_path(str(tmp_path / "again"))
    algorithm.stop()
    after = evaluate_checkpoint(tmp_path / "again", episodes=EPISODES, explore=explore)
    assert after.episodes == before.episodes


def test_the_random_state_of_the_caller_is_left_alone(finished_run):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    evaluate_checkpoint(finished_run.result.checkpoint, episodes=1, explore=True)
    assert torch.equal(torch.rand(3), expected)


def test_no_ray_is_started(finished_run):
    program = (
        "import sys, ray; from pathlib import Path;"
        "from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint;"
        "print(evaluate_checkpoint(Path(sys.argv[1]), episodes=2).length.mean > 0, ray.is_initialized())"
    )
    command = [sys.executable, "-c", program, str(finished_run.result.run_dir)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True False\n"


def test_a_gif_shows_the_first_episodes_from_reset_to_end(finished_run, tmp_path):
    recorder = VideoRecorder(tmp_path / "episodes.gif", episodes=2)
    result = evaluate_checkpoint(finished_run.result.checkpoint, episodes=3, explore=True, video=recorder)
    with Image.open(tmp_path / "episodes.gif") as video:
        assert video.n_frames == sum(episode.length + 1 for episode in result.episodes[:2])
        assert video.size[0] > 100
    plain = evaluate_checkpoint(finished_run.result.checkpoint, episodes=3, explore=True)
    assert result.episodes == plain.episodes


class Undrawable(EveryActionCounts):
    """Says that it can be drawn, and cannot."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, config=None):
        super().__init__(config)
        self.render_mode = (config or {}).get("render_mode")
        if (config or {}).get("refuses") and self.render_mode:
            raise TypeError("no render_mode here")

    def render(self):
        raise RuntimeError("no screen")


class ReturnsNothing(Undrawable):
    def render(self):
        return None


@pytest.mark.parametrize(
    ("env", "env_config", "why"),
    [
        (EveryActionCounts, {}, "the environment EveryActionCounts has no render_mode 'rgb_array'"),
        (Undrawable, {}, "render fails: RuntimeError: no screen"),
        (Undrawable, {"refuses": True}, "does not take render_mode = 'rgb_array': TypeError: no render_mode here"),
        (ReturnsNothing, {}, "render should return a picture, [height, width, 3], not object ()"),
    ],
)
def test_what_cannot_be_drawn_is_evaluated_all_the_same(ray_session, tmp_path, env, env_config, why):
    config = PPOConfig().environment(env, env_config=env_config).env_runners(num_env_runners=0)
    config.training(train_batch_size_per_learner=8, minibatch_size=8, num_epochs=1)
    checkpoint = save(config, tmp_path)
    result = evaluate_checkpoint(checkpoint, episodes=2, video=VideoRecorder(tmp_path / "none.gif", episodes=1))
    assert why in result.no_video
    assert not (tmp_path / "none.gif").exists()
    plain = evaluate_checkpoint(checkpoint, episodes=2)
    assert (plain.env, plain.no_video) == (env.__name__, None)
    assert result.episodes == plain.episodes


def test_several_agents_of_a_config_from_python(ray_session, tmp_path):
    from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole

    config = (
        PPOConfig()
        .environment(MultiAgentCartPole, env_config={"num_agents": 2})
        .env_runners(num_env_runners=0)
        .multi_agent(policies={"p"}, policy_mapping_fn=lambda *args, **kwargs: "p")
        .training(train_batch_size_per_learner=8, minibatch_size=8, num_epochs=1)
    )
    algorithm = config.build_algo()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.stop()
    result = evaluate_checkpoint(tmp_path / "checkpoint", episodes=2)
    assert result.agent_returns.keys() == {"0", "1"}
    assert result.policy_returns["p"].mean == result.episode_return.mean


def test_statistics_are_those_of_the_episodes(tmp_path):
    episodes = (
        EpisodeResult(0, 1.0, 10, True),
        EpisodeResult(1, 3.0, 20, False),
        EpisodeResult(2, 5.0, 30, None),
    )
    result = EvaluationResult(tmp_path, "env", {}, False, episodes)
    assert result.episode_return.mean == 3
    assert result.length.mean == 20
    assert result.success_rate.mean == pytest.approx(1 / 3)


def test_no_episodes_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="episodes = 0"):
        evaluate_checkpoint(tmp_path, episodes=0)
