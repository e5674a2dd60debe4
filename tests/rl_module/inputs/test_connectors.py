"""The pieces for the previous action and reward among the user's own, whatever the order of the calls."""

from __future__ import annotations

import pickle

import pytest
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.common.add_observations_from_episodes_to_batch import AddObservationsFromEpisodesToBatch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import (
    AddStatesFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    BatchIndividualItems,
    NumpyToTensor,
)
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.previous import PREVIOUS
from rllib_recattn.rl_module.inputs.callback import PreviousInputsCallback
from rllib_recattn.rl_module.inputs.connectors import add_previous_inputs
from rllib_recattn.rl_module.inputs.pieces import PreviousInputsToModule, PreviousInputsToTrainBatch
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, random_env_config

SPACES = (OBSERVATIONS["vector"], ACTIONS["Discrete"])


class Mine(ConnectorV2):
    def __call__(self, *, batch, **kwargs):
        return batch


def one_piece(*args):
    return Mine()


def several_pieces(*args):
    return [Mine(), Mine()]


def nothing(*args):
    return []


def names(pieces):
    return [type(piece).__name__ for piece in pieces]


@pytest.mark.parametrize("user_function", [one_piece, several_pieces, nothing, None])
def test_the_users_pieces_come_first(user_function):
    config = PPOConfig()
    if user_function is not None:
        config.env_runners(env_to_module_connector=user_function).learners(learner_connector=user_function)
    for _ in range(2):
        add_previous_inputs(config)
    mine = ["Mine"] * {one_piece: 1, several_pieces: 2}.get(user_function, 0)
    assert names(config._env_to_module_connector(None, None, None)) == [*mine, "PreviousInputsToModule"]
    assert names(config._learner_connector(*SPACES)) == [*mine, "PreviousInputsToTrainBatch"]
    assert config.callbacks_class.count(PreviousInputsCallback) == 1
    pickle.dumps(config._env_to_module_connector)


def test_a_pipeline_of_the_users_without_rllibs_default_pieces():
    def whole_pipeline(env, spaces, device):
        return [
            Mine(),
            AddObservationsFromEpisodesToBatch(),
            AddTimeDimToBatchAndZeroPad(),
            AddStatesFromEpisodesToBatch(),
            BatchIndividualItems(),
            NumpyToTensor(),
        ]

    config = random_env_config(*SPACES, env_to_module=whole_pipeline, use_prev_action=True, use_prev_reward=True)
    config.env_runners(add_default_connectors_to_env_to_module_pipeline=False)
    runner = SingleAgentEnvRunner(config=config)
    try:
        runner.sample(num_timesteps=4)
        assert runner._cached_to_module[PREVIOUS].shape == (2, 1, 4)
        assert runner._cached_to_module[Columns.OBS].shape == (2, 1, 3)
    finally:
        runner.stop()


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (lambda config: config.env_runners(env_to_module_connector=nothing), r"env_to_module_connector=…\): replaced"),
        (lambda config: config.learners(learner_connector=nothing), r"learner_connector=…\): replaced"),
    ],
)
def test_what_would_take_them_away_later_fails_before_training(ray_session, later, message):
    config = random_env_config(*SPACES, use_prev_action=True, sparse_states=False)
    with pytest.raises(SettingsError, match=message):
        later(config).build_algo()


def test_without_the_callback_a_missing_piece_fails_when_it_is_missed():
    config = random_env_config(*SPACES, use_prev_action=True).env_runners(env_to_module_connector=nothing)
    runner = SingleAgentEnvRunner(config=config)
    try:
        with pytest.raises(SettingsError, match=f"the batch has no '{PREVIOUS}'.*call use_model after it"):
            runner.sample(num_timesteps=4)
    finally:
        runner.stop()


def test_use_model_installs_them_only_where_they_are_asked_for():
    assert PreviousInputsCallback not in random_env_config(*SPACES).callbacks_class
    config = random_env_config(*SPACES, use_prev_reward=True)
    assert PreviousInputsCallback in config.callbacks_class
    kinds = [type(piece) for piece in config._learner_connector(*SPACES)]
    assert PreviousInputsToTrainBatch in kinds
    assert PreviousInputsToModule in [type(piece) for piece in config._env_to_module_connector(None, None, None)]


def test_env_runners_of_their_own_and_evaluation(ray_session):
    config = random_env_config(
        OBSERVATIONS["Dict"],
        ACTIONS["Tuple"],
        encoder="tests.inputs.own_encoders:Sum",
        use_prev_action=True,
        use_prev_reward=True,
    )
    config.env_runners(num_env_runners=1).evaluation(
        evaluation_interval=1, evaluation_duration=2, evaluation_config={"explore": False}
    )
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            results = algorithm.train()
        assert results["evaluation"]["env_runners"]["episode_return_mean"] == sum(range(1, 8))
        assert results["learners"]["default_policy"]["num_module_steps_trained"] > 0
    finally:
        algorithm.stop()
