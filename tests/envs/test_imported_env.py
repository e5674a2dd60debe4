"""How a class or a function is called that makes environments."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import gymnasium
import pytest
from ray import cloudpickle
from ray.rllib.env.env_context import EnvContext

from rllib_recattn.envs.imported_env import ImportedEnv, takes_mapping
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.environment import check_env_config, env_creator, find_env

HERE = __name__


class Corridor(gymnasium.Env):
    """Takes keyword arguments."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length: int = 5, render_mode: str | None = None):
        if not isinstance(length, int):
            raise TypeError(f"length = {length!r}")
        self.length = length

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


class HandsOn(Corridor):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class WithConfig(Corridor):
    def __init__(self, config=None):
        super().__init__(**(config or {}))


def make_corridor(length: int = 3) -> Corridor:
    return Corridor(length)


def make_with_context(env_context: EnvContext) -> Corridor:
    return Corridor(**env_context)


class NoEnvironment:
    pass


NUMBER = 3


@pytest.mark.parametrize("name", ["Corridor", "HandsOn", "WithConfig", "make_corridor", "make_with_context"])
@pytest.mark.parametrize("mark", [".", ":"])
def test_each_is_called_as_it_asks_for(name: str, mark: str) -> None:
    path, settings = f"{HERE}{mark}{name}", {"length": 7}
    find_env(path, "here")
    check_env_config(path, settings, "here")
    creator = env_creator(path, "here", settings)
    assert isinstance(creator, type)  # all that RLlib takes beside names
    assert creator(EnvContext(settings, worker_index=0)).length == 7
    assert cloudpickle.loads(cloudpickle.dumps(creator))(EnvContext(settings, worker_index=0)).length == 7


def test_a_class_that_rllib_can_call_is_handed_to_it_as_it_is() -> None:
    assert env_creator(f"{HERE}:WithConfig", "here") is WithConfig
    assert issubclass(env_creator(f"{HERE}:Corridor", "here"), ImportedEnv)


def test_checkpoints_hold_no_code_of_what_makes_an_environment() -> None:
    written = cloudpickle.dumps(env_creator(f"{HERE}:Corridor", "here"))
    assert b"__new__" not in written
    assert b"make_corridor" not in written
    assert pickle.loads(written)({"length": 2}).length == 2


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        ("Corridor", {"lenth": 7}, "has no setting 'lenth': did you mean 'length'?"),
        ("HandsOn", {"lenth": 7}, "has no setting 'lenth': did you mean 'length'?"),
        ("make_corridor", {"lenth": 7}, "has no setting 'lenth': did you mean 'length'?"),
        ("Corridor", {"length": "7"}, "cannot be built with these settings: TypeError: length = '7' ("),
        ("NoEnvironment", {}, "should be a subclass of gymnasium.Env, or a function"),
        ("NUMBER", {}, "is of type int"),
        ("Absent", {}, f"'{HERE}' neither has an environment 'Absent' nor registers one"),
    ],
)
def test_what_is_wrong_is_one_line(name: str, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as error:
        check_env_config(f"{HERE}:{name}", settings, "here")
    assert str(error.value).startswith("here: ")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("creator", "settings", "expected"),
    [
        (lambda config: None, {}, True),
        (lambda env_config=None, **more: None, {"a": 1}, True),
        (lambda cfg, render_mode=None: None, {"a": 1}, True),
        (lambda c: None, {"a": 1}, True),
        (lambda c: None, {"c": 1}, False),
        (lambda config, size: None, {"size": 1}, False),
        (lambda settings=None, *, size: None, {"size": 1}, False),
        (lambda size=3: None, {}, False),
        (lambda **settings: None, {"a": 1}, False),
        (lambda *args: None, {"a": 1}, True),
        (lambda: None, {}, False),
    ],
)
def test_signatures(creator: Any, settings: dict[str, Any], expected: bool) -> None:
    assert takes_mapping(creator, settings) is expected


def test_what_is_declared_as_a_mapping_takes_one() -> None:
    def by_type(layout: Mapping[str, int] | None = None): ...

    def by_text(layout: dict[str, int]): ...

    def by_default(layout={}): ...  # noqa: B006

    def number(layout: int): ...

    assert all(takes_mapping(each, {}) for each in (by_type, by_text, by_default))
    assert not takes_mapping(number, {})
