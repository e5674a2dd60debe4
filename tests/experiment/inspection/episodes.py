"""Small modules and episodes that they might have played."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns

import rllib_recattn as ra
from rllib_recattn.experiment.inspection.recording import Recording
from rllib_recattn.inputs.input_settings import WITHOUT_MLP

SPACE = gym.spaces.Box(-1, 1, (3,), np.float32)
SMALL: dict[str, dict[str, Any]] = {
    "agalite": {"d_model": 8, "n_layers": 2, "n_heads": 2, "d_head": 4},
    "gtrxl": {"d_model": 8, "n_layers": 2, "n_heads": 2, "d_head": 4, "memory_length": 4},
    "rate": {"d_model": 8, "n_layers": 1, "n_heads": 2, "d_head": 4, "segment_length": 5},
    "lstm": {"d_model": 8},
}


def small_module(model: str, actions: gym.Space, observations: gym.Space = SPACE, **settings: Any) -> Any:
    """A module with large random weights, whose outputs depend much on what it remembers; "stock" is RLlib's LSTM."""
    config = PPOConfig().environment(observation_space=observations, action_space=actions)
    if model == "stock":
        config.rl_module(
            model_config={"use_lstm": True, "lstm_cell_size": 8, "fcnet_hiddens": [6], "max_seq_len": 8, **settings}
        )
    else:
        # What gradients are taken of are then the observations themselves.
        ra.use_model(config, model, max_seq_len=8, **SMALL[model], **{"encoder": WITHOUT_MLP, **settings})
    torch.manual_seed(0)
    module = config.get_rl_module_spec(spaces={"default_policy": (observations, actions)}).build()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.5)
    return module


def acted(module: Any, n_steps: int) -> Recording:
    """An episode with random observations, in which the module acts, one step at a time."""
    generator = torch.Generator().manual_seed(1)
    space = module.observation_space
    if isinstance(space, gym.spaces.Discrete):
        observations = torch.randint(int(space.n), (1, n_steps), generator=generator)
    else:
        observations = torch.rand(1, n_steps, *space.shape, generator=generator).mul(
            255 if space.dtype == np.uint8 else 1
        )
        observations = observations.to(torch.uint8 if space.dtype == np.uint8 else torch.float32)
    first_state = tree.map_structure(lambda part: torch.as_tensor(part)[None], module.get_initial_state())
    state, logits, states = first_state, [], []
    with torch.no_grad():
        for t in range(n_steps):
            out = module.forward_inference({Columns.OBS: observations[:, t : t + 1], Columns.STATE_IN: state})
            state = out[Columns.STATE_OUT]
            logits.append(out[Columns.ACTION_DIST_INPUTS][0])
            states.append(state)
    all_logits = torch.cat(logits)
    return Recording(
        batch={Columns.OBS: observations, Columns.STATE_IN: first_state},
        states=tree.map_structure(lambda *parts: torch.cat(parts), *states),
        logits=all_logits,
        actions=_greedy(module.action_space, all_logits),
        rewards=np.ones(n_steps),
        observations=list(observations[0].numpy()),
        frames=[],
        success=None,
    )


def _greedy(space: gym.Space, logits: torch.Tensor) -> np.ndarray:
    if isinstance(space, gym.spaces.Box):
        return logits.chunk(2, dim=-1)[0].numpy()
    if isinstance(space, gym.spaces.Discrete):
        return logits.argmax(-1).numpy()
    parts = logits.split(space.nvec.tolist(), dim=-1)
    return torch.stack([part.argmax(-1) for part in parts], dim=-1).numpy()
