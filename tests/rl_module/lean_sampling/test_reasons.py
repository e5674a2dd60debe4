"""When an EnvRunner samples in RLlib's way, and that it says so."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import gymnasium as gym
import pytest
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from rllib_recattn.rl_module.lean_sampling import callback
from rllib_recattn.rl_module.lean_sampling.reasons import knows
from rllib_recattn.rl_module.lean_sampling.sampler import LeanSampler
from rllib_recattn.rl_module.rllib_internals import sampling
from tests.rl_module.lean_sampling.both_ways import config_of


class EachStep(RLlibCallback):
    def on_episode_step(self, **kwargs):
        pass


class EachStepByItself(RLlibCallback):
    def __init__(self):
        super().__init__()
        self.on_episode_step = lambda **kwargs: None


class Passing(ConnectorV2):
    def __call__(self, *, batch, **kwargs):
        return batch


class OwnEnvRunner(SingleAgentEnvRunner):
    def _new_episode(self, env_index, episodes=None):
        super()._new_episode(env_index, episodes)


LOGGER = "ray.rllib.lean_sampling"


def sampled(config, runner_class=SingleAgentEnvRunner, **how):
    """What an EnvRunner reports of how it sampled."""
    runner = runner_class(config=config)
    try:
        runner.sample(**(how or {"num_timesteps": 4}))
        return runner.get_metrics()[callback.LEAN_SAMPLING].peek()
    finally:
        runner.stop()


REASONS = {
    "lean_sampling = False": {"lean_sampling": False},
    "sparse_states = False": {"sparse_states": False},
    "other env-to-module connectors than RLlib's and ours: FlattenObservations, ": {
        "before": lambda config: config.env_runners(env_to_module_connector=lambda *args: FlattenObservations())
    },
    "other module-to-env connectors than RLlib's and ours: GetActions, ": {
        "before": lambda config: config.env_runners(module_to_env_connector=lambda *args: Passing())
    },
    "EachStep has an on_episode_step": {"before": lambda config: config.callbacks(EachStep)},
    "EachStepByItself has an on_episode_step": {"before": lambda config: config.callbacks(EachStepByItself)},
    "config.callbacks(on_episode_step=…) is set": {
        "after": lambda config: config.callbacks(on_episode_step=lambda **kwargs: None)
    },
    "episodes are to stay lists": {"after": lambda config: config.env_runners(episodes_to_numpy=False)},
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_it_does_not_know_goes_rllibs_way(reason, monkeypatch, caplog):
    monkeypatch.setattr(LeanSampler, "sample", lambda self, **how: pytest.fail("sampled in one batch"))
    with caplog.at_level(logging.INFO, logger=LOGGER):
        assert sampled(config_of("gru", **REASONS[reason])) == 0
    assert reason in caplog.text


@pytest.mark.parametrize("how", [{"num_timesteps": 0}, {"random_actions": True, "num_timesteps": 3}])
def test_so_do_calls_that_are_none_of_its(how):
    assert sampled(config_of("gru"), **how) == 0


def test_an_env_runner_of_the_users_own_samples_in_its_own_way():
    assert sampled(config_of("gru"), OwnEnvRunner) == 0


def test_one_that_is_none_of_rllibs_is_left_alone():
    foreign, metrics = SimpleNamespace(_sample=print), MetricsLogger(root=False)
    watching = callback.LeanSamplingCallback()
    watching.on_environment_created(env_runner=foreign)
    assert foreign._sample is print
    watching.on_sample_end(env_runner=foreign, metrics_logger=metrics)
    assert metrics.peek(callback.LEAN_SAMPLING) == 0


def test_several_agents_are_sampled_in_rllibs_way():
    config = config_of("gru", env=MultiAgentCartPole, env_config={"num_agents": 2}, before=two_agents)
    assert sampled(config, MultiAgentEnvRunner) == 0


def two_agents(config):
    config.multi_agent(policies={"a"}, policy_mapping_fn=lambda agent, episode, **kwargs: "a")


def test_a_ray_without_a_name_that_is_needed_samples_in_rllibs_way(monkeypatch, caplog):
    monkeypatch.setattr(sampling, "_VALUES", ("_gone_with_a_new_version",))
    with caplog.at_level(logging.INFO, logger=LOGGER):
        assert sampled(config_of("gru")) == 0
    assert "has no _gone_with_a_new_version, which rllib_recattn needs to sample all environments in one batch" in (
        caplog.text
    )


def test_by_default_it_samples_in_one_batch_and_says_so():
    assert sampled(config_of("gru")) == 1


def test_a_reason_is_said_once(caplog):
    runner = SingleAgentEnvRunner(config=config_of("gru", lean_sampling=False))
    with caplog.at_level(logging.INFO, logger=LOGGER):
        for _ in range(3):
            runner.sample(num_timesteps=3)
    runner.stop()
    assert caplog.text.count("samples in RLlib's way") == 1


def test_a_space_that_it_does_not_know():
    assert knows(gym.spaces.Dict({"a": gym.spaces.Tuple((gym.spaces.Discrete(2),)), "b": gym.spaces.MultiBinary(3)}))
    assert not knows(gym.spaces.Dict({"a": gym.spaces.Text(3)}))
    assert not knows(gym.spaces.Sequence(gym.spaces.Discrete(2)))
