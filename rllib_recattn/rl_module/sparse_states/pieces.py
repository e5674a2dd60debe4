"""The connector pieces that keep states apart: two for EnvRunners, one for learners.

They work together, and each copes with the loss of another, since a user's later ``config.env_runners(…)`` or
``config.learners(…)`` may replace the function that adds one of them:

- The env-to-module piece makes a place for an agent's states in its episode, and the module-to-env piece keeps them
  there only if it finds one. Without the former, states stay in the episode's columns, and RLlib's own pieces work.
- Without the module-to-env piece they stay there as well, where the env-to-module piece finds them.
- Without the learner's piece, RLlib's own fails on the marks that the columns hold in place of states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import tree
from ray.rllib.connectors.common.add_observations_from_episodes_to_batch import AddObservationsFromEpisodesToBatch
from ray.rllib.connectors.common.add_states_from_episodes_to_batch import AddStatesFromEpisodesToBatch
from ray.rllib.connectors.common.add_time_dim_to_batch_and_zero_pad import AddTimeDimToBatchAndZeroPad
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.learner import AddColumnsFromEpisodesToTrainBatch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.numpy import convert_to_numpy

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.episodes import Episode, agent_episodes, module_of
from rllib_recattn.rl_module.recurrent_module import state_interval_of
from rllib_recattn.rl_module.sparse_states.kept_states import (
    MARK,
    KeptStates,
    State,
    are_kept_apart,
    kept_states,
    let_go_of_states,
    start_keeping,
)


class _AddStates(ConnectorV2):
    """Adds STATE_IN to a batch, in the place of RLlib's own AddStatesFromEpisodesToBatch or before its default pieces.

    RLlib's default pieces come after the user's. The one that adds the time dimension takes a batch that has STATE_IN
    for one that is done, so before adding STATE_IN, this piece does the work of those that come before states. They
    themselves find it done.

    Args:
        input_observation_space: As for any connector.
        input_action_space: As for any connector.
        in_place: Whether the pipeline has all that comes before states, and this piece is in the place of RLlib's.
    """

    in_learner: bool

    def __init__(
        self, input_observation_space: Any = None, input_action_space: Any = None, *, in_place: bool = False
    ) -> None:
        super().__init__(input_observation_space, input_action_space)
        self._in_place = in_place
        self._earlier_pieces = [] if in_place else self._default_pieces()
        self._stock_piece = AddStatesFromEpisodesToBatch(as_learner_connector=self.in_learner)

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what builds this piece again, from a checkpoint."""
        spaces = (self.input_observation_space, self.input_action_space)
        return spaces, {"in_place": self._in_place}

    def __call__(
        self, *, rl_module: RLModule, batch: dict[str, Any], episodes: Sequence[Episode], **kwargs: Any
    ) -> dict[str, Any]:
        """Add STATE_IN to `batch`, unless no module has a state or it is there."""
        if rl_module is None or not rl_module.is_stateful() or Columns.STATE_IN in batch or not episodes:
            return batch
        if _is_batched(batch, rl_module):
            raise SettingsError(
                f"{type(self).__name__} comes after the observations were batched: a pipeline that does without "
                "RLlib's default connectors should contain AddStatesFromEpisodesToBatch, whose place it takes"
            )
        kwargs |= {"rl_module": rl_module, "episodes": episodes}
        for piece in self._earlier_pieces:
            batch = piece(batch=batch, **kwargs)
        self._add_states(batch, **kwargs)
        return batch

    def _default_pieces(self) -> list[ConnectorV2]:
        columns = [AddColumnsFromEpisodesToTrainBatch()] if self.in_learner else []
        return [
            AddObservationsFromEpisodesToBatch(as_learner_connector=self.in_learner),
            *columns,
            AddTimeDimToBatchAndZeroPad(as_learner_connector=self.in_learner),
        ]

    def _add_states(
        self, batch: dict[str, Any], *, rl_module: RLModule, episodes: Sequence[Episode], **kwargs: Any
    ) -> None:
        raise NotImplementedError


class AddKeptStatesToBatch(_AddStates):
    """Env-to-module: adds the newest state of each agent that is to act, its module's initial one at the start.

    It also makes the place in the episode where :class:`KeepStatesApart` keeps the state that comes out.
    """

    in_learner = False

    def _add_states(
        self, batch: dict[str, Any], *, rl_module: RLModule, episodes: Sequence[Episode], **kwargs: Any
    ) -> None:
        initial = _InitialStates(rl_module)
        for episode, agent_episode in agent_episodes(episodes, only_stepped=True):
            if not module_of(rl_module, agent_episode).is_stateful():
                continue
            states = kept_states(episode, agent_episode) or start_keeping(episode, agent_episode)
            state = states["newest"] if states.has_acted else self._newest_in_column(agent_episode)
            self.add_batch_item(
                batch,
                Columns.STATE_IN,
                item_to_add=initial.of(agent_episode) if isinstance(state, str) else state,
                single_agent_episode=agent_episode,
            )
        for episode in episodes:
            let_go_of_states(episode)

    @staticmethod
    def _newest_in_column(agent_episode: SingleAgentEpisode) -> State:
        """Return what RLlib's own piece would: states are in the column if nothing took them out."""
        at_the_start = agent_episode.t_started == 0 and len(agent_episode) == 0
        if at_the_start or Columns.STATE_OUT not in agent_episode.extra_model_outputs:
            return KeptStates()["newest"]
        return agent_episode.get_extra_model_outputs(Columns.STATE_OUT, indices=-1)


