import warnings
from itertools import product

import gymnasium
import minigrid  # noqa: F401, registers the tasks
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from minigrid.core.actions import Actions
from minigrid.wrappers import OneHotPartialObsWrapper, RGBImgPartialObsWrapper

from rllib_recattn.envs.minigrid import MEMORY_TASKS
from rllib_recattn.errors import SettingsError

TASKS = sorted(name for name in gymnasium.registry if name.startswith("MiniGrid-"))
# The release of MiniGrid comes without the pictures from which these tasks are made.
WITHOUT_FILES = {name for name in TASKS if name.startswith("MiniGrid-WFC-")}
# What the checker says of every environment with a wrapper.
WRAPPED = ".*is different from the unwrapped version"
READY = [f"rllib_recattn/MiniGrid-{task}{suffix}-v0" for task in MEMORY_TASKS for suffix in ("", "-RGB")]


def make(task, **settings):
    return gymnasium.make("rllib_recattn/MiniGrid-v0", task=task, **settings)


@pytest.fixture(autouse=True)
def _without_old_versions():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is out of date.*")
        yield


def record(env, seed, n_steps=60):
    """Observations, rewards and ends of a random agent."""
    rng = np.random.default_rng(seed)
    steps = [env.reset(seed=seed)[0]]
    for action in rng.integers(env.action_space.n, size=n_steps):
        observation, reward, terminated, truncated, info = env.step(action)
        steps.append((observation, reward, terminated, truncated, info))
        if terminated or truncated:
            steps.append(env.reset()[0])
    return steps


def test_there_are_as_many_tasks_as_the_documentation_says():
    assert len(TASKS) == 82
    assert len(WITHOUT_FILES) == 6


@pytest.mark.parametrize("task", sorted(set(TASKS) - WITHOUT_FILES))
def test_a_task_is_made_ready(task):
    env, stock = make(task), gymnasium.make(task)
    one_hot = OneHotPartialObsWrapper(gymnasium.make(task))
    missions = set()
    for seed in range(10):
        observation, _ = env.reset(seed=seed)
        raw, _ = stock.reset(seed=seed)
        assert observation in env.observation_space
        image = observation["image"] if isinstance(observation, dict) else observation
        np.testing.assert_array_equal(image, one_hot.observation(raw)["image"])
        missions.add(raw["mission"])
    assert env.action_space == stock.action_space
    assert ("mission" in getattr(env.observation_space, "spaces", ())) == (len(missions) > 1)


@pytest.mark.parametrize("task", sorted(WITHOUT_FILES))
def test_tasks_whose_files_are_missing_say_so(task):
    with pytest.raises(SettingsError, match=f"task = '{task}' cannot be made .*No such file"):
        make(task)


@pytest.mark.parametrize("env_id", READY)
def test_memory_tasks_satisfy_the_environment_checker(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=WRAPPED)
        warnings.filterwarnings("ignore", message="The system font")  # which MiniGrid's window wants
        env = gymnasium.make(env_id, render_mode="rgb_array")
        check_env(env.env, skip_render_check=False)
    assert env.spec.id == env_id
    assert env.action_space == spaces.Discrete(3)
    assert env.observation_space.shape == ((56, 56, 3) if "RGB" in env_id else (7, 7, 20))


@pytest.mark.parametrize("task", sorted(set(TASKS) - WITHOUT_FILES))
def test_other_tasks_satisfy_the_environment_checker(task):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=WRAPPED)
        warnings.filterwarnings("ignore", message=".*is out of date")
        check_env(make(task, direction=True).env, skip_render_check=True)


def test_one_hot_vectors_and_rewards_are_minigrids_own_along_the_way():
    for name in ("MiniGrid-MemoryS13Random-v0", "MiniGrid-DoorKey-5x5-v0"):
        env, stock = make(name, max_steps=50), OneHotPartialObsWrapper(gymnasium.make(name, max_steps=50))
        for ours, theirs in zip(record(env, 3), record(stock, 3), strict=True):
            if isinstance(theirs, dict):
                np.testing.assert_array_equal(ours, theirs["image"])
            else:
                np.testing.assert_array_equal(ours[0], theirs[0]["image"])
                assert ours[1:4] == theirs[1:4]


