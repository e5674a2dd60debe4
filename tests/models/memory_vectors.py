"""Reference vectors of memories alone, which read q, k and v [B, T, H, ·]; reference_vectors/README.md says whose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DIRECTORY = Path(__file__).parent / "reference_vectors"
ATOL = 1e-9


def load(name: str) -> dict[str, Tensor]:
    """Return a file's arrays, those that a gradient is given for wanting one."""
    with np.load(DIRECTORY / f"{name}.npz") as arrays:
        vectors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return {key: value.requires_grad_(f"grad/{key}" in vectors) for key, value in vectors.items()}


def in_pieces(
    form: Callable[..., tuple[Tensor, ...]], steps: Sequence[Tensor], state: Sequence[Tensor], length: int
) -> tuple[Tensor, ...]:
    """Call form(*steps, *state), which returns outputs and the next state, for so many steps at a time."""
    outputs = []
    for piece in zip(*(each.split(length, dim=1) for each in steps), strict=True):
        output, *state = form(*piece, *state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), *state


def assert_agree(vectors: Mapping[str, Tensor], output: Tensor, states: Mapping[str, Tensor]) -> None:
    """Compare outputs, the states after the last step that the file has, and all gradients of sum(o ⊙ cotangent)."""
    torch.testing.assert_close(output, vectors["o"], rtol=0, atol=ATOL)
    for key in states.keys() & vectors.keys():
        torch.testing.assert_close(states[key].view_as(vectors[key]), vectors[key], rtol=0, atol=ATOL)
    wanted = [key for key, value in vectors.items() if value.requires_grad]
    if not wanted:
        return
    loss = (output * vectors["cotangent"]).sum()
    for key, gradient in zip(wanted, torch.autograd.grad(loss, [vectors[key] for key in wanted]), strict=True):
        torch.testing.assert_close(gradient, vectors[f"grad/{key}"], rtol=0, atol=ATOL)