class KeepStatesApart(ConnectorV2):
    """Module-to-env: takes the states out of the columns that become part of the episodes, and keeps them apart."""

    def __call__(
        self, *, rl_module: RLModule, batch: dict[str, Any], episodes: Sequence[Episode], **kwargs: Any
    ) -> dict[str, Any]:
        """Put marks in the place of the states in `batch`."""
        column = batch.get(Columns.STATE_OUT)
        if not isinstance(column, dict):  # no module has a state, or a pipeline of the user's made lists of it
            return batch
        by_id = {episode.id_: episode for episode in episodes}
        batch[Columns.STATE_OUT] = {
            # Where an environment has just been reset, the module read the last observation of the episode that
            # ended there. That is not among `episodes` any more, and nobody wants this state.
            key: [self._keep(rl_module, by_id[key[0]], key, items[0])] if key[0] in by_id else [MARK]
            for key, items in column.items()
        }
        return batch

    @staticmethod
    def _keep(rl_module: RLModule, episode: Episode, key: tuple[Any, ...], state: State) -> State:
        agent_episode = episode.agent_episodes[key[1]] if isinstance(episode, MultiAgentEpisode) else episode
        states = kept_states(episode, agent_episode)
        if states is None:
            return state
        interval = state_interval_of(module_of(rl_module, agent_episode))
        states.record(agent_episode.t_started, len(agent_episode), interval, state)
        return MARK


class AddKeptStatesToTrainBatch(_AddStates):
    """Learner: adds the states before the steps 0, m, 2m, … of each chunk, with m = ``max_seq_len``.

    Episodes whose states are in their columns, or that have none because they were recorded without, are left to
    RLlib's own piece, which takes the initial state for the latter.
    """

    in_learner = True

    def _add_states(
        self, batch: dict[str, Any], *, rl_module: RLModule, episodes: Sequence[Episode], **kwargs: Any
    ) -> None:
        if not any(are_kept_apart(agent_episode) for _, agent_episode in agent_episodes(episodes)):
            self._stock_piece(batch=batch, rl_module=rl_module, episodes=episodes, **kwargs)
            return
        if Columns.NEXT_OBS in batch:
            raise SettingsError(
                "the learner connector adds NEXT_OBS, and with it RLlib wants the states before them, which sparse "
                "states do not keep: should be used with sparse_states=False"
            )
        initial = _InitialStates(rl_module)
        for episode, agent_episode in agent_episodes(episodes):
            module = module_of(rl_module, agent_episode)
            if not module.is_stateful() or len(agent_episode) == 0:
                continue
            if not are_kept_apart(agent_episode):
                self._add_from_column(batch, rl_module=rl_module, episodes=[agent_episode], **kwargs)
                continue
            states = kept_states(episode, agent_episode)
            if states is None:
                raise SettingsError(
                    f"{agent_episode} has lost its recurrent states: something sliced it or built it again without its "
                    "custom_data, as RLlib does for several learners if SparseStatesCallback is not among the "
                    "callbacks, and when it samples recorded episodes; should be used with sparse_states=False"
                )
            max_seq_len = module.model_config["max_seq_len"]
            kept = [
                states.before(agent_episode.t_started, step, max_seq_len)
                for step in range(0, len(agent_episode), max_seq_len)
            ]
            rows = [initial.of(agent_episode) if isinstance(state, str) else state for state in kept]
            self.add_n_batch_items(
                batch,
                Columns.STATE_IN,
                # In RLlib's own form, which cannot be mixed with the other one.
                items_to_add=tree.map_structure(_stack, *rows) if agent_episode.is_numpy else rows,
                num_items=len(rows),
                single_agent_episode=agent_episode,
            )

    def _add_from_column(self, batch: dict[str, Any], **kwargs: Any) -> None:
        for key, items in self._stock_piece(batch={}, **kwargs)[Columns.STATE_IN].items():
            batch.setdefault(Columns.STATE_IN, {}).setdefault(key, []).extend(items)


def _is_batched(batch: dict[str, Any], rl_module: RLModule) -> bool:
    """Whether a batch has single arrays, of one module or by module, in place of items by episode."""
    by_module = isinstance(rl_module, MultiRLModule) and not batch.keys().isdisjoint(rl_module.keys())
    return by_module or isinstance(batch.get(Columns.OBS), np.ndarray | torch.Tensor)


def _stack(*rows: np.ndarray) -> np.ndarray:
    return np.stack(rows)


class _InitialStates:
    """The states with which the modules start episodes, as NumPy arrays, each computed once."""

    def __init__(self, rl_module: RLModule):
        self._rl_module = rl_module
        self._states: dict[Any, State] = {}

    def of(self, agent_episode: SingleAgentEpisode) -> State:
        module_id = agent_episode.module_id
        if module_id not in self._states:
            module = module_of(self._rl_module, agent_episode)
            self._states[module_id] = convert_to_numpy(module.get_initial_state())
        return self._states[module_id]
