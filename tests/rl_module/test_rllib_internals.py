"""What RLlib keeps to itself is still there: each function gets RLlib's own objects.

A new version of RLlib that breaks one fails here with the sentence that a user would read.
"""

from __future__ import annotations

import functools
import inspect
from types import SimpleNamespace

import gymnasium as gym
import pytest
from ray.rllib.algorithms.appo.torch.default_appo_torch_rl_module import DefaultAPPOTorchRLModule
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import EnvToModulePipeline, MeanStdFilter
from ray.rllib.connectors.learner import LearnerConnectorPipeline
from ray.rllib.connectors.module_to_env import ModuleToEnvPipeline
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical, TorchMultiDistribution
from ray.rllib.core.learner.learner_group import LearnerGroup
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.offline.offline_env_runner import OfflineSingleAgentEnvRunner
from ray.rllib.offline.offline_prelearner import OfflinePreLearner
from ray.tune.registry import register_env

from rllib_recattn.private_names import MissingNameError, private
from rllib_recattn.rl_module.rllib_internals import bases, configs, env_runners, episodes, learners, sampling
from rllib_recattn.rl_module.rllib_internals.overrides import OVERRIDES
from tests.internals import functions_of
from tests.typed_bases import expected_of

MODULES = (configs, env_runners, episodes, learners, sampling)


def config():
    return PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0).framework("torch")


@pytest.fixture(scope="module")
def env_runner():
    env_runner = SingleAgentEnvRunner(config=config())
    yield env_runner
    env_runner.stop()


@pytest.fixture(scope="module")
def learner():
    env = gym.make("CartPole-v1")
    learner = config().build_learner(env=env)
    learner.build()
    return learner


@pytest.fixture(scope="module")
def group(ray_session):
    group = EnvRunnerGroup(config=config(), local_env_runner=False)
    group._worker_manager.add_actors(["an actor"])
    return group


def episode(length=2):
    return SingleAgentEpisode(
        observations=[0] * (length + 1),
        actions=[0] * length,
        rewards=[1.0] * length,
        infos=[{}] * (length + 1),
        len_lookback_buffer=0,
    )


def test_given_spec_and_model_config():
    assert configs.given_spec(config()) is None
    assert configs.given_model_config(config()) == {}
    assert configs.given_model_config(config().rl_module(model_config={"max_seq_len": 3})) == {"max_seq_len": 3}


@pytest.mark.parametrize("pipeline", ["env_to_module_connector", "module_to_env_connector", "learner_connector"])
def test_connector_function(pipeline):
    assert configs.connector_function(config(), pipeline) is None
    changed = configs.set_connector_function(config(), pipeline, print)
    assert configs.connector_function(changed, pipeline) is print


def test_registered_env():
    assert configs.registered_env("nobody has registered this") is None
    register_env("of the internals", print)
    assert configs.registered_env("of the internals") is print


def test_pipelines_of_env_runners(env_runner):
    assert isinstance(env_runners.env_to_module(env_runner), EnvToModulePipeline)
    assert isinstance(env_runners.module_to_env(env_runner), ModuleToEnvPipeline)
    of_others = SimpleNamespace()
    assert env_runners.env_to_module(of_others) is env_runners.module_to_env(of_others) is None


def test_seed(env_runner):
    def first_observations():
        (episode,) = env_runner.sample(num_episodes=1, random_actions=True)
        return episode.get_observations(0).tolist()

    env_runners.set_seed(env_runner, 5)
    assert first_observations() == first_observations()
    env_runners.reset_with(env_runner, 6)
    fragment = env_runner.sample(num_timesteps=1, random_actions=True)[0]
    assert fragment.get_observations(0).tolist() == gym.make("CartPole-v1").reset(seed=6)[0].tolist()


def test_episodes_of_env_runners(env_runner):
    env_runners.reset_with(env_runner, 1)
    (chunk,) = env_runner.sample(num_timesteps=2, random_actions=True)
    assert [each.id_ for each in env_runners.ongoing_episodes(env_runner)] == [chunk.id_]
    assert [[each.id_ for each in chunks] for chunks in env_runners.sampled_chunks(env_runner)] == [[chunk.id_]]
    assert list(env_runners.sampled_chunks(SimpleNamespace())) == []


