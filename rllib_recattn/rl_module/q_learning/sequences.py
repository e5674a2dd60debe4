"""Episodes cut into the sequences that a replay buffer holds.

Shape suffixes: L steps, H steps before them that connectors look back at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tree
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.q_learning.settings import steps_between_states
from rllib_recattn.rl_module.sparse_states.kept_states import KEY, MARK, KeptStates, State, kept_states


@dataclass(frozen=True)
class SequenceShape:
    """How episodes are cut.

    Attributes:
        max_seq_len: Steps of the learner's rows, the one included from which the others bootstrap.
        burn_in: Steps at the beginning of a sequence that have no loss, unless it begins an episode.
        lookback: H at most.
    """

    max_seq_len: int
    burn_in: int
    lookback: int

    @property
    def stride(self) -> int:
        """Steps from the beginning of a sequence to that of the next one, at most."""
        return steps_between_states(self.max_seq_len, self.burn_in)


@dataclass(frozen=True)
class Sequence:
    """Some steps of an episode, with the state before them.

    Attributes:
        observations: [H + L + 1, …], nested.
        actions: [H + L, …], nested.
        rewards: [H + L].
        state: That before the first of the L steps; ``INITIAL`` at the start of an episode.
        t_started: The episode's step with which it begins.
        lookback: H.
        n_new: How many of the steps are learnt in no sequence before.
        terminated: Whether the episode ended by itself with the last step.
        truncated: Whether something else ended it there.
    """

    observations: Any
    actions: Any
    rewards: np.ndarray
    state: State
    t_started: int
    lookback: int
    n_new: int
    terminated: bool
    truncated: bool

    def __len__(self) -> int:
        return len(self.rewards) - self.lookback

    @property
    def n_bytes(self) -> int:
        """Bytes of its arrays."""
        leaves = tree.flatten([self.observations, self.actions, self.rewards, self.state])
        return sum(leaf.nbytes for leaf in leaves if isinstance(leaf, np.ndarray))

    def as_episode(self, id_: str, spaces: tuple[Any, Any], max_seq_len: int) -> SingleAgentEpisode:
        """Return what RLlib's learner connectors read: L + 1 steps, of which the last one is to bootstrap from."""
        observation_space, action_space = spaces
        n = len(self.rewards) + 1
        episode = SingleAgentEpisode(
            id_=id_,
            observations=self._buffer(_with_last_again(self.observations), observation_space),
            observation_space=observation_space,
            infos=self._buffer([{}] * (n + 1)),
            actions=self._buffer(_with_last_again(self.actions), action_space),
            action_space=action_space,
            rewards=self._buffer(np.append(self.rewards, self.rewards.dtype.type(0))),
            terminated=self.terminated,
            truncated=not self.terminated,
            t_started=self.t_started,
            extra_model_outputs={
                Columns.STATE_OUT: self._buffer(
                    {key: np.empty((n, *mark.shape), mark.dtype) for key, mark in MARK.items()}
                )
            },
        )
        episode.custom_data[KEY] = KeptStates(
            {
                "t_started": self.t_started,
                "rows": [self.state],
                "n_steps": len(self) + 1,
                "max_seq_len": max_seq_len,
                "newest": None,
                "previous": None,
                "ended": self.terminated or self.truncated,
            }
        )
        return episode

    def _buffer(self, data: Any, space: Any = None) -> InfiniteLookbackBuffer:
        buffer = InfiniteLookbackBuffer(data=data, space=space)
        buffer.lookback = self.lookback  # the constructor takes the number of keys for the length of nested data
        return buffer


@dataclass(frozen=True)
class _Piece:
    """The steps of a chunk: `observations` are those before them."""

    start: int
    observations: Any
    actions: Any
    rewards: np.ndarray


