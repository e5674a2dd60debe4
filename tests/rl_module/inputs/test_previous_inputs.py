"""The previous action and reward: right, and the same where the agent acts and where it learns, to the bit."""

from __future__ import annotations

import pickle
from collections import defaultdict

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import FlattenObservations, MeanStdFilter
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils.spaces.space_utils import unbatch

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.previous import PREVIOUS
from rllib_recattn.rl_module.inputs.pieces import PreviousInputsToModule, PreviousInputsToTrainBatch
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, random_env_config

VECTOR = OBSERVATIONS["vector"]


class Record(ConnectorV2):
    """Keeps what the module is given, by episode and step."""

    def __init__(self, input_observation_space=None, input_action_space=None, **kwargs):
        super().__init__(input_observation_space, input_action_space, **kwargs)
        self.rows = defaultdict(dict)

    def __call__(self, *, batch, episodes, **kwargs):
        for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=True):
            key = (episode.id_,)
            if episode.agent_id is not None:
                key = (episode.multi_agent_episode_id, episode.agent_id, episode.module_id)
            if key in batch.get(PREVIOUS, {}):
                (self.rows[key[:2]][episode.t],) = batch[PREVIOUS][key]
        return batch


def sampled(config, fragments=3, steps=24):
    """What an EnvRunner gave its module, the sampled chunks by episode, and a learner."""
    runner = SingleAgentEnvRunner(config=config)
    try:
        record = Record()
        runner._env_to_module.insert_after(PreviousInputsToModule, record)
        chunks = defaultdict(list)
        for _ in range(fragments):
            for chunk in runner.sample(num_timesteps=steps):
                chunks[chunk.id_].append(chunk)
        assert any(len(parts) > 1 for parts in chunks.values()), "no episode was cut by the end of a fragment"
        return record.rows, chunks, config.build_learner(env=runner.env.unwrapped, spaces=runner.get_spaces())
    finally:
        runner.stop()


def learned(learner, *chunks):
    """The learner's rows, without the padding, one chunk after the other."""
    shipped = pickle.loads(pickle.dumps(chunks))
    batch = learner._learner_connector(rl_module=learner.module, batch={}, episodes=list(shipped), shared_data={})[
        DEFAULT_MODULE_ID
    ]
    # The loss mask is False for the step that RLlib appends for its value, which is no padding.
    real = np.arange(batch[PREVIOUS].shape[1]) < batch[Columns.SEQ_LENS].numpy()[:, None]
    return batch[PREVIOUS].numpy()[real]


@pytest.mark.parametrize("algorithm", [PPOConfig, APPOConfig, IMPALAConfig])
@pytest.mark.parametrize("action", ACTIONS)
def test_acting_and_learning_see_the_same(action, algorithm):
    space = ACTIONS[action]
    config = random_env_config(VECTOR, space, algorithm, length=19, use_prev_action=True, use_prev_reward=True)
    acted, episodes, learner = sampled(config)
    for id_, chunks in episodes.items():
        start = 0
        for chunk in chunks:
            inputs = learned(learner, chunk)
            assert inputs.dtype == np.float32
            steps = range(start, start + len(chunk) + 1)  # the last one is that whose value is the bootstrap
            np.testing.assert_array_equal(inputs, [acted[(id_,)][t] for t in steps])
            start += len(chunk)


@pytest.mark.parametrize("action", ACTIONS)
def test_they_are_the_last_action_and_reward_of_the_environment(action):
    space = ACTIONS[action]
    config = random_env_config(VECTOR, space, length=19, use_prev_action=True, use_prev_reward=True)
    acted, episodes, _ = sampled(config)
    for id_, chunks in episodes.items():
        rows = acted[(id_,)]
        assert not rows[0].any()
        actions = [action for chunk in chunks for action in actions_of(chunk)]
        for t, action in enumerate(actions, start=1):
            expected = [*gym.spaces.flatten(space, action), t]  # the reward of the step before step t is t
            np.testing.assert_array_equal(rows[t], np.asarray(expected, np.float32))


def actions_of(chunk):
    return unbatch(chunk.get_actions(slice(0, len(chunk))))