def test_steps_of(tmp_path):
    recording = config().offline_data(output=str(tmp_path), output_write_episodes=False)
    recording.env_runners(env_runner_cls=OfflineSingleAgentEnvRunner)
    env_runner = OfflineSingleAgentEnvRunner(config=recording)
    for length in (2, 3):
        assert len(env_runners.steps_of(env_runner, [episode(length)])) == length
    env_runner._samples.clear()
    env_runner.stop()


def test_seed_env_of_old_stack():
    env, other = gym.make("CartPole-v1"), gym.make("CartPole-v1")
    for each in (env, other):
        env_runners.seed_env_of_old_stack(each, 7, 0, 1)
    assert env.np_random.random() == other.np_random.random()


def test_env_runner_group(group):
    (index,) = env_runners.env_runner_ids(group)
    assert env_runners.env_runner_actor(group, index) == "an actor"
    assert group.healthy_env_runner_ids() == [index]
    env_runners.count_as_lost(group, index)
    assert group.healthy_env_runner_ids() == []


@pytest.mark.parametrize(
    ("wrap", "method"),
    [
        (env_runners.wrap_set_state, "set_state"),
        (env_runners.wrap_restore_env_runners, "restore_env_runners"),
        (env_runners.wrap_cleanup, "cleanup"),
        (env_runners.wrap_restore_from_path, "restore_from_path"),
    ],
)
def test_methods_of_algorithms(wrap, method):
    algorithm = config().algo_class.__new__(config().algo_class)
    wrap(algorithm, lambda original: (original, "wrapped"))
    assert getattr(algorithm, method) == (getattr(type(algorithm), method).__get__(algorithm), "wrapped")


def test_wrap_update():
    group = LearnerGroup.__new__(LearnerGroup)
    group._is_shut_down = True
    learners.wrap_update(group, lambda original: (original, "wrapped"))
    assert group.update == (LearnerGroup.update.__get__(group), "wrapped")


def test_learner(learner):
    assert isinstance(learners.learner_connector(learner), LearnerConnectorPipeline)
    assert learners.scales_gradients(learner) is False
    learners.set_learning_rates(learner, 0)
    (optimizer,) = learner._optimizer_lr_schedules
    assert optimizer.param_groups[0]["lr"] == config().lr
    learner.config = learner.config.copy(copy_frozen=False).experimental(_torch_grad_scaler_class=dict)
    learner._grad_scalers = {}
    assert learners.scales_gradients(learner) is True


def test_prelearner(learner):
    env = gym.make("CartPole-v1")
    offline = BCConfig().environment("CartPole-v1").offline_data(input_=["nowhere"]).framework("torch")
    spec = offline.get_multi_rl_module_spec(env=env)
    prelearner = OfflinePreLearner(
        config=offline,
        module_spec=spec,
        module_state=spec.build().get_state(),
        spaces={"__env__": (env.observation_space, env.action_space), **_spaces_of(env)},
    )
    assert isinstance(learners.learner_connector(prelearner), LearnerConnectorPipeline)
    assert len(list(learners.modules_of_prelearner(prelearner))) == 1


def _spaces_of(env):
    return {"default_policy": (env.observation_space, env.action_space)}


def test_number_of_minibatches():
    data = [episode(4), episode(4)]
    assert learners.number_of_minibatches(TrainingData(episodes=data), data, 2, 2, 1) == 2


def test_episodes():
    single = episode()
    episodes.set_custom_data(single, {"ours": 1})
    assert single.custom_data == {"ours": 1}
    episodes.let_go_of_last_step(single)
    assert (single._last_added_observation, single._last_added_infos) == (None, None)
    several, copied = MultiAgentEpisode(agent_module_ids={}), MultiAgentEpisode()
    several._hanging_rewards_end["a"] = 2.0
    copied._hanging_extra_model_outputs_end["a"] = {"state": 1}
    episodes.free_hanging(copied, several)
    assert copied._hanging_rewards_end == {"a": 2.0}
    assert copied._hanging_rewards_end is not several._hanging_rewards_end
    assert copied._hanging_extra_model_outputs_end == {}


