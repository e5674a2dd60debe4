"""How much what an agent does now depends on what it saw before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.inspection.replay import Reading, Replay

OutputName = Literal["action", "value"]

# Rows that are read at once, each for a step of its own, whose backward passes they spare; and how many steps they may
# have in all: AGaLiTe at the size of its paper takes most of a GiB for them.
_MAX_ROWS = 32
_MAX_TOKENS = 2048


def sensitivity(
    replay: Replay,
    of: OutputName,
    steps: Sequence[int],
    on_steps: Callable[[int], object] | None = None,
) -> np.ndarray:
    """Differentiate the outputs of some steps with respect to the observations of all.

    Rows of a batch never see each other: N copies of the episode, each with the output of another step, have all their
    gradients from one pass.

    Args:
        replay: The episode.
        of: "action": for Discrete actions the chosen action's logit above the mean of all logits, for MultiDiscrete
            ones those of all components, for Box ones the means. "value": the value.
        steps: N steps, in ascending order.
        on_steps: Called with how many steps have been done since the last time.

    Returns:
        Norms [N, T]: in row n, the Frobenius norm of the Jacobian of the output at step n with respect to the encoded
        observation of each step; zero for those to come.

    Raises:
        SettingsError: If the module has no such output.
    """
    norms = np.zeros((len(steps), len(replay.recording)), np.float64)
    n_rows = max(1, min(_MAX_ROWS, _MAX_TOKENS // len(replay.recording)))
    for start in range(0, len(steps), n_rows):
        chunk = list(steps[start : start + n_rows])
        n_steps = chunk[-1] + 1
        reading = replay.read(len(chunk), n_steps)
        outputs = _outputs(replay, reading, of)[torch.arange(len(chunk)), torch.as_tensor(chunk)]
        squares = torch.zeros(len(chunk), n_steps)
        for component in outputs.unbind(1):
            gradients = torch.autograd.grad(component.sum(), reading.inputs, retain_graph=True, allow_unused=True)
            for gradient in gradients:
                if gradient is not None:  # of a critic's own encoder, where the action is asked for
                    squares += gradient.flatten(2).square().sum(-1).cpu()
        norms[start : start + len(chunk), :n_steps] = squares.sqrt().numpy()
        if on_steps is not None:
            on_steps(len(chunk))
    return norms


def _outputs(replay: Replay, reading: Reading, of: OutputName) -> Tensor:
    """Return what is differentiated [R, n, k]."""
    if of == "value":
        if reading.values is None:
            raise SettingsError("--of value: this agent estimates no values; should be 'action'")
        return reading.values.unsqueeze(-1)
    return chosen_outputs(replay.module.action_space, reading.logits, replay.recording.actions)


def chosen_outputs(action_space: gym.Space, logits: Tensor, actions: Any) -> Tensor:
    """Pick what stands for the actions that were chosen from the parameters of their distribution.

    Args:
        action_space: Discrete, MultiDiscrete or Box.
        logits: The parameters [R, n, K].
        actions: What was chosen [T, …], T ≥ n.

    Returns:
        [R, n, k], see :func:`sensitivity`.

    Raises:
        SettingsError: If the space is another.
    """
    if isinstance(action_space, gym.spaces.Box):
        return logits.chunk(2, dim=-1)[0]
    if isinstance(action_space, gym.spaces.Discrete):
        sizes = [int(action_space.n)]
    elif isinstance(action_space, gym.spaces.MultiDiscrete):
        sizes = action_space.nvec.flatten().tolist()
    else:
        raise SettingsError(
            f"--of action: actions of {type(action_space).__name__} spaces have no single output; should be 'value'"
        )
    n_steps = logits.shape[1]
    chosen = torch.as_tensor(np.asarray(actions)[:n_steps].reshape(n_steps, -1), device=logits.device)
    outputs = []
    for part, index in zip(logits.split(sizes, dim=-1), chosen.long().unbind(1), strict=True):
        above_mean = part - part.mean(-1, keepdim=True)
        outputs.append(above_mean.gather(-1, index.expand(len(logits), -1).unsqueeze(-1)))
    return torch.cat(outputs, dim=-1)