class OpenEpisode:
    """An episode of which more may come, and which makes a sequence whenever its steps suffice for one.

    A sequence begins where a state was kept. The next one begins at the last such step from which its learnt steps
    still follow those of the one before without a gap. EnvRunners keep a state with each chunk of an episode, and one
    each `shape.stride` steps from there, so that there always is one.

    Args:
        shape: How it is cut.
        start: The step that is to come first.
    """

    def __init__(self, shape: SequenceShape, start: int):
        self._shape = shape
        self._begin = self.end = self._learnt = start
        self._pieces: list[_Piece] = []
        self._states: dict[int, State] = {}

    def add(self, chunk: SingleAgentEpisode) -> Iterator[Sequence]:
        """Add the next chunk of the episode, as RLlib samples it; yields the sequences that are complete.

        Raises:
            SettingsError: If its states are not kept apart.
        """
        states = kept_states(chunk, chunk)
        if states is None:
            raise SettingsError(
                "DQN: an episode came to the replay buffer without the states that use_model has EnvRunners keep: a "
                "later config.env_runners(…_connector=…) replaced its connectors; call use_model after it"
            )
        first, stride = chunk.t_started, self._shape.stride
        for step in range(0, len(chunk), stride):
            state = states.before(first, step, stride)
            self._states[first + step] = state if isinstance(state, str) else tree.map_structure(np.copy, state)
        data = chunk if chunk.is_numpy else _as_arrays(chunk)
        observations = data.get_observations()
        self._last = tree.map_structure(lambda leaf: leaf[-1:], observations)
        self._pieces.append(
            _Piece(
                first,
                tree.map_structure(lambda leaf: leaf[:-1], observations),
                data.get_actions(),
                np.asarray(data.get_rewards(), np.float32),
            )
        )
        self.end = chunk.t
        longest = self._shape.max_seq_len - 1
        while self._learnt < self.end:
            self._go_on()
            if self.end - self._begin < longest and not chunk.is_done:
                break
            yield self._cut(min(self._begin + longest, self.end), chunk)

    def _cut(self, end: int, chunk: SingleAgentEpisode) -> Sequence:
        begin, at_end = self._begin, end == self.end
        first = max(begin - self._shape.lookback, self._pieces[0].start)
        parts = [self._part(piece, first, end) for piece in self._pieces if piece.start < end]
        after = self._last if at_end else self._observation(end)
        sequence = Sequence(
            observations=_joined([part.observations for part in parts] + [after]),
            actions=_joined([part.actions for part in parts]),
            rewards=np.concatenate([part.rewards for part in parts]),
            state=self._states[begin],
            t_started=begin,
            lookback=begin - first,
            n_new=end - self._learnt,
            terminated=at_end and bool(chunk.is_terminated),
            truncated=at_end and bool(chunk.is_truncated),
        )
        self._learnt = end
        return sequence

    def _go_on(self) -> None:
        """Let the next sequence begin as late as it may, and forget what is before it.

        Not before another step has come: its state may come with the chunk that begins there.
        """
        if self._learnt == self._begin:
            return
        self._begin = max(step for step in self._states if step <= self._learnt - self._shape.burn_in)
        self._states = {step: state for step, state in self._states.items() if step >= self._begin}
        needed = self._begin - self._shape.lookback
        self._pieces = [piece for piece in self._pieces if piece.start + len(piece.rewards) > needed] or self._pieces[
            -1:
        ]

    def _part(self, piece: _Piece, first: int, end: int) -> _Piece:
        steps = slice(max(0, first - piece.start), end - piece.start)

        def cut(leaf: np.ndarray) -> np.ndarray:
            return leaf[steps]

        return _Piece(
            piece.start,
            tree.map_structure(cut, piece.observations),
            tree.map_structure(cut, piece.actions),
            piece.rewards[steps],
        )

    def _observation(self, step: int) -> Any:
        piece = next(each for each in self._pieces if each.start <= step < each.start + len(each.rewards))
        index = step - piece.start
        return tree.map_structure(lambda leaf: leaf[index : index + 1], piece.observations)


def _as_arrays(chunk: SingleAgentEpisode) -> SingleAgentEpisode:
    """Return a copy with arrays in the place of lists, as EnvRunners hand out by default."""
    return chunk.slice(slice(0, None)).to_numpy()


def _joined(parts: list[Any]) -> Any:
    return tree.map_structure(lambda *leaves: np.concatenate(leaves), *parts)


def _with_last_again(nested: Any) -> Any:
    return tree.map_structure(lambda leaf: np.concatenate([leaf, leaf[-1:]]), nested)
