"""BC and MARWIL: learning from recorded episodes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.learner import AddNextObservationsFromEpisodesToTrainBatch, AddOneTsToEpisodesAndTruncate
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.offline.offline_prelearner import OfflinePreLearner

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.fixes.value_pass import without_graph
from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from rllib_recattn.rl_module.rllib_internals.learners import learner_connector, modules_of_prelearner

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


class WholeEpisodesPreLearner(OfflinePreLearner):
    """Makes a row of each recorded episode, from its first step on.

    RLlib's own (``OfflinePreLearner``, offline/offline_prelearner.py) draws steps at random and cuts out what follows
    each, up to ``max_seq_len``. The state there is unknown, since recorded ones are another model's or there are none,
    and RLlib takes the initial one: what the expert saw before is lost, and the agent learns to act without.

    Here no row begins in the middle of an episode, so episodes have to fit into a row. Each comes once, where RLlib
    draws with replacement and, with ``materialize_mapped_data``, keeps what it drew first for the whole training.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        # In the place of a buffer to draw from.
        self.episode_buffer = _Queue()
        pieces = learner_connector(self).connectors
        # No loss reads them, and they are as large as the observations.
        pieces[:] = [each for each in pieces if not isinstance(each, AddNextObservationsFromEpisodesToTrainBatch)]
        self._n_appended_steps = sum(isinstance(each, AddOneTsToEpisodesAndTruncate) for each in pieces)
        unwrapped = [module.unwrapped() for module in modules_of_prelearner(self)]
        modules = [module for module in unwrapped if isinstance(module, RecurrentModule)]
        self._max_seq_len = min((module.recurrence.max_seq_len for module in modules), default=None)
        if all(module.recurrence.rllib_fixes.values_without_grad for module in modules):
            without_graph(pieces)

    def _validate_episodes(self, episodes: list[SingleAgentEpisode]) -> list[SingleAgentEpisode]:
        """Return the episodes.

        Raises:
            SettingsError: If one of them does not begin at its first step, or does not fit into a row.
        """
        for episode in episodes:
            if episode.t_started != 0:
                raise SettingsError(
                    f"recorded episodes: {episode.id_!r} begins with step {episode.t_started}, whose recurrent state "
                    "nobody knows; should be whole: record with batch_mode='complete_episodes'"
                )
        longest = max(episodes, key=len)
        n_steps = len(longest) + self._n_appended_steps
        if self._max_seq_len is not None and n_steps > self._max_seq_len:
            raise SettingsError(
                f"max_seq_len = {self._max_seq_len}: should be at least {n_steps}, since the recorded episode "
                f"{longest.id_!r} has {len(longest)} steps"
                + (", to which MARWIL adds one," if self._n_appended_steps else "")
                + " and a row in the middle of it would need a recurrent state that was not recorded"
            )
        return episodes


class _Queue:
    """What RLlib's prelearner asks of its buffer; hands out what was put in, as it is."""

    def __init__(self) -> None:
        self._episodes: list[SingleAgentEpisode] = []

    def add(self, episodes: list[SingleAgentEpisode]) -> None:
        self._episodes.extend(episodes)

    def sample(self, **kwargs: Any) -> list[SingleAgentEpisode]:
        episodes, self._episodes = self._episodes, []
        return [episode if episode.is_numpy else episode.to_numpy() for episode in episodes]


class OfflineCallback(RLlibCallback):
    """Stops a training whose agent would not see what came before."""

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Check what the config says of recorded data.

        Raises:
            SettingsError: If whole episodes cannot be read.
        """
        config = algorithm.config
        if not config.input_read_episodes:
            raise SettingsError(
                "config.offline_data: input_read_episodes = False: should be True; from other kinds of rows RLlib "
                "does not rebuild whole episodes, and a recurrent model needs them"
            )
        if not issubclass(config.prelearner_class or OfflinePreLearner, WholeEpisodesPreLearner):
            raise SettingsError(
                f"config.offline_data: prelearner_class = {config.prelearner_class!r} came after use_model; should "
                "inherit from WholeEpisodesPreLearner, or be left out"
            )
        if find_spec("msgpack_numpy") is None:
            raise SettingsError("config.offline_data: RLlib reads episodes with msgpack-numpy: pip install it")


def read_whole_episodes(config: ConfigT) -> ConfigT:
    """Have a config of BC or MARWIL make rows of whole episodes; returns the config.

    Raises:
        SettingsError: If it has a prelearner that does otherwise.
    """
    chosen = config.prelearner_class
    if chosen not in (None, OfflinePreLearner) and not issubclass(chosen, WholeEpisodesPreLearner):
        raise SettingsError(
            f"use_model: config.offline_data: prelearner_class = {chosen.__name__}: should inherit from "
            "WholeEpisodesPreLearner, or be left out"
        )
    if chosen in (None, OfflinePreLearner):
        config.offline_data(prelearner_class=WholeEpisodesPreLearner)
    return config
