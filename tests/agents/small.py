"""Small agents with random weights, made without RLlib."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from rllib_recattn.agents.actions import Actions
from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.description import AgentDescription, HeadSettings
from rllib_recattn.agents.network import ActingNetwork
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.previous import PreviousInputs
from rllib_recattn.models.registry import model_settings

TINY = {"d_model": 8, "n_layers": 2, "n_heads": 1, "d_head": 4}


def description_of(
    observation: Any = None,
    action: Any = None,
    model: str = "agalite",
    settings: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
    **fields: Any,
) -> AgentDescription:
    observation = Box(-1, 1, (3,)) if observation is None else observation
    defaults = {
        "head": HeadSettings(),
        "has_values": True,
        "vf_share_layers": True,
        "has_filter": False,
        "filter_limit": None,
        "normalize_actions": True,
        "clip_actions": False,
    }
    return AgentDescription(
        observation_space=observation,
        seen_space=observation,
        action_space=Discrete(3) if action is None else action,
        model=model,
        settings=model_settings(model, TINY if settings is None else settings),
        inputs=InputSettings(**(inputs or {})),
        **{**defaults, **fields},
    )


def weights_of(description: AgentDescription, seed: int = 0) -> dict[str, Tensor]:
    previous = PreviousInputs(description.action_space, description.inputs)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        n_logits = Actions(description.action_space, True, False).n_logits
        network = ActingNetwork(description, n_logits, previous.size, values=description.has_values)
    return network.state_dict()


def agent_of(*spaces: Any, seed: int | None = None, device: str = "cpu", values: bool = False, **fields: Any) -> Agent:
    description = description_of(*spaces, **fields)
    return Agent(description, weights_of(description), seed=seed, device=device, values=values)
