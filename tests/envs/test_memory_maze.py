"""Memory Maze: its import, its touch, its seeds and its time limit."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from dm_control.locomotion.props import target_sphere
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled
from gymnasium.utils.env_checker import check_env

from rllib_recattn.envs.memory_maze import SIZES, imported
from rllib_recattn.errors import SettingsError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def make(size=9, **settings):
    return gymnasium.make(f"rllib_recattn/MemoryMaze-{size}x{size}-v0", **settings)


@pytest.fixture(scope="module")
def maze():
    env = make(render_mode="rgb_array")
    yield env
    env.close()


@pytest.fixture(scope="module")
def frame_of_seed_2(maze):
    """What the maze of a seed begins with; a reset takes seconds."""
    return maze.reset(seed=2)[0]


def simulation(env):
    """The dm_control environment inside."""
    inner = env.unwrapped._env
    while hasattr(inner, "env"):
        inner = inner.env
    return inner


def walk(env, seed, n_steps=12):
    """Frames and rewards of a ball that is put into a target now and then, and pushed about."""
    frames, rewards = [env.reset(seed=seed)[0]], []
    rng = np.random.default_rng(seed)
    for step in range(n_steps):
        if step % 3 == 0:
            inner = simulation(env)
            target = inner.task._targets[step // 3 % len(inner.task._targets)]
            place = inner.physics.bind(target.geom).xpos.copy()
            inner.task._walker.set_pose(inner.physics, position=[place[0], place[1], 0])
        frame, reward, terminated, truncated, _ = env.step(rng.integers(6))
        assert (terminated, truncated) == (False, False)
        frames.append(frame)
        rewards.append(reward)
    return frames, rewards


def test_touch_is_dm_controls(maze, monkeypatch):
    quick = imported.memory_maze_tasks() and sys.modules["memory_maze.maze"].target_sphere
    assert quick is not target_sphere
    assert isinstance(simulation(maze).task._targets[0], quick.TargetSphere)
    frames, rewards = walk(maze, seed=4)
    monkeypatch.setattr(sys.modules["memory_maze.maze"], "target_sphere", target_sphere)
    slow_frames, slow_rewards = walk(maze, seed=4)  # again, with targets of dm_control's own
    assert type(simulation(maze).task._targets[0]) is target_sphere.TargetSphere
    assert set(rewards) == {0.0, 1.0}
    assert rewards == slow_rewards
    np.testing.assert_array_equal(frames, slow_frames)


def test_seeds_fix_the_maze_and_those_that_follow(maze, frame_of_seed_2):
    def two_mazes(seed):
        first = maze.reset(seed=seed)[0]
        layout = simulation(maze).task._maze_arena.maze.entity_layer.copy()
        return first, layout, maze.reset()[0]

    first, again = two_mazes(1), two_mazes(1)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], first[2])
    assert not np.array_equal(first[0], frame_of_seed_2)


def test_the_picture_is_what_the_agent_sees(maze, frame_of_seed_2):
    observation, *_ = maze.step(0)
    np.testing.assert_array_equal(maze.render(), observation)
    assert maze.observation_space == spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert maze.action_space == spaces.Discrete(6)
    border = {tuple(pixel) for pixel in observation[0]}
    assert len(border) == 1  # the colour of the next target


def test_time_outs_are_truncations(maze, frame_of_seed_2, monkeypatch):
    assert simulation(maze)._time_limit == pytest.approx(250, abs=0.01)
    inner = simulation(maze)
    monkeypatch.setattr(inner, "_time_limit", inner.physics.time() + 0.5 - 1e-3)
    assert [maze.step(0)[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_importing_leaves_no_gym_behind():
    code = """
import sys
import gymnasium
import dm_control.suite  # as RLlib does
from rllib_recattn.envs.memory_maze.imported import memory_maze_tasks
before = set(gymnasium.registry)
memory_maze_tasks()
from dm_control import _render
import memory_maze.gym_wrappers
assert set(gymnasium.registry) == before
print([name for name in sys.modules if name.split(".")[0] == "gym"], _render.BACKEND)
try:
    import gym
except ImportError:
    print("no gym")
"""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert process.stdout.splitlines() == ["[] egl", "no gym"], process.stderr


@pytest.mark.parametrize(
    ("size", "settings", "problem"),
    [
        (9, {"camera_resolution": 0}, "MemoryMaze-9x9: camera_resolution = 0: .*greater than or equal to 1"),
        (11, {"good_visibility": 1}, "MemoryMaze-11x11: good_visibility = 1: .*boolean"),
        (9, {"view": "above"}, "view = 'above': input should be 'agent' or 'top'"),
    ],
)
def test_wrong_settings_are_named(size, settings, problem):
    with pytest.raises(SettingsError, match=problem):
        make(size, **settings)


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "memory_maze.maze", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'rllib-recattn\[memory-maze\]'"):
        make()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "settings"),
    [(9, {"global_observables": True}), (9, {"view": "top"}), *[(size, {}) for size in SIZES[1:]]],
)
def test_mazes_satisfy_the_environment_checker(size, settings):
    env = make(size, render_mode="rgb_array", **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        # Remarks about positions, which have no bounds.
        warnings.filterwarnings("ignore", message=".*A Box observation space m(ax|in)imum value is .*infinity")
        check_env(env.unwrapped, skip_render_check=True)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert env.render().ndim == 3
    assert simulation(env)._time_limit == pytest.approx({9: 250, 11: 500, 13: 750, 15: 1000}[size], abs=0.01)
    env.close()
