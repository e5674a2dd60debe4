"""The replay buffer of sequences."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.q_learning.pieces import SAMPLED
from rllib_recattn.rl_module.q_learning.replay import SequenceEpisodeReplayBuffer
from rllib_recattn.rl_module.q_learning.sequences import SequenceShape
from rllib_recattn.rl_module.sparse_states.kept_states import KEY, start_keeping


def state(t: int) -> dict[str, np.ndarray]:
    return {"state": np.full(2, t, np.float32)}


def chunks(lengths: list[int], stride: int, ends: str = "terminated", lookback: int = 1) -> list[SingleAgentEpisode]:
    """Chunks of an episode whose observation, action, reward and state at step t are t; the last one ends it."""
    episode = SingleAgentEpisode(id_=f"{lengths}")
    episode.add_env_reset(np.array([0.0], np.float32))
    start_keeping(episode, episode)
    done: list[SingleAgentEpisode] = []
    for number, length in enumerate(lengths):
        for _ in range(length):
            t = episode.t
            last = number == len(lengths) - 1 and t + 1 == sum(lengths)
            episode.custom_data[KEY].record(episode.t_started, len(episode), stride, state(t + 1))
            flags = {"terminated": last and ends == "terminated", "truncated": last and ends == "truncated"}
            episode.add_env_step(np.array([t + 1], np.float32), t, float(t), **flags)
        following = None if episode.is_done else episode.cut(len_lookback_buffer=lookback)
        done.append(episode.to_numpy())
        episode = following
    return done


def buffer_of(shape: SequenceShape, **settings) -> SequenceEpisodeReplayBuffer:
    buffer = SequenceEpisodeReplayBuffer(**{"capacity": 10**6, "seed": 0, **settings})
    buffer.prepare(shape)
    return buffer


def ranges(buffer: SequenceEpisodeReplayBuffer) -> list[tuple[int, int]]:
    return [(sequence.t_started, sequence.t_started + len(sequence)) for sequence in buffer._sequences]


@pytest.mark.parametrize("lengths", [[23], [1] * 23, [7, 9, 7], [6, 6, 6, 5], [2] * 11 + [1]])
def test_sequences_follow_one_another_and_overlap_by_the_burn_in(lengths):
    shape = SequenceShape(max_seq_len=9, burn_in=2, lookback=1)
    buffer = buffer_of(shape)
    for chunk in chunks(lengths, shape.stride):
        buffer.add([chunk])
    found = ranges(buffer)
    assert found[0] == (0, 8)
    assert found[-1][1] == 23
    for (begin, end), (later, _) in pairwise(found):
        assert begin < later <= end - 2, "learnt steps are to follow without a gap"
        assert end - begin == 8
    if lengths in ([23], [1] * 23, [6, 6, 6, 5]):
        assert [begin for begin, _ in found] == [0, 6, 12, 18][: len(found)]
    assert len(buffer) == 23
    for sequence in buffer._sequences:
        t, back = sequence.t_started, sequence.lookback
        steps = np.arange(t - back, t + len(sequence))
        assert back == (1 if t else 0)
        assert sequence.actions.tolist() == sequence.rewards.tolist() == steps.tolist()
        assert sequence.observations.ravel().tolist() == [*steps.tolist(), steps[-1] + 1]
        assert sequence.state == "initial" if t == 0 else sequence.state["state"].tolist() == [t, t]
        assert sequence.terminated == (t + len(sequence) == 23)
        assert not sequence.truncated


def test_a_truncated_episode_is_no_terminated_one():
    buffer = buffer_of(SequenceShape(5, 0, 1))
    buffer.add(chunks([6], 4, ends="truncated"))
    assert [(sequence.terminated, sequence.truncated) for sequence in buffer._sequences] == [
        (False, False),
        (False, True),
    ]
    assert not any(episode.is_terminated for episode in buffer.sample(20))


def test_an_episode_that_goes_on_waits_until_a_sequence_is_full():
    buffer = buffer_of(SequenceShape(9, 0, 1))
    first, second, _ = chunks([5, 5, 5], 8)
    buffer.add([first])
    assert len(buffer) == 0
    with pytest.raises(RuntimeError, match="no sequence of steps"):
        buffer.sample(3)
    buffer.add([second])
    assert ranges(buffer) == [(0, 8)]


def test_what_comes_behind_a_lost_chunk_begins_anew():
    buffer = buffer_of(SequenceShape(5, 0, 1))
    first, _, third = chunks([4, 3, 5], 4)
    buffer.add([first, third])
    assert ranges(buffer) == [(0, 4), (7, 11), (11, 12)]


def test_the_oldest_go_and_the_capacity_is_in_steps():
    buffer = buffer_of(SequenceShape(5, 0, 1), capacity=10)
    for length in (8, 3, 6):
        buffer.add(chunks([length], 4))
    assert len(buffer) == 9
    assert [len(sequence) for sequence in buffer._sequences] == [3, 4, 2]
    assert buffer.get_num_episodes_evicted() == 2


def test_what_is_large_in_its_episode_is_not_held():
    buffer = buffer_of(SequenceShape(5, 0, 1))
    (chunk,) = chunks([4], 4)
    chunk.observations.data = np.zeros((5, 1000), np.float32)[:, :1]
    buffer.add([chunk])
    assert buffer._sequences[0].observations.base is None


def test_priorities_decide_what_is_drawn_and_weights_make_up_for_it():
    buffer = buffer_of(SequenceShape(3, 0, 1), alpha=1.0)
    for length in (1, 1, 2, 2):
        buffer.add(chunks([length], 2))
    n_sequences = len(buffer._sequences)
    sampled = buffer.sample(4, beta=0.5)
    assert {episode.custom_data[SAMPLED].weight for episode in sampled} == {1.0}  # all are new
    wanted = [1.0, 3.0, 0.5, 1.5]
    buffer._last_sampled = list(range(n_sequences))
    buffer.update_priorities(np.array(wanted))
    sampled = buffer.sample(20_000, beta=0.5)
    numbers = np.array(buffer._last_sampled)
    shares = np.bincount(numbers, minlength=n_sequences) / len(numbers)
    assert shares == pytest.approx(np.array(wanted) / sum(wanted), abs=0.02)
    weights = np.array([episode.custom_data[SAMPLED].weight for episode in sampled])
    expected = np.array(wanted) ** -0.5
    for number in range(n_sequences):
        assert weights[numbers == number] == pytest.approx(expected[number] / expected.max(), rel=1e-5)


def test_new_sequences_are_drawn_as_often_as_the_most_urgent():
    buffer = buffer_of(SequenceShape(3, 0, 1), alpha=1.0)
    buffer.add(chunks([1], 2))
    buffer.sample(1)
    buffer.update_priorities([7.0])
    buffer.add(chunks([2], 2))
    assert list(buffer._priorities) == [7.0, 7.0]


def test_priorities_of_what_has_gone_are_dropped():
    buffer = buffer_of(SequenceShape(3, 0, 1), alpha=1.0, capacity=2)
    buffer.add(chunks([1], 2))
    buffer.sample(1)
    buffer.add(chunks([2], 2))
    buffer.update_priorities([5.0])
    assert list(buffer._priorities) == [1.0]


def test_it_goes_on_from_its_state():
    buffer = buffer_of(SequenceShape(5, 1, 1), alpha=0.5)
    buffer.add(chunks([9], 3))
    buffer.sample(2)
    buffer.update_priorities([3.0, 0.1])
    other = buffer_of(SequenceShape(5, 1, 1), alpha=0.5, seed=1)
    other.set_state(pickle.loads(pickle.dumps(buffer.get_state())))
    assert (len(other), ranges(other)) == (len(buffer), ranges(buffer))
    assert [e.t_started for e in other.sample(20)] == [e.t_started for e in buffer.sample(20)]


def test_episodes_without_states_are_refused():
    buffer = buffer_of(SequenceShape(5, 0, 1))
    (chunk,) = chunks([4], 4)
    chunk.custom_data.clear()
    with pytest.raises(SettingsError, match="without the states that use_model"):
        buffer.add([chunk])


def test_it_asks_for_more_until_there_are_enough():
    buffer = buffer_of(SequenceShape(5, 0, 1))
    waiting = [chunks([length], 4) for length in (3, 5, 2)]
    buffer.prepare(SequenceShape(5, 0, 1), least=7, more=lambda: waiting.pop(0) if waiting else [])
    buffer.sample(1)
    assert (len(buffer), len(waiting)) == (8, 1)
    buffer.prepare(SequenceShape(5, 0, 1), least=100, more=lambda: waiting.pop(0) if waiting else [])
    buffer.sample(1)
    assert (len(buffer), len(waiting)) == (10, 0)
