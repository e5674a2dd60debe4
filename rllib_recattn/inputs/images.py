"""Convolutions that turn an image of any size into a vector.

Shape suffixes: N images, H rows, W columns, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
}


class ImageEncoder(nn.Module):
    """Convolutions over images [N, H, W, C] (channels last, as in Gymnasium), then one linear layer.

    Args:
        shape: (H, W, C).
        convolutions: From [N, C, H, W] to any [N, C', H', W'].
        output_dim: F, features of an encoded image.
        activation: Applied to the features.
    """

    def __init__(self, shape: Sequence[int], convolutions: nn.Module, output_dim: int, activation: str):
        super().__init__()
        height, width, channels = shape
        self.convolutions = convolutions
        with torch.no_grad():
            size = convolutions(torch.zeros(1, channels, height, width)).numel()
        self.linear = nn.Linear(size, output_dim)
        self.activation = ACTIVATIONS[activation]()
        self.output_dim = output_dim

    def forward(self, image: Tensor) -> Tensor:
        """Map images [N, H, W, C], float, to features [N, F]."""
        return self.activation(self.linear(self.convolutions(image.permute(0, 3, 1, 2)).flatten(1)))


def fitting_convolutions(shape: Sequence[int], widths: Sequence[int], activation: str) -> nn.Sequential:
    """Return convolutions whose kernels and strides fit the size of the image, along each axis by itself.

    At 84×84 they are those of the DQN network (Mnih et al. 2015, https://doi.org/10.1038/nature14236): kernels 8, 4, 3
    with strides 4, 2, 1. Images as small as MiniGrid's 7×7 get kernels of 3 with stride 1.

    Args:
        shape: (H, W, C).
        widths: Output channels of each convolution.
        activation: Follows each convolution.
    """
    *sides, channels = shape
    layers: list[nn.Module] = []
    for width in widths:
        kernel, stride = zip(*(_kernel_and_stride(side) for side in sides), strict=True)
        layers += [nn.Conv2d(channels, width, kernel, stride), ACTIVATIONS[activation]()]
        sides = [(side - k) // s + 1 for side, k, s in zip(sides, kernel, stride, strict=True)]
        channels = width
    return nn.Sequential(*layers)


def _kernel_and_stride(side: int) -> tuple[int, int]:
    if side >= 36:
        return 8, 4
    if side >= 12:
        return 4, 2
    return min(side, 3), 1


def impala_convolutions(channels: int, widths: Sequence[int], activation: str) -> nn.Sequential:
    """Return the residual network of IMPALA (Espeholt et al. 2018, https://arxiv.org/abs/1802.01561, figure 3, right).

    Args:
        channels: Channels of the image.
        widths: Channels of each section: a convolution, a max pooling that halves the image, two residual blocks.
        activation: Before each convolution of the residual blocks, and at the end.
    """
    layers: list[nn.Module] = []
    for width in widths:
        layers += [
            nn.Conv2d(channels, width, 3, padding=1),
            nn.MaxPool2d(3, stride=2, padding=1),
            _Residual(width, activation),
            _Residual(width, activation),
        ]
        channels = width
    return nn.Sequential(*layers, ACTIVATIONS[activation]())


class _Residual(nn.Module):
    def __init__(self, width: int, activation: str):
        super().__init__()
        act = ACTIVATIONS[activation]
        self.block = nn.Sequential(
            act(), nn.Conv2d(width, width, 3, padding=1), act(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class UnitRange(nn.Module):
    """Maps uint8 numbers [N, …] to [0, 1] by the bounds of their space.

    Args:
        low: Lower bounds […].
        high: Upper bounds […].
    """

    low: Tensor
    scale: Tensor

    def __init__(self, low: np.ndarray, high: np.ndarray):
        super().__init__()
        low, high = low.astype(np.float32), high.astype(np.float32)
        scale = 1 / np.maximum(high - low, 1)
        if np.ptp(low) == 0 and np.ptp(high) == 0:  # as usual: one number instead of a whole image of them
            low, scale = low.flat[0], scale.flat[0]
        self.register_buffer("low", torch.as_tensor(low), persistent=False)
        self.register_buffer("scale", torch.as_tensor(scale), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map numbers [N, …] to float32 [N, …]."""
        return (x.float() - self.low) * self.scale
