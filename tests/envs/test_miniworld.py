"""MiniWorld's own tasks, made ready: many in a process, of any size, that leave nothing behind."""

import gc
import hashlib
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import rllib_recattn.envs.miniworld.worlds.make  # noqa: F401, opens the display and registers MiniWorld's tasks
from rllib_recattn.envs.miniworld.worlds.own_world import OwnWorld
from rllib_recattn.errors import SettingsError

TASKS = sorted(name for name in gymnasium.registry if name.startswith("MiniWorld-"))
CHECKED_BY_DEFAULT = {"MiniWorld-Sign-v0", "MiniWorld-MazeS2-v0"}
N_ENVS, N_STEPS = 8, 25


def make(task, **settings):
    return gymnasium.make("rllib_recattn/MiniWorld-v0", task=task, **settings)


def leaves(observation):
    return list(observation.values()) if isinstance(observation, dict) else [observation]


class Walk:
    """A random agent, a step at a time, and all that it sees."""

    def __init__(self, env, seed):
        self.env, self.rng = env, np.random.default_rng(seed)
        self.observations, self.outcomes = [env.reset(seed=seed)[0]], []

    def step(self):
        observation, *outcome, _ = self.env.step(self.rng.integers(self.env.action_space.n))
        self.observations.append(observation)
        self.outcomes.append([float(value) for value in outcome])
        if any(outcome[1:]):
            self.observations.append(self.env.reset()[0])

    def digest(self):
        seen = b"".join(np.asarray(leaf).tobytes() for seen in self.observations for leaf in leaves(seen))
        return hashlib.sha256(seen + repr(self.outcomes).encode()).hexdigest()


def walk(env, seed):
    made = Walk(env, seed)
    for _ in range(N_STEPS):
        made.step()
    return made


def test_there_are_as_many_tasks_as_the_documentation_says():
    assert len(TASKS) == 23


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_made_ready_and_looks_as_miniworld_draws_it(task):
    stock = gymnasium.make(task, disable_env_checker=True)
    expected = walk(stock, seed=3)
    env = make(task)
    assert walk(env, seed=3).digest() == expected.digest()
    assert env.action_space == stock.action_space
    assert env.observation_space == stock.observation_space
    assert all(observation in env.observation_space for observation in expected.observations)
    env.close()


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=[] if task in CHECKED_BY_DEFAULT else [pytest.mark.slow]) for task in TASKS]
)
def test_tasks_satisfy_the_environment_checker(task):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What the checker says of every environment with a wrapper.
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        env = make(task)
        # The mode "human" needs a screen; rgb_array has a test of its own.
        check_env(env.env, skip_render_check=True)
    env.close()


WALK = """
import sys
from tests.envs.test_miniworld import env_number, walk
number = int(sys.argv[1])
print(walk(env_number(number), seed=number).digest())
"""


def env_number(number):
    return make(["MiniWorld-MazeS2-v0", "MiniWorld-ThreeRooms-v0", "MiniWorld-Hallway-v0"][number % 3])