@pytest.mark.parametrize("tile_size", [8, 12])
def test_pictures_are_minigrids_own(tile_size):
    env = make("MiniGrid-MemoryS9-v0", observation="rgb", tile_size=tile_size)
    stock = RGBImgPartialObsWrapper(gymnasium.make("MiniGrid-MemoryS9-v0"), tile_size=tile_size)
    assert env.observation_space == spaces.Box(0, 255, (7 * tile_size, 7 * tile_size, 3), np.uint8)
    np.testing.assert_array_equal(env.reset(seed=5)[0], stock.reset(seed=5)[0]["image"])
    np.testing.assert_array_equal(env.step(1)[0], stock.step(1)[0]["image"])


def test_codes_are_minigrids_own():
    env = make("MiniGrid-MemoryS9-v0", observation="codes")
    stock = gymnasium.make("MiniGrid-MemoryS9-v0")
    np.testing.assert_array_equal(env.reset(seed=5)[0], stock.reset(seed=5)[0]["image"])


def test_each_mission_has_slots_of_its_own():
    env = make("MiniGrid-PutNear-8x8-N3-v0")
    assert env.observation_space["mission"] == spaces.MultiDiscrete([6, 3, 6, 3])
    slots = {}
    for seed in range(60):
        observation, _ = env.reset(seed=seed)
        slots.setdefault(env.unwrapped.mission, set()).add(tuple(observation["mission"]))
    assert len(slots) > 40
    assert all(len(values) == 1 for values in slots.values())
    assert len(set.union(*slots.values())) == len(slots)


def test_slots_are_places_among_the_words_of_the_task():
    env = make("MiniGrid-GoToObject-6x6-N2-v0")
    observation, _ = env.reset(seed=0)
    colours, objects = env.unwrapped.observation_space["mission"].ordered_placeholders
    colour, kind = observation["mission"]
    assert env.unwrapped.mission == f"go to the {colours[colour]} {objects[kind]}"


def test_parts_of_the_observation_are_chosen():
    task = "MiniGrid-GoToDoor-5x5-v0"
    assert set(make(task).observation_space.spaces) == {"image", "mission"}
    assert set(make(task, mission="drop", direction=True).observation_space.spaces) == {"image", "direction"}
    assert make(task, mission="drop").observation_space == spaces.Box(0, 1, (7, 7, 20), np.uint8)
    env = make(task, direction=True)
    observation, _ = env.reset(seed=0)
    assert observation["direction"] == env.unwrapped.agent_dir


def test_babyai_comes_without_its_missions():
    with pytest.raises(SettingsError, match=r"its missions are no pattern .*: mission should be 'drop'"):
        make("BabyAI-GoToRedBall-v0")
    assert make("BabyAI-GoToRedBall-v0", mission="drop").reset(seed=0)[0].shape == (7, 7, 20)


def test_actions_are_chosen_by_name():
    env = make("MiniGrid-DoorKey-5x5-v0", actions=["forward", "toggle", "left"])
    assert env.action_space == spaces.Discrete(3)
    env.reset(seed=0)
    before = env.unwrapped.agent_dir
    env.step(2)
    assert env.unwrapped.agent_dir == (before - 1) % 4
    assert [env.get_wrapper_attr("action")(index) for index in range(3)] == [
        Actions.forward,
        Actions.toggle,
        Actions.left,
    ]


def go_to(env, side):
    """Walk to the junction of a memory task and on into its northern (−1) or southern (+1) arm."""
    while env.unwrapped.agent_pos[0] < env.unwrapped.success_pos[0]:
        env.step(Actions.forward)
    env.step(Actions.left if side < 0 else Actions.right)
    return env.step(Actions.forward)


