"""Memory Gym (Pleines et al. 2023, https://arxiv.org/abs/2309.17207), made ready for agents that remember."""

from __future__ import annotations

import gymnasium

__all__ = ["TASKS", "register"]

# Each task's name and its class in Memory Gym.
TASKS = {
    "MysteryPath": "memory_gym.mystery_path:MysteryPathEnv",
    "MysteryPathGrid": "memory_gym.mystery_path_grid:GridMysteryPathEnv",
    "EndlessMysteryPath": "memory_gym.endless_mystery_path:EndlessMysteryPathEnv",
    "MortarMayhem": "memory_gym.mortar_mayhem:MortarMayhemEnv",
    "MortarMayhemGrid": "memory_gym.mortar_mayhem_grid:GridMortarMayhemEnv",
    "MortarMayhemB": "memory_gym.mortar_mayhem_b:MortarMayhemTaskBEnv",
    "MortarMayhemBGrid": "memory_gym.mortar_mayhem_b_grid:GridMortarMayhemTaskBEnv",
    "EndlessMortarMayhem": "memory_gym.endless_mortar_mayhem:EndlessMortarMayhemEnv",
    "SearingSpotlights": "memory_gym.searing_spotlights:SearingSpotlightsEnv",
    "EndlessSearingSpotlights": "memory_gym.endless_searing_spotlights:EndlessSearingSpotlightsEnv",
}


def register() -> None:
    """Register the environments with Gymnasium."""
    # No max_episode_steps: the time limit is one of the settings.
    for task in TASKS:
        gymnasium.register(
            id=f"rllib_recattn/{task}-v0",
            entry_point="rllib_recattn.envs.memory_gym.make:make_memory_gym",
            kwargs={"task": task},
        )