def test_distribution():
    import torch

    parts = {"b": TorchCategorical(logits=torch.zeros(1, 2)), "a": TorchCategorical(logits=torch.zeros(1, 3))}
    distribution = TorchMultiDistribution(parts)
    assert episodes.flat_children(distribution) == [parts["a"], parts["b"]]
    assert episodes.nested_children(distribution) == parts


def test_freeze_filter():
    piece = MeanStdFilter()
    episodes.freeze_filter(piece)
    assert piece._update_stats is False


def test_sampling(env_runner):
    inside = sampling.Sampling(env_runner)
    inside.needs_reset = True
    (chunk,) = env_runner.sample(num_timesteps=3)
    assert not inside.needs_reset
    assert inside.weights_seq_no == 0
    (goes_on,) = inside.episodes
    assert inside.chunks_for_metrics[goes_on.id_][-1] is chunk
    batch = inside.take_batch()
    assert list(batch) == ["obs"]
    assert inside.take_batch() is None
    inside.put_batch(batch, [goes_on.id_])
    inside.count(3, [])
    (chunk,) = env_runner.sample(num_timesteps=2)
    assert chunk.id_ == goes_on.id_
    inside.reset_all(True)
    (begun,) = inside.episodes
    inside.start_new_episode(0, inside.episodes)
    inside.call_back("on_episode_created", 0, inside.episodes)
    assert inside.episodes[0].id_ != begun.id_
    inside.episodes = [begun]
    results = inside.step_envs(env_runner.env.action_space.sample())
    assert len(results) == 5
    inside.needs_reset = True


def test_how_a_class_samples(env_runner):
    class Own(SingleAgentEnvRunner):
        def _sample(self, **how):
            return []

    class Actor(SingleAgentEnvRunner):
        """As Ray makes them, whose methods it traces."""

        _sample = functools.wraps(SingleAgentEnvRunner._sample)(lambda self, **how: [])

    assert sampling.samples_as_rllib_does(env_runner)
    assert sampling.samples_as_rllib_does(Actor.__new__(Actor))
    assert not sampling.samples_as_rllib_does(Own.__new__(Own))
    assert sampling.callbacks_of(env_runner) == env_runner._callbacks
    own = Own.__new__(Own)
    sampling.wrap_sample(own, lambda sample: (sample, "wrapped"))
    assert own._sample == (Own._sample.__get__(own), "wrapped")


def test_forward_without_modes(env_runner):
    module = env_runner.module
    assert sampling.forward_without_modes(module, True) == module._forward_exploration
    assert sampling.forward_without_modes(module, False) == module._forward_inference


def test_times_and_last_step():
    single = episode()
    sampling.set_times(single, 1.0, 2.0)
    sampling.set_times(single, 1.5, 3.0)
    assert single.get_duration_s() == 2.0
    sampling.set_last_step(single, 5, {"a": 1})
    assert (single._last_added_observation, single._last_added_infos) == (5, {"a": 1})


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda override: f"{override.base}.{override.name}")
def test_methods_that_are_replaced_are_there(override):
    override.check()


NOT_OF_AN_OBJECT = {"registered_env", "sample_of_all", "seed_env_of_old_stack", "set_connector_function"}
FUNCTIONS = functions_of(MODULES)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - NOT_OF_AN_OBJECT))
def test_an_object_without_the_name_is_refused_with_a_sentence(name, monkeypatch):
    """As a new version of RLlib would have them."""
    monkeypatch.setattr(env_runners, "_is_rllibs", lambda env_runner: True)
    function = FUNCTIONS[name]
    parameters = inspect.signature(function).parameters
    arguments = ["learner_connector" if each == "pipeline" else SimpleNamespace() for each in parameters]
    with pytest.raises(MissingNameError, match=r"SimpleNamespace has no \w+, which rllib_recattn needs to "):
        function(*arguments)


def test_rllibs_classes_have_what_mixins_expect(learner):
    for name in expected_of(bases, "LearnerBase"):
        private(learner, name, "to train recurrent modules")
    module = learner.module["default_policy"]
    for name in expected_of(bases, "ModuleBase"):
        private(module, name, "to act and to learn with a memory")
    for name in expected_of(bases, "TargetModuleBase"):
        private(DefaultAPPOTorchRLModule, name, "to mask the actions of a target policy")
