"""Share the episodes of a train batch among several learners without losing their states.

RLlib cuts single-agent episodes where it likes, so that all learners get equally many steps. A slice starts at a step
whose state was not kept, and has none of the episode's ``custom_data``. Here episodes are cut between the learner's
rows only, and the states go along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.episodes import Episode
from rllib_recattn.rl_module.rllib_internals.learners import number_of_minibatches
from rllib_recattn.rl_module.sparse_states.kept_states import KEY, kept_states


@dataclass
class TrainingDataInRows(TrainingData):
    """Training data of RLlib whose episodes are cut between the learner's rows."""

    def shard(self, num_shards: int, len_lookback_buffer: int | None = None, **kwargs: Any) -> list[Any]:
        """Share the data among learners: a list of the data of each and of what its update takes besides."""
        if self.episodes is None or not any(KEY in episode.custom_data for episode in self.episodes):
            return super().shard(num_shards, len_lookback_buffer, **kwargs)
        n_minibatches = 0
        if kwargs.get("minibatch_size") and num_shards > 1:
            # With 0, each learner would go by its own share, and wait forever for one that makes fewer minibatches.
            n_minibatches = max(
                1,
                number_of_minibatches(
                    self, self.episodes, num_shards, kwargs["minibatch_size"], kwargs.get("num_epochs", 1)
                ),
            )
        return [
            (TrainingData(episodes=episodes), {"num_total_minibatches": n_minibatches})
            for episodes in share_episodes(self.episodes, num_shards, len_lookback_buffer)
        ]


def share_episodes(
    episodes: Sequence[Episode], n_learners: int, len_lookback_buffer: int | None = None
) -> list[list[Episode]]:
    """Divide episodes into lists of about equally many steps.

    Multi-agent episodes are not cut, since the rows of their agents begin at different steps.

    Args:
        episodes: What was sampled.
        n_learners: How many lists to make.
        len_lookback_buffer: The steps that the later part of a cut episode sees of the earlier one; None: as many as
            the episode itself sees of what was before it.

    Raises:
        SettingsError: If a learner would get nothing.
    """
    fair_share = sum(map(len, episodes)) // n_learners
    shares: list[list[Episode]] = [[] for _ in range(n_learners)]
    n_steps = [0] * n_learners
    waiting = sorted(episodes, key=len, reverse=True)
    while waiting:
        episode = waiting.pop(0)
        least = n_steps.index(min(n_steps))
        step = _row_near(episode, fair_share - n_steps[least])
        if step < len(episode):
            episode, rest = _cut(episode, step, len_lookback_buffer)
            waiting.insert(0, rest)
        shares[least].append(episode)
        n_steps[least] += len(episode)
    if not all(shares):
        raise SettingsError(
            f"num_learners = {n_learners}: should be at most {sum(map(bool, shares))} for train batches of this size, "
            f"{len(episodes)} chunks of episodes with {sum(n_steps)} steps: with sparse states, a learner gets whole "
            "rows of max_seq_len steps, and whole chunks of multi-agent episodes"
        )
    return shares


def send_whole_rows(update: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the `update` method of a LearnerGroup so that it cuts episodes between the learner's rows only."""

    def update_in_rows(*, episodes: list[Episode] | None = None, training_data: Any = None, **kwargs: Any) -> Any:
        if training_data is None and episodes is not None:
            return update(training_data=TrainingDataInRows(episodes=episodes), **kwargs)
        return update(episodes=episodes, training_data=training_data, **kwargs)

    return update_in_rows


def _row_near(episode: Episode, step: int) -> int:
    """Return the step nearest to `step` at which a row begins or the episode ends, but not its first one."""
    states = kept_states(episode, episode) if isinstance(episode, SingleAgentEpisode) else None
    if states is None or states["max_seq_len"] is None:
        return len(episode)
    max_seq_len: int = states["max_seq_len"]
    return min(len(episode), max(1, round(step / max_seq_len)) * max_seq_len)


def _cut(
    episode: SingleAgentEpisode, step: int, len_lookback_buffer: int | None
) -> tuple[SingleAgentEpisode, SingleAgentEpisode]:
    head = episode.slice(slice(None, step))
    tail = episode.slice(slice(step, None), len_lookback_buffer=len_lookback_buffer)
    states = kept_states(episode, episode)
    assert states is not None
    for part, states_of_part in zip((head, tail), states.split(step), strict=True):
        part.custom_data.update({**episode.custom_data, KEY: states_of_part})
    return head, tail
