"""Our own tasks in MiniWorld: what they show, what they ask for, and that it takes memory."""

import math
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import rllib_recattn  # noqa: F401, registers the environments
from rllib_recattn.errors import SettingsError

LEFT, RIGHT, FORWARD, END = range(4)
TMAZE, SIGN = "rllib_recattn/MiniWorld-MemoryTMaze-v0", "rllib_recattn/MiniWorld-RandomSign-v0"


@pytest.fixture
def maze():
    env = gymnasium.make(TMAZE)
    yield env
    env.close()


def cue_of(env):
    """0 for left and 1 for right, read off the first thing the agent sees: whether there is more red or more blue."""
    red, _, blue = env.unwrapped.render_obs().astype(int).sum((0, 1))
    return int(blue > red)


def run(env, actions):
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            break
    return observation, reward, terminated, truncated, info


def way(turn, n_steps=7):
    """Out of the niche, along the corridor of the usual length, and into an arm."""
    return [RIGHT] * 2 + [FORWARD] * n_steps + [turn] * 2 + [FORWARD] * 2


@pytest.mark.parametrize("env_id", [TMAZE, SIGN])
def test_the_environment_checker_is_satisfied(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The mode "human" needs a screen; rgb_array has a test of its own.
        check_env(gymnasium.make(env_id).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", [TMAZE, SIGN])
@pytest.mark.parametrize("view", ["agent", "top"])
def test_they_render(env_id, view):
    env = gymnasium.make(env_id, render_mode="rgb_array", view=view)
    env.reset(seed=0)
    frame = env.render()
    assert frame.shape == (600, 800, 3)
    assert len(np.unique(frame)) > 20
    env.close()


@pytest.mark.parametrize("env_id", [TMAZE, SIGN])
def test_seeds_fix_all_that_follows(env_id):
    def record(env, seed):
        rng = np.random.default_rng(seed)
        seen = [env.reset(seed=seed)[0]]
        for _ in range(60):
            observation, *rest = env.step(rng.integers(3))
            seen += [observation, *rest[:3]]
            if rest[1] or rest[2]:
                seen.append(env.reset()[0])
        return [leaf for part in seen for leaf in (part.values() if isinstance(part, dict) else [part])]

    def same(a, b):
        return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))

    env, other = gymnasium.make(env_id), gymnasium.make(env_id)
    first, second = record(env, 1), record(env, 2)
    assert same(first, record(env, 1))
    assert same(first, record(other, 1))
    assert not same(first, second)


class TestMemoryTMaze:
    def test_spaces(self, maze):
        assert maze.observation_space == spaces.Box(0, 255, (30, 40, 3), np.uint8)
        assert maze.action_space == spaces.Discrete(3)

    @pytest.mark.parametrize("seed", range(12))
    def test_the_way_that_the_cue_says_is_rewarded_and_the_other_is_not(self, maze, seed):
        for follows in (True, False):
            maze.reset(seed=seed)
            turn = cue_of(maze) if follows else 1 - cue_of(maze)
            _, reward, terminated, truncated, info = run(maze, way(turn))
            assert (terminated, truncated, info) == (True, False, {"success": follows})
            steps = maze.unwrapped.step_count
            assert steps in (12, 13)
            assert reward == pytest.approx(1 - 0.2 * steps / 150 if follows else 0)

    def test_cues_and_starts_are_even(self, maze):
        cues, starts = [], []
        for seed in range(300):
            maze.reset(seed=seed)
            cues.append(cue_of(maze))
            starts.append(maze.unwrapped.agent.pos[0])
        assert 0.4 < np.mean(cues) < 0.6
        assert -0.35 <= min(starts) < -0.3
        assert 0.3 < max(starts) <= 0.35
        assert abs(np.corrcoef(cues, starts)[0, 1]) < 0.2

    @pytest.mark.parametrize("length", [4, 4.2, 12])
    def test_the_cue_cannot_be_seen_from_further_along(self, length):
        """What the agent sees there is the same to the last bit, whichever the cue: an arm is right by even odds."""
        mazes = {}
        for seed in range(20):
            env = gymnasium.make(TMAZE, corridor_length=length).unwrapped
            env.reset(seed=seed)
            mazes[cue_of(env)] = env
        assert set(mazes) == {0, 1}
        places = [(x, 0) for x in np.arange(2.2, length + 1.3, 0.3)]
        places += [(length + x, z) for x in (0.4, 0.7, 1, 1.3) for z in np.arange(-1.5, 1.51, 0.5)]
        for x, z in places:
            for direction in range(8):
                views = []
                for env in mazes.values():
                    env.agent.pos, env.agent.dir = np.array([x, 0, z]), direction * math.pi / 4
                    views.append(env.render_obs())
                assert np.array_equal(*views), (x, z, direction)

    def test_nobody_walks_beside_the_middle_of_the_corridor(self, maze):
        """So that the place in the corridor cannot stand in for the memory of the cue."""
        rng = np.random.default_rng(0)
        beside, along = set(), set()
        for seed in range(15):
            maze.reset(seed=seed)
            done = False
            while not done:
                _, _, terminated, truncated, _ = maze.step(rng.integers(3))
                done = terminated or truncated
                x, _, z = maze.unwrapped.agent.pos
                if 1 < x < 4.2:
                    beside.add(round(z, 6))
                    along.add(round(x, 6))
        assert beside == {0}
        assert len(along) > 15

    def test_time_outs_are_truncations_without_success(self):
        env = gymnasium.make(TMAZE, max_steps=3)
        env.reset(seed=0)
        ends = [env.step(LEFT)[1:] for _ in range(3)]
        assert ends == [(0, False, False, {}), (0, False, False, {}), (0, False, True, {"success": False})]

    def test_an_arm_reached_in_the_last_step_counts(self):
        env = gymnasium.make(TMAZE, max_steps=13)
        env.reset(seed=4)
        _, _, terminated, truncated, info = run(env, way(cue_of(env)))
        assert (terminated, truncated, info) == (True, False, {"success": True})

    def test_the_corridor_is_as_long_as_it_is_told(self):
        env = gymnasium.make(TMAZE, corridor_length=9.8)
        env.reset(seed=0)
        *_, terminated, truncated, info = run(env, way(cue_of(env)))
        assert (terminated, truncated, info) == (False, False, {})
        env.reset(seed=0)
        assert run(env, way(cue_of(env), n_steps=15))[-1] == {"success": True}

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"corridor_length": 1}, "MemoryTMaze: corridor_length = 1: .*greater than or equal to 4"),
            ({"corridor_length": "long"}, "corridor_length = 'long': input should be a valid number"),
            ({"max_steps": 0}, "max_steps = 0: .*greater than or equal to 1"),
            ({"obs_height": 0}, "obs_height = 0: .*greater than or equal to 1"),
            ({"view": "above"}, "view = 'above': input should be 'agent' or 'top'"),
        ],
    )
    def test_wrong_settings_are_named(self, settings, problem):
        with pytest.raises(SettingsError, match=problem):
            gymnasium.make(TMAZE, **settings)


