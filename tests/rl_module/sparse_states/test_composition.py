"""With the user's own connectors, whatever the order of the calls: right, or an error before training."""

from __future__ import annotations

import copy
import pickle

import msgpack
import numpy as np
import pytest
from ray import cloudpickle
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import (
    AddObservationsFromEpisodesToBatch,
    AddStatesFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    BatchIndividualItems,
    NumpyToTensor,
)
from ray.rllib.connectors.learner import AddColumnsFromEpisodesToTrainBatch, AddNextObservationsFromEpisodesToTrainBatch
from ray.rllib.connectors.module_to_env import (
    GetActions,
    ListifyDataForVectorEnv,
    NormalizeAndClipActions,
    RemoveSingleTsTimeRankFromBatch,
    TensorToNumpy,
    UnBatchToIndividualItems,
)
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.sparse_states.callback import SparseStatesCallback
from rllib_recattn.rl_module.sparse_states.connectors import keep_states_apart, keep_states_in_columns
from rllib_recattn.rl_module.sparse_states.kept_states import are_kept_apart
from rllib_recattn.rl_module.sparse_states.pieces import AddKeptStatesToTrainBatch
from tests.rl_module.sparse_states.agents import assert_identical, recurrent_config, sample, train_batch

LENGTHS = (9, 4, 30)


class Mine(ConnectorV2):
    """A user's piece that changes nothing; `calls` counts, for all of them."""

    calls = 0

    def __call__(self, *, batch, **kwargs):
        Mine.calls += 1
        return batch


def env_to_module(env=None, spaces=None, device=None):
    return Mine()


def module_to_env(env=None, spaces=None):
    return [Mine()]


def learner(observation_space=None, action_space=None):
    return Mine()


def whole_env_to_module(env=None, spaces=None, device=None):
    return [
        Mine(),
        AddObservationsFromEpisodesToBatch(),
        AddTimeDimToBatchAndZeroPad(),
        AddStatesFromEpisodesToBatch(),
        BatchIndividualItems(),
        NumpyToTensor(),
    ]


def whole_module_to_env(env=None, spaces=None):
    return [
        GetActions(),
        TensorToNumpy(),
        UnBatchToIndividualItems(),
        RemoveSingleTsTimeRankFromBatch(),
        Mine(),
        NormalizeAndClipActions(normalize_actions=True, clip_actions=False),
        ListifyDataForVectorEnv(),
    ]


def whole_learner(observation_space=None, action_space=None):
    return [
        Mine(),
        AddObservationsFromEpisodesToBatch(as_learner_connector=True),
        AddColumnsFromEpisodesToTrainBatch(),
        AddTimeDimToBatchAndZeroPad(as_learner_connector=True),
        AddStatesFromEpisodesToBatch(as_learner_connector=True),
        BatchIndividualItems(),
        NumpyToTensor(as_learner_connector=True),
    ]


def sampled_batch(config):
    """Whether the states of what a config samples are kept apart, and the train batch."""
    (_, episodes), spaces = sample(config, 2, num_timesteps=44)
    (apart,) = {are_kept_apart(episode) for episode in episodes}
    return apart, train_batch(config, episodes, spaces)


@pytest.fixture(scope="module")
def expected():
    return sampled_batch(recurrent_config(sparse=False, lengths=LENGTHS))[1]


OWN_PIECES = {
    "env_to_module": lambda config: config.env_runners(env_to_module_connector=env_to_module),
    "module_to_env": lambda config: config.env_runners(module_to_env_connector=module_to_env),
    "learner": lambda config: config.learners(learner_connector=learner),
    "whole env_to_module": lambda config: config.env_runners(
        env_to_module_connector=whole_env_to_module, add_default_connectors_to_env_to_module_pipeline=False
    ),
    "whole module_to_env": lambda config: config.env_runners(
        module_to_env_connector=whole_module_to_env, add_default_connectors_to_module_to_env_pipeline=False
    ),
    "whole learner": lambda config: config.learners(
        learner_connector=whole_learner, add_default_connectors_to_learner_pipeline=False
    ),
}


