"""What one call of ``sample()`` gathers, and the episodes that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO

from rllib_recattn.rl_module.lean_sampling.columns import Column, Marks, scalar_or_copy
from rllib_recattn.rl_module.rllib_internals.sampling import set_last_step, set_times
from rllib_recattn.rl_module.sparse_states.kept_states import MARK


class Fragment:
    """Steps of N environments, in arrays, and the chunks of episodes that they are part of.

    Steps are counted from the beginning of a call of ``sample()``, or from a fault of the environments in it.

    Args:
        episodes: Those that go on, or begin, with the first step; they have no step of this fragment yet.
        n_steps: How many steps there is room for at first.
        weights_seq_no: The number of the weights that act.
        stateful: Whether the module has states, which are kept apart from the columns.
    """

    def __init__(self, episodes: Sequence[SingleAgentEpisode], n_steps: int, weights_seq_no: int, *, stateful: bool):
        self._episodes = list(episodes)
        self._room = n_steps
        self._weights_number = np.full(len(episodes), weights_seq_no)
        self._stateful = stateful
        self._lookback = max(len(episode.rewards.data) for episode in episodes)
        self._starts = [0] * len(episodes)
        self._times: list[float] = []
        self._infos: list[list[dict[str, Any]]] = []
        self._given: dict[str, Column] = {}
        self._outputs: Mapping[str, Column | Marks] = {}

    def add(
        self,
        observations: Any,
        actions: Any,
        rewards: Any,
        infos: list[dict[str, Any]],
        outputs: dict[str, Any],
        time: float,
    ) -> None:
        """Add a step of all environments.

        Args:
            observations: [N, …], nested, after the step.
            actions: [N, …], nested.
            rewards: [N].
            infos: For each environment.
            outputs: Columns of what else the module gave out, [N, …], nested.
            time: When the step was over.
        """
        rewards = np.asarray(rewards)
        outputs = {**outputs, WEIGHTS_SEQ_NO: self._weights_number}
        if not self._times:
            self._make_columns(observations, actions, rewards, outputs)
        step = len(self._times)
        if step == self._room:
            self._grow()
        slot = self._lookback + step
        self._observations.put(slot + 1, observations)
        self._actions.put(slot, actions)
        self._rewards.put(slot, rewards)
        for key, values in outputs.items():
            self._given[key].put(slot, values)
        self._infos.append(infos)
        self._times.append(time)

    def start(self, env: int, episode: SingleAgentEpisode) -> None:
        """Note that an environment was reset in the step that was added last, which began this episode."""
        self._episodes[env] = episode
        self._starts[env] = len(self._times)

    def take_over_start(self, env: int) -> None:
        """Take over the observation with which an episode began in the step that was added last: it may be another."""
        self._observations.put_items(env, self._lookback + self.length, self._episodes[env].observations.data[-1:])

    @property
    def length(self) -> int:
        """How many steps were added."""
        return len(self._times)

    def newest_observation(self, env: int) -> Any:
        """Return what an environment gave out in the step that was added last."""
        return self._observations.item(env, self._lookback + self.length)

    def n_steps(self, env: int) -> int:
        """Return how many steps an environment's chunk has."""
        return len(self._times) - self._starts[env]

    def finish(self, env: int, *, as_lists: bool = False) -> None:
        """Put an environment's steps into its episode, as arrays, or as the lists of an episode that goes on."""
        self._add_infos(env)
        self._fill(env, as_lists=as_lists)

    def cut(self, env: int, horizon: int) -> SingleAgentEpisode:
        """Put an environment's steps into its episode, and return what the episode goes on with.

        RLlib's ``cut`` makes it, of lists of what can be seen from there; of an episode with arrays it would make one
        with arrays.

        Args:
            env: Which one.
            horizon: How many steps the episode can look back.
        """
        self._add_infos(env)
        stop, lookbacks = self._lookback + len(self._times), []
        for buffer, column, further in self._buffers_of(env):
            seen = min(horizon, buffer.lookback + self.n_steps(env)) + further
            lookbacks.append((buffer, buffer.lookback))
            buffer.data, buffer.lookback = column.items(env, stop + further - seen, stop + further), 0
        continuation = self._episodes[env].cut(len_lookback_buffer=horizon)
        for buffer, lookback in lookbacks:
            buffer.lookback = lookback
        self._fill(env)
        return continuation

    def _fill(self, env: int, *, as_lists: bool = False) -> None:
        episode, start, stop = self._episodes[env], self._starts[env], len(self._times)
        for buffer, column, further in self._buffers_of(env):
            first, last = self._lookback + start - buffer.lookback, self._lookback + stop + further
            # As lists, too, where types differ among steps, of which RLlib makes one in its way.
            as_arrays = not as_lists and column.is_uniform(env, first, last)
            buffer.data = column.part(env, first, last) if as_arrays else column.items(env, first, last)
            buffer.finalized = as_arrays
            if not as_lists:
                buffer.finalize()
        set_times(episode, self._times[start], self._times[-1])
        set_last_step(episode, self.newest_observation(env), episode.infos.data[-1])

    def _buffers_of(self, env: int) -> Iterator[tuple[InfiniteLookbackBuffer, Column | Marks, int]]:
        """Yield an episode's buffers, the columns that fill them, and 1 for the one that has an item more."""
        episode = self._episodes[env]
        yield episode.observations, self._observations, 1
        yield episode.actions, self._actions, 0
        yield episode.rewards, self._rewards, 0
        outputs = episode.extra_model_outputs
        for key, column in self._outputs.items():
            if key not in outputs:
                outputs[key] = InfiniteLookbackBuffer()
            yield outputs[key], column, 0

    def _add_infos(self, env: int) -> None:
        data = self._episodes[env].infos.data
        data.extend(infos[env] or {} for infos in self._infos[self._starts[env] :])

    def _make_columns(self, observations: Any, actions: Any, rewards: Any, outputs: dict[str, Any]) -> None:
        n_slots = self._lookback + self._room + 1
        self._observations = Column(observations, n_slots)
        self._actions = Column(actions, n_slots)
        self._rewards = Column(rewards, n_slots)
        # Of what has a time dimension RLlib squeezes arrays, without a dimension if need be.
        as_item = np.array if self._stateful else scalar_or_copy
        self._given = {key: Column(values, n_slots, as_item) for key, values in outputs.items()}
        self._given[WEIGHTS_SEQ_NO] = Column(self._weights_number, n_slots, int)
        self._outputs = {**({Columns.STATE_OUT: Marks(MARK)} if self._stateful else {}), **self._given}
        for env, episode in enumerate(self._episodes):
            for buffer, column, further in self._buffers_of(env) if episode.is_reset else ():
                if isinstance(column, Column):
                    column.put_items(env, self._lookback + further - len(buffer.data), buffer.data)

    def _grow(self) -> None:
        self._room *= 2
        for column in (self._observations, self._actions, self._rewards, *self._given.values()):
            column.grow(self._lookback + self._room + 1)
