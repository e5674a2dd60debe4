"""The replay buffer of recurrent Q-learning."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from collections.abc import Sequence as Items
from typing import Any

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils import force_list
from ray.rllib.utils.metrics import (
    NUM_ENV_STEPS_ADDED,
    NUM_ENV_STEPS_ADDED_LIFETIME,
    NUM_ENV_STEPS_EVICTED_LIFETIME,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_ENV_STEPS_STORED,
)
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger
from ray.rllib.utils.replay_buffers import PrioritizedEpisodeReplayBuffer

from rllib_recattn.rl_module.q_learning.pieces import SAMPLED, Sampled
from rllib_recattn.rl_module.q_learning.sequences import OpenEpisode, Sequence, SequenceShape

NUM_SEQUENCES_STORED = "num_sequences_stored"
BYTES_PER_STEP = "bytes_per_step"
_SMALLEST_PRIORITY = 1e-6


class _NamedInConfigs(type(PrioritizedEpisodeReplayBuffer)):  # type: ignore[misc]
    """Lets RLlib find out what a class of buffers is where it expects its name.

    ``AlgorithmConfig.update_from_dict``, which Tune uses, makes a class of a path, and ``Algorithm.setup`` then asks
    whether "EpisodeReplayBuffer" is in it.
    """

    def __contains__(cls, name: str) -> bool:
        return name in cls.__name__


class SequenceEpisodeReplayBuffer(PrioritizedEpisodeReplayBuffer, metaclass=_NamedInConfigs):
    """Holds sequences of steps, each with the state before its first one, and hands them out to be learnt from.

    Sequences come from :class:`OpenEpisode`; the oldest go when there are more than `capacity` steps. With `alpha` they
    are drawn by their priorities, p^alpha, and weighted by (N P)^−`beta`, the largest weight of a batch being 1 (Schaul
    et al., 2016, "Prioritized Experience Replay"); new ones get the largest priority that there was. Otherwise each is
    equally likely.

    It takes the place of RLlib's buffers of episodes, by the class of which RLlib knows whether there are priorities.

    Args:
        capacity: Steps that it holds.
        alpha: How much priorities matter; None: there are none.
        beta: How far weights make up for them. ``sample`` is told as well.
        seed: Of what is drawn; None: another one each time.
        **kwargs: What RLlib's buffers take besides, without effect here.
    """

    def __init__(
        self,
        capacity: int = 50_000,
        *,
        alpha: float | None = None,
        beta: float = 0.4,
        seed: int | None = None,
        **kwargs: Any,
    ):
        # RLlib's constructor makes trees for priorities of steps.
        self.capacity = capacity
        self.alpha, self.beta = alpha, beta
        self.sampled_timesteps = 0
        self.rng = np.random.default_rng(seed)
        self.metrics = MetricsLogger(root=False)
        self._shape: SequenceShape | None = None
        self._more: Callable[[], Items[SingleAgentEpisode]] | None = None
        self._least = 0
        self._sequences: deque[Sequence] = deque()
        self._priorities: deque[float] = deque()
        self._open: OrderedDict[str, tuple[int, OpenEpisode]] = OrderedDict()
        self._spaces: tuple[Any, Any] = (None, None)
        self._n_steps = self._n_added = self._n_evicted_sequences = 0
        self._n_bytes = 0
        self._largest_priority = 1.0
        self._last_sampled: list[int] = []

    def prepare(
        self,
        shape: SequenceShape,
        *,
        seed: int | None = None,
        least: int = 0,
        more: Callable[[], Items[SingleAgentEpisode]] | None = None,
    ) -> None:
        """Tell how episodes are to be cut; comes before anything is added.

        Args:
            shape: How.
            seed: Of what is drawn.
            least: Steps that there should be before any are handed out; never more than the capacity.
            more: Samples some more where there are less. RLlib knows how many steps it has sampled, not how many are
                here: after a restore none are, and of long episodes those that wait do not count.
        """
        self._shape, self._more = shape, more
        self._least = min(least, self.capacity)
        if seed is not None:
            self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return self._n_steps

    def add(self, episodes: Items[SingleAgentEpisode] | SingleAgentEpisode) -> None:
        """Add chunks of episodes, as EnvRunners sample them, those of one episode in their order.

        Of an episode that goes on, the last steps wait here until there are enough of them for a sequence.
        """
        if self._shape is None:
            raise RuntimeError(f"{type(self).__name__}.prepare(…) has to be called before anything is added")
        n_steps = n_evicted = 0
        for chunk in force_list(episodes):
            if not len(chunk):
                continue
            self._spaces = (chunk.observation_space, chunk.action_space)
            n_steps += len(chunk)
            self._n_added += len(chunk)
            _, episode = self._open.pop(chunk.id_, (0, None))
            if episode is None or episode.end != chunk.t_started:  # else a chunk got lost, with its EnvRunner
                episode = OpenEpisode(self._shape, chunk.t_started)
            for sequence in episode.add(chunk):
                self._sequences.append(sequence)
                self._priorities.append(self._largest_priority)
                self._n_steps += sequence.n_new
                self._n_bytes += sequence.n_bytes
            if not chunk.is_done:
                self._open[chunk.id_] = (self._n_added, episode)
        while self._n_steps > self.capacity and len(self._sequences) > 1:
            n_evicted += self._evict()
        while self._open and self._n_added - next(iter(self._open.values()))[0] > self.capacity:
            self._open.popitem(last=False)  # nobody goes on with it
        self._log_added(n_steps, n_evicted)

    def sample(self, num_items: int | None = None, **kwargs: Any) -> list[SingleAgentEpisode]:
        """Draw sequences.

        Args:
            num_items: How many.
            **kwargs: ``beta``, and what RLlib tells its own buffers.

        Returns:
            An episode for each, with a step more to bootstrap from, and what :data:`SAMPLED` has in ``custom_data``.

        Raises:
            RuntimeError: If there is no sequence, and EnvRunners sample no more.
        """
        self._fill()
        if self._shape is None or not self._sequences:
            raise RuntimeError("the replay buffer has no sequence of steps, and EnvRunners gave it no steps")
        n_items = num_items or 1
        if self.alpha is None:
            drawn = self.rng.integers(len(self._sequences), size=n_items)
            weights = np.ones(n_items, np.float32)
        else:
            cumulated = np.cumsum(np.asarray(self._priorities) ** self.alpha)
            points = self.rng.random(n_items) * cumulated[-1]
            drawn = np.minimum(np.searchsorted(cumulated, points, side="right"), len(cumulated) - 1)
            shares = np.diff(cumulated, prepend=0.0)[drawn] / cumulated[-1]
            beta = self.beta if kwargs.get("beta") is None else kwargs["beta"]
            weights = (len(cumulated) * shares) ** -beta
            weights = (weights / weights.max()).astype(np.float32)
        self._last_sampled = [int(index) + self._n_evicted_sequences for index in drawn]
        episodes = []
        for position, (index, weight) in enumerate(zip(drawn, weights, strict=True)):
            episode = self._sequences[index].as_episode(f"{position}", self._spaces, self._shape.max_seq_len)
            episode.custom_data[SAMPLED] = Sampled(position, float(weight))
            episodes.append(episode)
        n_steps = sum(len(self._sequences[index]) for index in drawn)
        self.sampled_timesteps += n_steps
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED, n_steps, reduce="sum")
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED_LIFETIME, n_steps, reduce="lifetime_sum")
        return episodes

    def update_priorities(self, priorities: Any, module_id: Any = None) -> None:
        """Give the sequences that were sampled last their new priorities, in the order in which they came."""
        if self.alpha is None:
            return
        for number, priority in zip(self._last_sampled, priorities, strict=True):
            index = number - self._n_evicted_sequences
            if index >= 0:
                self._priorities[index] = max(float(priority), _SMALLEST_PRIORITY)
                self._largest_priority = max(self._largest_priority, self._priorities[index])

    def get_num_episodes(self, module_id: Any = None) -> int:
        """Return how many sequences there are."""
        return len(self._sequences)

    def get_num_episodes_evicted(self, module_id: Any = None) -> int:
        """Return how many sequences went to make place for others."""
        return self._n_evicted_sequences

    def get_num_timesteps(self, module_id: Any = None) -> int:
        """Return how many steps there are, those not counted that wait to be a sequence."""
        return self._n_steps

    def get_added_timesteps(self, module_id: Any = None) -> int:
        """Return how many steps were added."""
        return self._n_added

    def get_state(self) -> dict[str, Any]:
        """Return what it holds. Episodes that go on are left out: after a restore there are others."""
        return {
            "sequences": [vars(sequence) for sequence in self._sequences],
            "priorities": list(self._priorities),
            "largest_priority": self._largest_priority,
            "spaces": self._spaces,
            "n_added": self._n_added,
            "n_evicted_sequences": self._n_evicted_sequences,
            "sampled_timesteps": self.sampled_timesteps,
            "rng": self.rng.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Hold what :meth:`get_state` returned."""
        self._sequences = deque(Sequence(**fields) for fields in state["sequences"])
        self._priorities = deque(state["priorities"])
        self._largest_priority = state["largest_priority"]
        self._spaces = state["spaces"]
        self._n_added, self._n_evicted_sequences = state["n_added"], state["n_evicted_sequences"]
        self.sampled_timesteps = state["sampled_timesteps"]
        self.rng.bit_generator.state = state["rng"]
        self._n_steps = sum(sequence.n_new for sequence in self._sequences)
        self._n_bytes = sum(sequence.n_bytes for sequence in self._sequences)
        self._open.clear()

    def _fill(self) -> None:
        while self._more is not None and (self._n_steps < self._least or not self._sequences):
            before = self._n_added
            self.add(self._more())
            if self._n_added == before:  # no EnvRunner is there any more
                return

    def _evict(self) -> int:
        sequence = self._sequences.popleft()
        self._priorities.popleft()
        self._n_steps -= sequence.n_new
        self._n_bytes -= sequence.n_bytes
        self._n_evicted_sequences += 1
        return sequence.n_new

    def _log_added(self, n_steps: int, n_evicted: int) -> None:
        log = self.metrics.log_value
        log(NUM_ENV_STEPS_ADDED, n_steps, reduce="sum")
        log(NUM_ENV_STEPS_ADDED_LIFETIME, n_steps, reduce="lifetime_sum")
        log(NUM_ENV_STEPS_EVICTED_LIFETIME, n_evicted, reduce="lifetime_sum")
        log(NUM_ENV_STEPS_STORED, self._n_steps, window=1)
        log(NUM_SEQUENCES_STORED, len(self._sequences), window=1)
        log(BYTES_PER_STEP, self._n_bytes / max(1, self._n_steps), window=1)