class TestRandomSign:
    def test_signs_and_goals_are_drawn_anew(self):
        env = gymnasium.make(SIGN)
        drawn = []
        for seed in range(120):
            observation, _ = env.reset(seed=seed)
            signs = [entity.str for entity in env.unwrapped.entities if hasattr(entity, "str")]
            drawn.append((signs[0], observation["goal"]))
        counts = [drawn.count((sign, goal)) for sign in ("BLUE", "RED", "GREEN") for goal in (0, 1)]
        assert sum(counts) == 120
        assert min(counts) >= 8

    @pytest.mark.parametrize("seed", range(4))
    def test_the_object_that_sign_and_goal_name_is_the_right_one(self, seed):
        env = gymnasium.make(SIGN)
        rewards = {}
        for shape in range(2):
            for colour in range(3):
                observation, _ = env.reset(seed=seed)
                sign = next(entity.str for entity in env.unwrapped.entities if hasattr(entity, "str"))
                there = env.unwrapped._objects[shape][colour]
                env.unwrapped.agent.pos = np.asarray(there.pos, float)
                _, reward, terminated, truncated, info = env.step(LEFT)
                assert (terminated, truncated, info) == (True, False, {"success": reward > 0})
                named = ("BLUE", "RED", "GREEN")[colour] == sign and shape == observation["goal"]
                rewards[shape, colour] = reward
                assert reward == (1 if named else -1)
        assert sorted(rewards.values()) == [-1] * 5 + [1]

    def test_the_sign_can_be_read(self):
        """From round the corner, what the agent sees depends on what is written there, and on nothing else."""
        env = gymnasium.make(SIGN).unwrapped
        views = {}
        for seed in range(30):
            env.reset(seed=seed)
            env.agent.pos, env.agent.dir = np.array([6.0, 0, 10]), 0.0
            views.setdefault(env._color_index, set()).add(env.render_obs().tobytes())
        assert [len(views[colour]) for colour in range(3)] == [1, 1, 1]
        assert len(set.union(*views.values())) == 3

    def test_ending_it_and_time_outs_are_no_success(self):
        env = gymnasium.make(SIGN, max_steps=2)
        env.reset(seed=0)
        assert env.step(END)[1:] == (0, True, False, {"success": False})
        env.reset(seed=0)
        assert [env.step(LEFT)[1:] for _ in range(2)] == [(0, False, False, {}), (0, False, True, {"success": False})]

    def test_wrong_settings_are_named(self):
        with pytest.raises(SettingsError, match=r"RandomSign: max_steps = 0: .*greater than or equal to 1"):
            gymnasium.make(SIGN, max_steps=0)