@pytest.mark.parametrize("task", MEMORY_TASKS)
def test_success_is_the_arm_with_the_object_of_the_first_room(task):
    env = gymnasium.make(f"rllib_recattn/MiniGrid-{task}-v0")
    for seed in range(4):
        for side in (-1, 1):
            env.reset(seed=seed)
            x, y = env.unwrapped.success_pos
            height = env.unwrapped.height
            room, arm = env.unwrapped.grid.get(1, height // 2 - 1), env.unwrapped.grid.get(x, height // 2 + 2 * side)
            _, reward, terminated, truncated, info = go_to(env, side)
            assert (terminated, truncated) == (True, False)
            assert info == {"success": type(room) is type(arm)}
            assert (reward > 0) == info["success"]
            assert (y < height // 2) == (side < 0) or not info["success"]


@pytest.mark.parametrize(
    ("task", "view", "shown_together"),
    [("S7", 7, True), ("S9", 7, True), ("S11", 7, False), ("S13", 7, False), ("S7", 3, False), ("S9", 5, False)],
)
def test_memory_is_needed_where_no_place_shows_room_and_crossing_together(task, view, shown_together):
    env = gymnasium.make(f"rllib_recattn/MiniGrid-Memory{task}-v0", agent_view_size=view).unwrapped
    env.reset(seed=0)
    middle, crossing = env.height // 2, env.success_pos[0]

    def sees(x, y):
        place = env.relative_coords(x, y)
        return place is not None and env.gen_obs_grid()[1][place]

    together = []
    for x, y in product(range(env.width), range(env.height)):
        if env.grid.get(x, y) is None:
            for env.agent_dir in range(4):
                env.agent_pos = np.array((x, y))
                in_arms = sees(crossing, middle - 2) or sees(crossing, middle + 2)
                together.append(sees(1, middle - 1) and in_arms)
    assert any(together) == shown_together


def test_time_outs_are_truncations_without_success():
    env = gymnasium.make("rllib_recattn/MiniGrid-MemoryS7-v0", max_steps=3)
    env.reset(seed=0)
    ends = [env.step(Actions.left)[2:] for _ in range(3)]
    assert ends == [(False, False, {}), (False, False, {}), (False, True, {"success": False})]


@pytest.mark.parametrize("env_id", [*READY[:2], "MiniGrid-Fetch-5x5-N2-v0"])
def test_seeds_fix_all_that_follows(env_id):
    def run(seed):
        env = gymnasium.make(env_id) if env_id in READY else make(env_id)
        return record(env, seed)

    def flat(steps):
        return [np.concatenate([np.ravel(part) for part in _leaves(step)]) for step in steps]

    first, second, other = flat(run(1)), flat(run(1)), flat(run(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=False))


def _leaves(step):
    if isinstance(step, tuple):
        return [leaf for part in step for leaf in _leaves(part)]
    if isinstance(step, dict):
        return [leaf for part in step.values() for leaf in _leaves(part)]
    return [step]


def test_environments_that_are_not_seeded_differ():
    layouts = {bytes(gymnasium.make(READY[0]).reset()[0]) for _ in range(20)}
    assert len(layouts) > 1


def test_arguments_of_the_task_reach_it():
    env = make("MiniGrid-MemoryS7-v0", task_settings={"size": 9}, agent_view_size=3, max_steps=11)
    assert (env.unwrapped.size, env.unwrapped.max_steps) == (9, 11)
    assert env.observation_space.shape == (3, 3, 20)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"task": "MiniGrid-MemoryS8-v0"}, "task = 'MiniGrid-MemoryS8-v0': did you mean 'MiniGrid-Memory"),
        ({"observation": "one-hot"}, "observation = 'one-hot': input should be 'onehot', 'rgb' or 'codes'"),
        ({"mission": "text"}, "mission = 'text': input should be 'auto', 'drop' or 'slots'"),
        ({"mission": "slots"}, "mission = 'slots': MiniGrid-MemoryS7-v0 has one mission only; should be 'drop'"),
        ({"actions": ["left", "jump"]}, r"actions.1 = 'jump': input should be 'left', .* or 'done'$"),
        ({"actions": "left"}, "actions = 'left': .*list"),
        ({"actions": []}, r"actions = \[\]: should be distinct"),
        ({"task_settings": 3}, "task_settings = 3: .*dictionary"),
        ({"actions": ["left", "left"]}, r"actions = \[0, 0\]: should be distinct"),
        ({"task": "MiniGrid-Dynamic-Obstacles-5x5-v0", "actions": ["toggle"]}, "from 0 to 2"),
        ({"agent_view_size": 4}, "agent_view_size = 4: should be odd"),
        ({"agent_view_size": 1}, "agent_view_size = 1: .*greater than or equal to 3"),
        ({"max_steps": 0}, "max_steps = 0: .*greater than or equal to 1"),
        ({"task_settings": {"colour": 1}}, "cannot be made with {'colour': 1}: TypeError: .*'colour'"),
        ({"task_settings": {"size": 8}}, "cannot be made with {'size': 8}: AssertionError"),
    ],
)
def test_wrong_settings_are_named(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        make(**{"task": "MiniGrid-MemoryS7-v0", **settings})
