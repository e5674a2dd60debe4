"""POPGym's tasks, all of them, as RLlib gets them."""

import random
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from gymnasium.utils.env_checker import check_env
from popgym import envs as popgym_envs

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.spaces import check_action_space, check_observation_space

TASKS = sorted(entry["id"] for entry in popgym_envs.ALL.values())
LABYRINTHS = [task for task in TASKS if "Labyrinth" in task]

pytestmark = pytest.mark.filterwarnings("ignore:Maze environments have been shown:DeprecationWarning")


def make(task, **settings):
    return gymnasium.make("rllib_recattn/POPGym-v0", task=task, **settings)


def record(env, seed, n_steps=120):
    """Observations, rewards and ends of a random agent, as text."""
    env.action_space.seed(seed)
    steps = [env.reset(seed=seed)[0]]
    for _ in range(n_steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert observation in env.observation_space
        steps.append((observation, float(reward), terminated, truncated))
        if terminated or truncated:
            steps.append(env.reset()[0])
    steps.append(env.reset()[0])
    return repr(steps)


def test_there_are_as_many_tasks_as_the_documentation_says():
    assert len(TASKS) == 48
    assert len(LABYRINTHS) == 6


@pytest.mark.parametrize("task", TASKS)
def test_a_task_suits_models_and_the_checker(task):
    env = make(task)
    check_observation_space(env.observation_space)
    check_action_space(env.action_space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        warnings.filterwarnings("ignore", message="Maze environments have been shown")
        # Remarks about VelocityOnlyCartpole's observations, which have no bounds, and the pendulum's actions, −2 to 2.
        warnings.filterwarnings("ignore", message=".*A Box observation space m(ax|in)imum value is .*infinity")
        warnings.filterwarnings("ignore", message=".*we recommend using a symmetric and normalized space")
        check_env(env.unwrapped if task not in LABYRINTHS else env.env.env, skip_render_check=True)


@pytest.mark.parametrize("task", TASKS)
def test_seeds_fix_all_that_follows_whoever_else_draws(task):
    random.seed(0)
    np.random.seed(0)
    first = record(make(task), seed=1)
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()
    second = record(make(task), seed=1)
    assert first == second
    assert first != record(make(task), seed=2)
    assert random.getstate() == before[0]
    assert all(np.array_equal(now, then) for now, then in zip(np.random.get_state(), before[1], strict=True))


def test_labyrinths_that_are_not_seeded_differ():
    env = make(LABYRINTHS[0])
    np.random.seed(0)
    random.seed(0)
    env.reset()
    first = env.unwrapped.maze.grid.copy()
    np.random.seed(0)
    random.seed(0)
    other = make(LABYRINTHS[0])
    other.reset()
    assert not np.array_equal(first, other.unwrapped.maze.grid)


@pytest.mark.parametrize("seed", [0, 1])
def test_who_remembers_earns_one(seed):
    env = make("popgym-RepeatPreviousEasy-v0")
    seen = [env.reset(seed=seed)[0]]
    earned, ended = 0.0, False
    while not ended:
        k = 4  # observations back, the present one counted
        observation, reward, terminated, truncated, _ = env.step(seen[-k] if len(seen) >= k else 0)
        seen.append(observation)
        earned += reward
        ended = terminated or truncated
    assert (terminated, truncated) == (True, False)
    assert earned == pytest.approx(1.0)


def test_arguments_go_to_tasks_without_a_difficulty():
    env = make("popgym-RepeatPrevious-v0", task_settings={"num_decks": 2, "k": 8})
    env.reset(seed=0)
    assert env.unwrapped.k == 8
    n_steps = 1
    while not env.step(0)[2]:
        n_steps += 1
    assert n_steps == 2 * 52 - 1


def test_time_outs_are_truncations():
    env = make("popgym-BattleshipEasy-v0")
    env.reset(seed=0)
    ends = [env.step([0, 0])[2:4] for _ in range(64)]
    assert set(ends[:-1]) == {(False, False)}
    assert ends[-1] == (False, True)


def test_only_what_can_be_rendered_is():
    env = make("popgym-PositionOnlyCartPoleMedium-v0", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().ndim == 3
    with pytest.raises(SettingsError, match="render_mode = 'rgb_array': should be None"):
        make("popgym-AutoencodeEasy-v0", render_mode="rgb_array")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"task": "popgym-RepeatPreviousEasi-v0"},
            "PreviousEasi-v0': did you mean 'popgym-RepeatPr",
        ),
        ({"task": 3}, "task = 3: .*string"),
        (
            {"task": "popgym-RepeatPreviousEasy-v0", "task_settings": {"k": 8}},
            "are fixed; should be 'popgym-RepeatPr",
        ),
        ({"task": "popgym-RepeatPrevious-v0", "task_settings": {"q": 8}}, "cannot be made with {'q': 8}: TypeError"),
        ({"task": "popgym-RepeatPrevious-v0", "task_settings": 8}, "task_settings = 8: .*dictionary"),
    ],
)
def test_wrong_settings_are_named(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        make(**settings)


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(popgym_envs, "ALL", {})
    monkeypatch.setattr(popgym_envs, "has_mazelib", lambda: False)
    with pytest.raises(DependencyNotInstalled, match=r"mazelib: pip install 'rllib-recattn\[popgym\]'"):
        make("popgym-LabyrinthEscapeEasy-v0")
    monkeypatch.setitem(sys.modules, "popgym", None)
    with pytest.raises(DependencyNotInstalled, match=r"POPGym cannot be imported .*: pip install 'rllib-recattn"):
        make("popgym-RepeatPreviousEasy-v0")
