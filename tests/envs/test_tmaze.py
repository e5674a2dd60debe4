import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env

from rllib_recattn.envs.tmaze import TMazeEnv
from rllib_recattn.envs.tmaze_task import DOWN, LEFT, RIGHT, UP, TMazeSettings, draw_cues, gray_code, random_bits
from rllib_recattn.errors import SettingsError


def walk_to_junction(env, length, seed=0):
    first, _ = env.reset(seed=seed)
    return [first] + [env.step(RIGHT)[0] for _ in range(length - 1)]


def cell(observation, bits=8):
    """The position that an observation shows, decoded the usual way: each bit is the XOR of all before it."""
    binary = np.cumsum(observation[2 : 2 + bits]).astype(int) % 2
    return int("".join(map(str, binary)), 2)


def test_gray_code_is_distinct_and_neighbours_differ_in_one_bit():
    codes = gray_code(10_000, 14)
    assert codes.shape == (10_000, 14)
    assert len(np.unique(codes, axis=0)) == 10_000
    assert (np.abs(np.diff(codes, axis=0)).sum(axis=1) == 1).all()


@pytest.mark.parametrize(("length", "bits"), [(2, 8), (256, 8), (257, 9), (512, 9), (10_000, 14)])
def test_position_takes_eight_bits_or_as_many_as_the_corridor_needs(length, bits):
    env = TMazeEnv(length, n_distractors=3)
    assert env.observation_space.shape == (2 + bits + 3,)
    observations = walk_to_junction(env, length)
    assert [cell(observation, bits) for observation in observations] == list(range(length))


def test_cue_is_in_the_first_observation_only_and_distractors_in_all_others():
    env = TMazeEnv(corridor_length=40, n_distractors=6)
    cues = []
    for seed in range(30):
        first, *others = walk_to_junction(env, 40, seed)
        assert sorted(first[:2]) == [0, 1]
        assert not first[10:].any()
        assert not np.any([other[:2] for other in others])
        assert np.any([other[10:] for other in others])
        cues.append(int(first[1]))
    assert 5 < sum(cues) < 25


def test_distractors_are_fair_independent_of_each_other_and_of_the_cue():
    keys = np.repeat(np.random.default_rng(0).integers(2**64, size=2000, dtype=np.uint64), 20)
    steps = np.tile(np.arange(1, 21), 2000)
    bits = random_bits(keys, steps, 70)
    everything = np.column_stack([draw_cues(keys), bits]).astype(float)
    # Four standard errors and more: 40,000 bits and, in the correlations, 2,000 cues.
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.015
    correlations = np.corrcoef(everything, rowvar=False) - np.eye(71)
    assert np.abs(correlations[1:, 1:]).max() < 0.03
    assert np.abs(correlations[0]).max() < 0.03
    series = bits.reshape(2000, 20, 70).astype(float) - 0.5
    assert abs(4 * (series[:, 1:] * series[:, :-1]).mean()) < 0.01
    assert np.abs(np.corrcoef(draw_cues(keys[::20]), series[:, 0].T)[0, 1:]).max() < 0.1


def test_random_bits_are_those_of_splitmix64():
    # The first outputs for seed 1234567 in the authors' reference implementation.
    words = [6457827717110365317, 3203168211198807973]
    bits = random_bits(np.array([1234567], np.uint64), np.array([0]), 128)[0]
    assert [sum(int(bit) << place for place, bit in enumerate(half)) for half in (bits[:64], bits[64:])] == words


@pytest.mark.parametrize("turn", [UP, DOWN])
@pytest.mark.parametrize("seed", range(4))
def test_turn_at_the_junction_ends_the_episode_and_is_rewarded_by_the_cue(turn, seed):
    env = TMazeEnv(corridor_length=5)
    first, *_ = walk_to_junction(env, 5, seed)
    cued = UP if first[0] == 1 else DOWN
    observation, reward, terminated, truncated, info = env.step(turn)
    assert (terminated, truncated) == (True, False)
    assert reward == (4.0 if turn == cued else -1.0)
    assert info == {"success": turn == cued}
    assert isinstance(info["success"], bool)
    assert cell(observation) == 4


