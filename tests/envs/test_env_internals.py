"""What the packages of environments keep to themselves is still there."""

from __future__ import annotations

import pytest

from rllib_recattn.private_names import private


@pytest.mark.parametrize("index", range(3))
def test_methods_of_miniworld_that_are_replaced_are_there(index):
    from rllib_recattn.envs.miniworld.worlds import own_world  # noqa: F401, which chooses how MiniWorld draws
    from rllib_recattn.envs.miniworld.worlds.miniworld_internals import OVERRIDES

    assert len(OVERRIDES) == 3
    OVERRIDES[index].check()


def test_reward_of_miniworld():
    from rllib_recattn.envs.miniworld.worlds.miniworld_internals import reward_of
    from rllib_recattn.envs.miniworld.worlds.own_world import drawing

    env = drawing.MiniWorldEnv.__new__(drawing.MiniWorldEnv)
    env.step_count, env.max_episode_steps = 0, 10
    assert reward_of(env) == 1.0


def test_targets_of_memory_maze():
    pytest.importorskip("dm_control")
    from dm_control.locomotion.props.target_sphere import TargetSphere

    target = TargetSphere()
    for name in ("_specific_collision_geom_ids", "_activated", "_material"):
        private(target, name, "to find out faster what Memory Maze's ball touches")
    private(TargetSphere, "_update_activation", "to find out faster what Memory Maze's ball touches")