@pytest.mark.parametrize("change", OWN_PIECES.values(), ids=OWN_PIECES)
def test_own_pieces_set_before(change):
    _, expected = sampled_batch(recurrent_config(sparse=False, lengths=LENGTHS, before=change))
    Mine.calls = 0
    apart, batch = sampled_batch(recurrent_config(sparse=True, lengths=LENGTHS, before=change))
    assert apart
    assert Mine.calls > 0
    assert_identical(batch, expected)


@pytest.mark.parametrize("name", [name for name in OWN_PIECES if "learner" not in name])
def test_own_pieces_of_env_runners_set_later_take_ours_out_and_states_go_rllibs_way(expected, name):
    Mine.calls = 0
    apart, batch = sampled_batch(OWN_PIECES[name](recurrent_config(sparse=True, lengths=LENGTHS)))
    assert not apart
    assert Mine.calls > 0
    assert_identical(batch, expected)


@pytest.mark.parametrize("name", ["learner", "whole learner"])
def test_own_pieces_of_learners_set_later_fail_before_training(ray_session, name):
    config = OWN_PIECES[name](recurrent_config(sparse=True, lengths=LENGTHS))
    with pytest.raises(SettingsError, match=r"learner_connector.*should be called before use_model"):
        config.build_algo()
    config.callbacks([])  # which takes that check away as well
    with pytest.raises((ValueError, TypeError), match="AddKeptStatesToTrainBatch should be in the learner connector"):
        sampled_batch(config)


def test_own_pieces_of_everybody_set_later(expected):
    config = recurrent_config(sparse=True, lengths=LENGTHS)
    for name in ("env_to_module", "module_to_env", "learner"):
        OWN_PIECES[name](config)
    apart, batch = sampled_batch(config)
    assert not apart
    assert_identical(batch, expected)


def test_own_functions_that_call_ours_are_left_alone(ray_session, expected):
    config = recurrent_config(sparse=True, lengths=LENGTHS)
    ours = config._learner_connector
    config.learners(learner_connector=lambda observations, actions: [Mine(), *ours(observations, actions)])
    config.build_algo().stop()
    apart, batch = sampled_batch(config)
    assert apart
    assert_identical(batch, expected)


@pytest.mark.parametrize("default", ["env_to_module", "learner"])
def test_own_pipelines_without_a_piece_for_states_are_refused(default):
    whole = {"env_to_module": whole_env_to_module, "learner": whole_learner}[default]

    def without_states(*args):
        return [piece for piece in whole(*args) if not isinstance(piece, AddStatesFromEpisodesToBatch)]

    def change(config):
        if default == "learner":
            config.learners(learner_connector=without_states, add_default_connectors_to_learner_pipeline=False)
        else:
            config.env_runners(
                env_to_module_connector=without_states, add_default_connectors_to_env_to_module_pipeline=False
            )

    with pytest.raises(SettingsError, match="should contain AddStatesFromEpisodesToBatch"):
        sampled_batch(recurrent_config(sparse=True, before=change))


def test_doing_it_again_changes_nothing_and_undoing_leaves_the_users_functions():
    config = OWN_PIECES["learner"](OWN_PIECES["env_to_module"](PPOConfig()))
    before = config.to_dict()
    once = keep_states_apart(config).to_dict()
    assert keep_states_apart(config).to_dict() == once
    assert config.callbacks_class.count(SparseStatesCallback) == 1
    undone = keep_states_in_columns(config).to_dict()
    changed = {key for key, value in undone.items() if value != before[key]}
    assert changed <= {"callbacks"}
    assert SparseStatesCallback not in undone["callbacks"]
    assert undone["_learner_connector"] is learner


def test_the_config_survives_copies_of_all_kinds(expected):
    config = recurrent_config(sparse=True, lengths=LENGTHS, before=OWN_PIECES["learner"])
    for survivor in (
        config.copy(copy_frozen=False),
        PPOConfig().update_from_dict(config.to_dict()),
        cloudpickle.loads(cloudpickle.dumps(config)),
    ):
        apart, batch = sampled_batch(survivor)
        assert apart
        assert_identical(batch, expected)