def test_steps_before_the_turn_cost_a_tenth_and_report_nothing():
    env = TMazeEnv(corridor_length=5)
    env.reset(seed=0)
    for action in (RIGHT, UP, DOWN, LEFT):
        _, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated, info) == (-0.1, False, False, {})


def test_moves_stop_at_the_ends_and_left_leads_out_of_the_junction():
    env = TMazeEnv(corridor_length=3)
    env.reset(seed=0)
    expected = [(LEFT, 0), (UP, 0), (RIGHT, 1), (DOWN, 1), (RIGHT, 2), (RIGHT, 2), (LEFT, 1), (LEFT, 0)]
    assert [cell(env.step(action)[0]) for action, _ in expected] == [position for _, position in expected]


def test_episode_is_truncated_without_success_at_the_limit():
    env = TMazeEnv(corridor_length=4, max_episode_steps=6)
    env.reset(seed=0)
    results = [env.step(LEFT) for _ in range(6)]
    assert [truncated for _, _, _, truncated, _ in results] == [False] * 5 + [True]
    _, reward, terminated, _, info = results[-1]
    assert (reward, terminated, info) == (-0.1, False, {"success": False})


def test_turn_in_the_last_step_terminates():
    env = TMazeEnv(corridor_length=4, max_episode_steps=4)
    walk_to_junction(env, 4)
    assert env.step(UP)[2:4] == (True, False)


@pytest.mark.parametrize(("length", "limit"), [(2, 1000), (200, 1000), (201, 1005), (10_000, 50_000)])
def test_default_limit_leaves_five_times_the_way(length, limit):
    assert TMazeSettings(corridor_length=length).step_limit == limit


def test_default_limit_truncates():
    env = TMazeEnv(corridor_length=201)
    env.reset(seed=0)
    truncations = [env.step(LEFT)[3] for _ in range(1005)]
    assert truncations == [False] * 1004 + [True]


def test_seed_fixes_all_following_episodes():
    def record(seed):
        env = TMazeEnv(corridor_length=10)
        return np.array([walk_to_junction(env, 10, next_seed) for next_seed in [seed] + 5 * [None]])

    np.testing.assert_array_equal(record(7), record(7))
    assert (record(7) != record(8)).any()
    assert len(np.unique(record(7), axis=0)) == 6


@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_environment_checker_has_no_complaint(render_mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The checker says so of every environment that was not made by gymnasium.make.
        warnings.filterwarnings("ignore", message=".*Not able to test alternative render modes.*")
        check_env(TMazeEnv(render_mode=render_mode))


def test_environment_checker_has_no_complaint_about_the_registered_one():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("rllib_recattn/TMaze-v0", render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"corridor_length": 1}, "corridor_length = 1: .*greater than or equal to 2"),
        ({"corridor_length": 10_001}, "corridor_length = 10001: .*less than or equal to 10000"),
        ({"corridor_length": "20"}, "corridor_length = '20': .*integer"),
        ({"corridor_length": 20.5}, "corridor_length = 20.5: .*integer"),
        ({"n_distractors": -1}, "n_distractors = -1: .*greater than or equal to 0"),
        ({"corridor_length": 30, "max_episode_steps": 29}, "max_episode_steps = 29: should be at least 30"),
        ({"max_episode_steps": 0}, "max_episode_steps = 0: should be at least 20"),
        ({"render_mode": "human"}, "render_mode = 'human': .*'ansi' or 'rgb_array'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        TMazeEnv(**settings)


def test_step_needs_an_episode():
    env = TMazeEnv(corridor_length=2)
    with pytest.raises(ResetNeeded):
        env.step(UP)
    walk_to_junction(env, 2)
    env.step(UP)
    with pytest.raises(ResetNeeded):
        env.step(UP)


@pytest.mark.parametrize("action", [-1, 4, 0.5, None])
def test_unknown_action_is_refused(action):
    env = TMazeEnv()
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="should be 0, 1, 2 or 3"):
        env.step(action)