def start_python(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def digests_of_interleaved():
    walks = [Walk(env_number(number), seed=number) for number in range(N_ENVS)]
    for _ in range(N_STEPS):
        for each in walks:
            each.step()
    return [each.digest() for each in walks]


@pytest.mark.slow
def test_eight_interleaved_environments_see_what_they_see_in_processes_of_their_own():
    processes = [start_python(WALK, str(number)) for number in range(N_ENVS)]
    alone = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert digests_of_interleaved() == alone
    assert len(set(alone)) == N_ENVS


def test_interleaved_environments_see_what_they_see_alone(monkeypatch):
    alone = [walk(env_number(number), seed=number).digest() for number in range(N_ENVS)]
    assert digests_of_interleaved() == alone
    monkeypatch.setattr(OwnWorld, "has_own_list", False)
    as_in_miniworld = digests_of_interleaved()
    # The last one to be reset has three rooms, as two others have, which are the same in every episode.
    assert sum(a != b for a, b in zip(as_in_miniworld, alone, strict=True)) == N_ENVS - 3


BESIDE_STOCK = """
import gymnasium
from tests.envs.test_miniworld import N_STEPS, Walk, env_number, walk
first = Walk(env_number(0), seed=0)  # of all, which is why this is a process of its own
stock = gymnasium.make("MiniWorld-Hallway-v0", disable_env_checker=True)
for _ in range(N_STEPS):
    stock.reset()
    first.step()
print(first.digest() == walk(env_number(0), seed=0).digest())
"""


def test_environments_that_are_miniworlds_own_do_not_disturb():
    with start_python(BESIDE_STOCK) as process:
        assert process.communicate(timeout=120)[0].splitlines()[-1] == "True"


def test_closing_an_environment_leaves_others_as_they_are():
    alone = walk(env_number(0), seed=0).digest()
    first, second = Walk(env_number(0), seed=0), Walk(env_number(1), seed=1)
    second.step()
    for _ in range(2):
        second.env.close()
    for _ in range(N_STEPS):
        first.step()
    assert first.digest() == alone


def resident_mib():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells how much memory a process has")
class TestMemory:
    @pytest.mark.parametrize(
        ("env_id", "settings"),
        [
            ("rllib_recattn/MiniWorld-v0", {"task": "MiniWorld-Hallway-v0", "obs_width": 40, "obs_height": 30}),
            ("rllib_recattn/MiniWorld-MemoryTMaze-v0", {}),
            ("rllib_recattn/MiniWorld-RandomSign-v0", {}),
        ],
    )
    def test_resets_take_none(self, env_id, settings):
        env = gymnasium.make(env_id, **settings)
        for _ in range(50):
            env.reset()
        before = resident_mib()
        for _ in range(1000):
            env.reset()
        assert resident_mib() - before < 2  # 0.2 as it is, 10 where RandomSign loses one list a reset

    @pytest.mark.parametrize("render_mode", [None, "rgb_array"])
    def test_closing_gives_it_back(self, render_mode):
        def make_and_close(times):
            for _ in range(times):
                env = make("MiniWorld-OneRoom-v0", render_mode=render_mode)
                env.reset()
                env.close()

        make_and_close(10)
        before = resident_mib()
        make_and_close(50)
        # MiniWorld keeps 36 MiB of each.
        assert resident_mib() - before < 150


@pytest.mark.parametrize(("height", "width"), [(1, 1), (30, 40), (84, 84), (33, 101), (300, 200)])
def test_pictures_of_any_size(height, width):
    env = make("MiniWorld-FourRooms-v0", obs_height=height, obs_width=width)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (height, width, 3)
    assert observation in env.observation_space
    assert height == 1 or len(np.unique(observation)) > 20
    env.close()


def test_rendering_shows_the_agents_view_larger_or_the_world_from_above():
    frames = {}
    for view in ("agent", "top"):
        env = make("MiniWorld-FourRooms-v0", render_mode="rgb_array", view=view)
        observation, _ = env.reset(seed=0)
        frames[view] = env.render()
        assert np.array_equal(env.unwrapped.render_obs(), observation)
        env.close()
    assert frames["agent"].shape == frames["top"].shape == (600, 800, 3)
    small = frames["agent"].reshape(60, 10, 80, 10, 3).mean((1, 3))
    assert np.abs(small - observation).mean() < 4
    assert np.abs(frames["agent"].astype(int) - frames["top"]).mean() > 20


def test_seeds_fix_all_that_follows():
    env, other = make("MiniWorld-Maze-v0"), make("MiniWorld-Maze-v0")
    first, second, again, elsewhere = walk(env, 1), walk(env, 2), walk(env, 1), walk(other, 1)
    assert first.digest() == again.digest() == elsewhere.digest()
    assert second.digest() != first.digest()


def test_environments_that_are_not_seeded_differ():
    assert len({make("MiniWorld-OneRoom-v0").reset()[0].tobytes() for _ in range(5)}) > 1


def test_actions_steps_and_arguments_reach_the_task():
    env = make(
        "MiniWorld-PutNext-v0",
        actions=["move_forward", "turn_left"],
        max_steps=3,
        task_settings={"size": 20, "domain_rand": True},
    )
    env.reset(seed=0)
    assert env.action_space == spaces.Discrete(2)
    before = env.unwrapped.agent.dir
    assert (env.unwrapped.size, env.unwrapped.domain_rand) == (20, True)
    ends = [env.step(1)[2:] for _ in range(3)]
    assert env.unwrapped.agent.dir > before
    assert ends == [(False, False, {}), (False, False, {}), (False, True, {"success": False})]


def test_success_is_the_reward_at_the_end():
    env = make("MiniWorld-OneRoom-v0")
    env.reset(seed=0)
    agent, box = env.unwrapped.agent, env.unwrapped.box
    agent.pos = box.pos.copy()
    _, reward, terminated, truncated, info = env.step(0)
    assert reward > 0
    assert (terminated, truncated, info["success"]) == (True, False, True)


def test_an_end_in_the_last_step_is_no_truncation():
    env = make("MiniWorld-OneRoom-v0", max_steps=1)
    env.reset(seed=0)
    env.unwrapped.agent.pos = env.unwrapped.box.pos.copy()
    _, _, terminated, truncated, info = env.step(0)
    assert (terminated, truncated, info) == (True, False, {"success": True})


def test_collecting_health_knows_no_success():
    env = make("MiniWorld-CollectHealth-v0", max_steps=1)
    env.reset(seed=0)
    assert "success" not in env.step(0)[-1]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"task": "MiniWorld-Mase-v0"}, "task = 'MiniWorld-Mase-v0': did you mean 'MiniWorld-Maze"),
        ({"task": "CartPole-v1"}, "task = 'CartPole-v1': valid are: MiniWorld-CollectHealth-v0"),
        ({"actions": ["turn_left", "jump"]}, r"actions.1 = 'jump': input should be 'turn_left', .* or 'done'$"),
        ({"actions": ["pickup"]}, r"actions = \[4\]: should be distinct numbers from 0 to 2"),
        ({"obs_width": 0}, "obs_width = 0: .*greater than or equal to 1"),
        ({"max_steps": 0}, "max_steps = 0: .*greater than or equal to 1"),
        ({"view": "above"}, "view = 'above': input should be 'agent' or 'top'"),
        ({"render_mode": "ansi"}, "render_mode = 'ansi': input should be 'human' or 'rgb_array'"),
        ({"task_settings": {"colour": 1}}, "cannot be made with {'colour': 1}: TypeError: .*'colour'"),
        ({"render_mode": "human"}, "render_mode = 'human': nobody can watch .* set PYGLET_HEADLESS=false"),
    ],
)
def test_wrong_settings_are_named(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        make(**{"task": "MiniWorld-OneRoom-v0", **settings})
