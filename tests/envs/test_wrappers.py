import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rllib_recattn.envs.wrappers import ReportSuccess, resize_frames, select_actions
from rllib_recattn.errors import SettingsError

RGB = "rllib_recattn/MiniGrid-MemoryS7-RGB-v0"


class Scripted(gymnasium.Env):
    """Ends after two steps as it is told, and rewards each step by the action, minus 2."""

    observation_space = spaces.Discrete(1)

    def __init__(self, action_space, terminates=True):
        self.action_space = action_space
        self._terminates = terminates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return 0, {}

    def step(self, action):
        self._steps += 1
        ends = self._steps == 2
        return 0, float(action - 2), ends and self._terminates, ends and not self._terminates, {"action": action}


@pytest.mark.parametrize(
    ("terminates", "last", "success"), [(True, 3, True), (True, 2, False), (True, 0, False), (False, 3, False)]
)
def test_success_is_the_positive_reward_of_a_last_step(terminates, last, success):
    env = ReportSuccess(Scripted(spaces.Discrete(4), terminates))
    env.reset()
    assert env.step(3)[4] == {"action": 3}
    info = env.step(last)[4]
    assert info == {"action": last, "success": success}
    assert isinstance(info["success"], bool)


def test_selected_actions_are_numbered_anew():
    env = select_actions(Scripted(spaces.Discrete(4, start=1)), [4, 1])
    assert env.action_space == spaces.Discrete(2)
    env.reset()
    assert [env.step(action)[4]["action"] for action in (0, np.int64(1))] == [4, 1]


def test_an_environment_with_selected_actions_is_made_again_from_its_spec():
    env = gymnasium.make("rllib_recattn/MiniGrid-MemoryS7-v0", max_steps=7)
    again = gymnasium.make(env.spec)
    assert again.action_space == spaces.Discrete(3)
    assert again.unwrapped.max_steps == 7


@pytest.mark.parametrize(
    ("space", "actions", "problem"),
    [
        (spaces.Discrete(4), [], r"actions = \[\]: should be distinct numbers from 0 to 3"),
        (spaces.Discrete(4), [0, 1, 0], r"actions = \[0, 1, 0\]: should be distinct numbers from 0 to 3"),
        (spaces.Discrete(4), [0, 4], "from 0 to 3"),
        (spaces.Discrete(3, start=2), [0], "from 2 to 4"),
        (spaces.MultiDiscrete([2, 2]), [0], r"the action space is MultiDiscrete\(\[2 2\]\), but should be Discrete"),
    ],
)
def test_wrong_selections_are_refused(space, actions, problem):
    with pytest.raises(SettingsError, match=problem):
        select_actions(Scripted(space), actions)


def test_frames_are_scaled():
    pytest.importorskip("cv2")
    env = resize_frames(gymnasium.make(RGB), 28, 14)
    assert env.observation_space == spaces.Box(0, 255, (28, 14, 3), np.uint8)
    frame, _ = env.reset(seed=0)
    original, _ = gymnasium.make(RGB).reset(seed=0)
    assert frame in env.observation_space
    means = original.reshape(28, 2, 14, 4, 3).mean(axis=(1, 3))
    assert np.abs(frame - means).max() <= 1


@pytest.mark.parametrize(
    ("env", "size", "problem"),
    [
        ("CartPole-v1", (8, 8), r"frame_size = \[8, 8\]: the observation space is Box.*should be pictures of bytes"),
        ("rllib_recattn/MiniGrid-MemoryS7-v0", (8, 8), "should be pictures of bytes, 0 … 255"),
        (RGB, (0, 8), r"frame_size = \[0, 8\]: should be positive"),
    ],
)
def test_frames_that_cannot_be_scaled_are_refused(env, size, problem):
    with pytest.raises(SettingsError, match=problem):
        resize_frames(gymnasium.make(env), *size)


def test_frames_without_opencv_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SettingsError, match=r"pip install 'rllib-recattn\[frames\]'"):
        resize_frames(gymnasium.make(RGB), 8, 8)


def test_any_environment_is_wrapped_by_its_settings():
    env = gymnasium.make(
        "rllib_recattn/Wrapped-v0",
        env="CartPole-v1",
        env_settings={"max_episode_steps": 3},
        actions=[1],
        success_from_reward=True,
    )
    assert env.action_space == spaces.Discrete(1)
    env.reset(seed=0)
    assert [env.step(0)[3:] for _ in range(3)] == [(False, {}), (False, {}), (True, {"success": False})]
    assert env.unwrapped.state[1] > 0  # pushed to the right


def test_wrapping_scales_frames():
    pytest.importorskip("cv2")
    env = gymnasium.make("rllib_recattn/Wrapped-v0", env=RGB, frame_size=[21, 21])
    assert env.reset(seed=0)[0].shape == (21, 21, 3)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"env": "CartPole-v9"}, "env = 'CartPole-v9' cannot be made with {}: .*CartPole"),
        ({"env_settings": {"gravity": 1}}, "cannot be made with {'gravity': 1}: .*gravity"),
        ({"actions": [2]}, r"actions = \[2\]: should be distinct numbers from 0 to 1"),
        ({"frame_size": [8]}, r"frame_size = \[8\]: .*at least 2 items"),
        ({"frame_size": 8}, "frame_size = 8: .*list"),
        ({"env_settings": 3}, "env_settings = 3: .*dictionary"),
    ],
)
def test_wrong_settings_of_wrappers_are_named(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        gymnasium.make("rllib_recattn/Wrapped-v0", **{"env": "CartPole-v1", **settings})


class Own(gymnasium.Env):
    """An environment that is in no registry; it gets its settings as RLlib gives them to a class."""

    observation_space = spaces.Box(0, 1, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self, config):
        self.length = config["length"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(2, np.float32), 1.0, self.t >= self.length, False, {}


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("rllib_recattn/TMaze-v0", {"corridor_length": 3}),
        ("rllib_recattn:rllib_recattn/TMaze-v0", {"corridor_length": 3}),
        ("MiniGrid-MemoryS7-v0", {}),
        ("minigrid:MiniGrid-MemoryS7-v0", {}),
        ("popgym-RepeatFirstEasy-v0", {}),
        ("tests.envs.test_wrappers.Own", {"length": 2}),
    ],
)
def test_environments_to_wrap_have_the_names_that_experiments_take(env, settings):
    made = gymnasium.make("rllib_recattn/Wrapped-v0", env=env, env_settings=settings, actions=[0, 1])
    assert made.action_space == spaces.Discrete(2)
    observation, _ = made.reset(seed=0)
    assert observation in made.observation_space
    made.step(1)
    made.close()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"env": "tests.envs.test_wrappers.Absent"}, "has no environment 'Absent'"),
        ({"env": "tests.envs.nowhere.Own"}, "'tests.envs.nowhere' cannot be imported"),
        ({"env": "tests.envs.test_wrappers.Own", "env_settings": {"size": 1}}, "cannot be made with {'size': 1}"),
        ({"env": "MiniGrid-MemoryS7-v0", "env_settings": {"task": "x"}}, "task = 'x': should be left out"),
    ],
)
def test_names_that_lead_nowhere_are_told(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        gymnasium.make("rllib_recattn/Wrapped-v0", **settings)
