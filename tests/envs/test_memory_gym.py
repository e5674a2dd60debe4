"""Memory Gym's tasks, alone and beside siblings in one process."""

import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from gymnasium.utils.env_checker import check_env
from memory_gym.environment import CustomEnv

from rllib_recattn.envs.memory_gym import TASKS
from rllib_recattn.envs.memory_gym.make import _import_task
from rllib_recattn.errors import SettingsError

EASY = {"show_origin": True, "show_goal": True, "reward_path_progress": 0.1}


def make(task, **settings):
    return gymnasium.make(f"rllib_recattn/{task}-v0", **settings)


def record(env, seed, n_steps=40):
    """Observations, rewards and ends of a random agent, a step each time it is asked."""
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    yield observation, 0.0, False, False
    for _ in range(n_steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        yield observation, reward, terminated, truncated
        if terminated or truncated:
            yield env.reset()[0], 0.0, False, False


def same(one, other):
    return one[1:] == other[1:] and all(
        np.array_equal(ours, theirs) for ours, theirs in zip(frames(one[0]), frames(other[0]), strict=True)
    )


def frames(observation):
    return list(observation.values()) if isinstance(observation, dict) else [observation]


@pytest.mark.parametrize("task", TASKS)
def test_a_task_satisfies_the_environment_checker(task):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(make(task, render_mode="rgb_array").env, skip_render_check=False)


@pytest.mark.parametrize("task", TASKS)
def test_seeds_fix_all_that_follows(task):
    first, second, other = (list(record(make(task), seed)) for seed in (1, 1, 2))
    assert all(map(same, first, second))
    assert not all(map(same, first, other))


def test_environments_of_one_process_see_and_draw_their_own():
    alone = {task: list(record(make(task), seed)) for seed, task in enumerate(TASKS)}
    siblings = [(task, make(task, render_mode="rgb_array")) for task in TASKS]
    together = [(task, env, record(env, seed)) for seed, (task, env) in enumerate(siblings)]
    for step in range(20):
        for task, _, steps in together:
            assert same(next(steps), alone[task][step])
        for task, env, _ in together:
            frame = alone[task][step][0]
            frame = frame["visual_observation"] if isinstance(frame, dict) else frame
            np.testing.assert_array_equal(env.render(), frame.transpose(1, 0, 2))


def test_closing_leaves_siblings_alone():
    env, sibling = make("MysteryPathGrid"), make("SearingSpotlights")
    expected = list(record(make("MysteryPathGrid"), 3))
    steps = record(env, 3)
    assert same(next(steps), expected[0])
    sibling.reset(seed=0)
    sibling.close()
    make("MortarMayhem").close()
    assert all(map(same, steps, expected[1:]))


@pytest.mark.parametrize(
    ("task", "limit"), [("MysteryPath", 512), ("MysteryPathGrid", 128), ("SearingSpotlights", None)]
)
def test_time_outs_are_truncations_without_success(task, limit):
    env = make(task, **({} if limit else {"max_steps": 9}))
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, int)
    ends = [env.step(still)[2:] for _ in range(limit or 9)]
    assert {end[:2] for end in ends[:-1]} == {(False, False)}
    assert ends[-1] == (False, True, {"success": False})
    assert all("success" not in info for _, _, info in ends[:-1])


@pytest.mark.parametrize("task", ["EndlessMysteryPath", "EndlessMortarMayhem", "EndlessSearingSpotlights"])
def test_endless_tasks_end_where_told_and_know_no_success(task):
    env = make(task, max_steps=5)
    for _ in range(2):
        env.reset(seed=0)
        ends = [env.step(np.zeros(env.action_space.shape, int))[2:] for _ in range(5)]
        assert [end[:2] for end in ends] == [(False, False)] * 4 + [(False, True)]
        assert "success" not in ends[-1][2]


@pytest.mark.parametrize("is_right", [True, False])
def test_success_is_what_the_task_says(is_right, monkeypatch):
    env = make("MysteryPathGrid", max_steps=1)
    env.reset(seed=0)
    if is_right:  # the agent stands where it should arrive
        monkeypatch.setattr(
            env.unwrapped, "end", env.unwrapped._normalize_agent_position(env.unwrapped.agent.rect.center)
        )
    _, reward, terminated, truncated, info = env.step(0)
    assert (terminated, truncated) == (is_right, not is_right)
    assert reward == float(is_right)
    assert info["success"] is is_right


def test_settings_hold_from_reset_to_reset_and_options_for_one():
    plain, easy = make("MysteryPathGrid"), make("MysteryPathGrid", **EASY)
    for seed in (0, 1):
        hidden, shown = plain.reset(seed=seed)[0], easy.reset(seed=seed)[0]
        assert not np.array_equal(hidden, shown)
        assert np.array_equal(plain.reset(seed=seed, options={"show_origin": True, "show_goal": True})[0], shown)
        assert np.array_equal(plain.reset(seed=seed)[0], hidden)
    assert easy.unwrapped.reset_params["reward_path_progress"] == 0.1


def test_the_hidden_is_drawn_on_demand():
    env = make("MysteryPathGrid", render_mode="debug_rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (336, 336, 3)


@pytest.mark.parametrize(
    ("task", "settings", "problem"),
    [
        (
            "MysteryPathGrid",
            {"show_gaol": True},
            "unknown setting 'show_gaol': did you mean 'show_goal'",
        ),
        ("MysteryPathGrid", {"show_goal": "yes"}, "show_goal = 'yes': .*boolean"),
        ("MysteryPathGrid", {"cardinal_origin_choice": ["north"]}, "cardinal_origin_choice.0 = 'north': .*integer"),
        (
            "MysteryPathGrid",
            {"cardinal_origin_choice": []},
            r"cannot be made with {'cardinal_origin_choice': \[\]}: ",
        ),
        ("MysteryPathGrid", {"max_steps": 0}, "max_steps = 0: should be positive, or −1 for no limit"),
        ("MortarMayhem", {"max_steps": 9}, "unknown setting 'max_steps'"),
        ("MortarMayhem", {"render_mode": "human"}, "render_mode = 'human': should be rgb_array or debug_rgb_array, or"),
    ],
)
def test_wrong_settings_are_named(task, settings, problem):
    with pytest.raises(SettingsError, match=problem):
        make(task, **settings)


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "memory_gym.mystery_path_grid", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install --no-deps memory-gym==1\.0\.2"):
        make("MysteryPathGrid")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_memory_gyms_own_class(task):
    assert issubclass(_import_task(TASKS[task]), CustomEnv)