def recorded(episode):
    """As RLlib writes episodes to files and reads them; arrays in a form of our own, to do without msgpack_numpy."""

    def encode(array):
        return {"shape": array.shape, "dtype": str(array.dtype), "bytes": array.tobytes()}

    def decode(value):
        is_array = set(value) == {"shape", "dtype", "bytes"}
        return np.frombuffer(value["bytes"], value["dtype"]).reshape(value["shape"]) if is_array else value

    packed = msgpack.packb(episode.get_state(), default=encode)
    return SingleAgentEpisode.from_state(msgpack.unpackb(packed, object_hook=decode))


@pytest.mark.parametrize(
    "as_another",
    [copy.deepcopy, lambda episode: pickle.loads(pickle.dumps(episode)), recorded],
    ids=["copied", "pickled", "recorded"],
)
def test_episodes_survive_copies_of_all_kinds(expected, as_another):
    config = recurrent_config(sparse=True, lengths=LENGTHS)
    (_, episodes), spaces = sample(config, 2, num_timesteps=44)
    assert_identical(train_batch(config, [as_another(episode) for episode in episodes], spaces), expected)


def test_slices_and_joined_episodes_are_refused():
    config = recurrent_config(sparse=True, lengths=(40,), num_envs=1)
    ((first,), (second,)), spaces = sample(config, 2, num_timesteps=14)
    with pytest.raises(SettingsError, match=r"lost its recurrent states.*sparse_states=False"):
        train_batch(config, [copy.deepcopy(first)[3:9]], spaces)
    first.concat_episode(second)
    with pytest.raises(ValueError, match="recurrent states: the learner asks for the state before step 0"):
        train_batch(config, [first], spaces)


def test_rows_of_another_length_than_sampled_are_refused():
    (episodes,), spaces = sample(recurrent_config(sparse=True, max_seq_len=4), 1, num_timesteps=30)
    with pytest.raises(ValueError, match="in rows of 5; kept are"):
        train_batch(recurrent_config(sparse=True, max_seq_len=5), episodes, spaces)


def test_next_observations_are_refused():
    def change(config):
        config.learners(learner_connector=lambda *spaces: AddNextObservationsFromEpisodesToTrainBatch())

    config = recurrent_config(sparse=True, before=change)
    (episodes,), spaces = sample(config, 1, num_timesteps=30)
    with pytest.raises(SettingsError, match=r"NEXT_OBS.*sparse_states=False"):
        train_batch(config, episodes, spaces)


@pytest.mark.parametrize("in_place", [True, False])
def test_pieces_can_be_rebuilt_from_a_checkpoint(in_place):
    (piece,) = [
        piece
        for piece in _learner_pieces(OWN_PIECES["whole learner"] if in_place else OWN_PIECES["learner"])
        if type(piece) is AddKeptStatesToTrainBatch
    ]
    arguments, keywords = piece.get_ctor_args_and_kwargs()
    rebuilt = type(piece)(*arguments, **keywords)
    assert len(rebuilt._earlier_pieces) == len(piece._earlier_pieces) == (0 if in_place else 3)


def _learner_pieces(change):
    return recurrent_config(sparse=True, before=change).build_learner_connector(None, None).connectors


def test_states_in_a_batch_already_are_left_alone():
    class OwnStates(ConnectorV2):
        def __call__(self, *, rl_module, batch, episodes, shared_data, **kwargs):
            pieces = whole_env_to_module()[1:4]
            for piece in pieces:
                batch = piece(
                    rl_module=rl_module, batch=batch, episodes=episodes, shared_data=shared_data, explore=True
                )
            return batch

    def change(config):
        config.env_runners(env_to_module_connector=lambda *args: OwnStates())

    config = recurrent_config(sparse=True, lengths=LENGTHS, before=change)
    runner = SingleAgentEnvRunner(config=config)
    try:
        episodes = runner.sample(num_timesteps=30)
    finally:
        runner.stop()
    assert all(Columns.STATE_OUT in episode.extra_model_outputs for episode in episodes)
    assert not any(are_kept_apart(episode) for episode in episodes)