@pytest.mark.parametrize("asked", ["use_prev_action", "use_prev_reward"])
def test_either_can_be_had_alone(asked):
    acted, episodes, learner = sampled(random_env_config(VECTOR, ACTIONS["Discrete"], **{asked: True}))
    for rows in acted.values():
        for t, row in rows.items():
            if asked == "use_prev_reward":
                assert row.tolist() == [t]
            else:
                assert sorted(row.tolist()) == [0, 0, t > 0]
    assert all(len(learned(learner, chunk)) == len(chunk) + 1 for chunks in episodes.values() for chunk in chunks)


def test_without_being_asked_for_there_is_no_column():
    runner = SingleAgentEnvRunner(config=random_env_config(VECTOR, ACTIONS["Discrete"]))
    try:
        runner.sample(num_timesteps=4)
        assert PREVIOUS not in runner._cached_to_module
    finally:
        runner.stop()


def test_chunks_of_one_episode_stay_apart_in_a_batch_without_rllibs_bootstrap_step():
    config = random_env_config(
        VECTOR, ACTIONS["Discrete"], IMPALAConfig, length=40, use_prev_action=True, use_prev_reward=True
    )
    acted, episodes, learner = sampled(config, steps=14)
    learner._learner_connector.remove("AddOneTsToEpisodesAndTruncate")
    (id_, chunks), (other_id, others) = list(episodes.items())[:2]
    assert min(len(chunks), len(others)) == 3
    inputs = learned(learner, chunks[0], others[0], chunks[1], others[1])
    parts = [(id_, 0, chunks[0]), (other_id, 0, others[0])]
    parts += [(id_, len(chunks[0]), chunks[1]), (other_id, len(others[0]), others[1])]
    expected = [acted[(key,)][start + t] for key, start, chunk in parts for t in range(len(chunk))]
    np.testing.assert_array_equal(inputs, expected)


def test_without_lookback_the_first_step_of_a_chunk_is_known_all_the_same():
    config = random_env_config(VECTOR, ACTIONS["Tuple"], length=19, use_prev_action=True, use_prev_reward=True)
    acted, episodes, learner = sampled(config.env_runners(episode_lookback_horizon=0))
    for id_, chunks in episodes.items():
        for chunk in chunks:
            expected = [acted[(id_,)][t] for t in range(chunk.t_started, chunk.t + 1)]
            np.testing.assert_array_equal(learned(learner, chunk), expected)


def test_a_slice_of_an_episode_looks_back_into_what_was_cut_off():
    # As several learners get them.
    config = random_env_config(VECTOR, ACTIONS["Tuple"], length=19, use_prev_action=True, use_prev_reward=True)
    _, episodes, learner = sampled(config)
    whole = max((chunk for chunks in episodes.values() for chunk in chunks), key=len)
    inputs = learned(learner, whole)
    first, second = whole[:6], whole.slice(slice(6, None), len_lookback_buffer=1)
    assert not second.custom_data
    for part, expected in ((first, inputs[:6]), (second, inputs[6:-1])):
        batch = PreviousInputsToTrainBatch()(rl_module=learner.module, batch={}, episodes=[part])
        ((rows,),) = batch[PREVIOUS].values()
        np.testing.assert_array_equal(rows, expected)
    lost = whole.slice(slice(6, None), len_lookback_buffer=0)
    with pytest.raises(SettingsError, match=r"episode_lookback_horizon=1\) or more"):
        PreviousInputsToTrainBatch()(rl_module=learner.module, batch={}, episodes=[lost])


@pytest.mark.parametrize("filters", [MeanStdFilter, FlattenObservations], ids=["normalised", "flattened"])
def test_they_get_on_with_pieces_that_change_observations(filters):
    def user_pieces(env=None, spaces=None, device=None):
        return [filters()]

    space = OBSERVATIONS["Tuple"] if filters is FlattenObservations else VECTOR
    config = random_env_config(
        space, ACTIONS["Dict"], length=19, use_prev_action=True, use_prev_reward=True, env_to_module=user_pieces
    )
    acted, episodes, learner = sampled(config)
    for id_, chunks in episodes.items():
        start = 0
        for chunk in chunks:
            inputs = learned(learner, chunk)
            np.testing.assert_array_equal(inputs, [acted[(id_,)][t] for t in range(start, start + len(inputs))])
            start += len(chunk)
    observations = np.concatenate(
        [chunk.get_observations(slice(0, len(chunk))) for chunks in episodes.values() for chunk in chunks]
    )
    if filters is MeanStdFilter:
        assert observations.std() > 0.8  # uniform in [−1, 1] has 0.58
    else:
        assert observations.shape[1:] == (10,)
