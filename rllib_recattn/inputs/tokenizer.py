"""From observations of any space to vectors, step by step.

Shape suffixes: B rows of a batch, T steps, N = B·T, F features.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from torch import Tensor, nn

from rllib_recattn.errors import SettingsError, SettingsWarning
from rllib_recattn.inputs.image_layout import image_layout
from rllib_recattn.inputs.images import (
    ACTIVATIONS,
    ImageEncoder,
    UnitRange,
    fitting_convolutions,
    impala_convolutions,
)
from rllib_recattn.inputs.input_settings import (
    AutoEncoderSettings,
    CNNEncoderSettings,
    EncoderSettings,
    ImpalaCNNEncoderSettings,
    MLPEncoderSettings,
    OwnEncoderSettings,
)
from rllib_recattn.inputs.own_encoder import OwnEncoder
from rllib_recattn.inputs.spaces import check_observation_space, leaf_at, leaves, one_hot_slots


class Tokenizer(nn.Module):
    """Turns observations [B, T, …] of a space into vectors [B, T, F].

    RLlib's own tokenizers take a single tensor; here it may be any nesting of mappings and tuples, as the observation
    space says. Steps never see each other.

    Args:
        space: The observation space.
        settings: What to encode it with.

    Attributes:
        output_dim: F.

    Raises:
        SettingsError: If the space is unsupported, or the settings do not fit it.
    """

    def __init__(self, space: gym.Space, settings: EncoderSettings):
        super().__init__()
        check_observation_space(space)
        self.encoder: OwnEncoder | _PerLeaf
        if isinstance(settings, OwnEncoderSettings):
            self.encoder = OwnEncoder(space, settings)
        else:
            self.encoder = _PerLeaf(space, settings)
        self.output_dim = self.encoder.output_dim
        self._keys = list(space.spaces) if isinstance(space, gym.spaces.Dict) else None

    def forward(self, obs: Any) -> Tensor:
        """Map observations [B, T, …], nested like their space, to vectors [B, T, F].

        A Dict may have further keys, such as that of an action mask, which are not read.
        """
        if isinstance(obs, Tensor):  # what most spaces are, and `tree` takes its time
            return self.encode(obs.flatten(0, 1)).unflatten(0, obs.shape[:2])
        rows, steps = tree.flatten(obs)[0].shape[:2]
        return self.encode(tree.map_structure(lambda x: x.flatten(0, 1), obs)).unflatten(0, (rows, steps))

    @property
    def layers_of_numbers(self) -> nn.Sequential | None:
        """All that is done to observations [N, F] that are nothing but floating-point numbers; None of others."""
        return self.encoder.mlp if isinstance(self.encoder, _PerLeaf) and self.encoder.is_of_numbers else None

    def encode(self, obs: Any) -> Tensor:
        """Map observations [N, …], likewise, to vectors [N, F]."""
        if self._keys is not None and len(obs) > len(self._keys):
            obs = {key: obs[key] for key in self._keys}
        return self.encoder(obs)


class _PerLeaf(nn.Module):
    """Encodes each leaf of a space for itself and joins the features, all but those of images by an MLP if asked to."""

    def __init__(self, space: gym.Space, settings: EncoderSettings):
        super().__init__()
        self.paths = [path for path, _ in leaves(space)]
        encoders = [_leaf_encoder(leaf, settings) for _, leaf in leaves(space)]
        _check_images(space, encoders, settings)
        self.encoders = nn.ModuleList(encoders)
        in_mlp = [encoder for encoder in encoders if not isinstance(encoder, _Image)]
        widths = _mlp_widths(in_mlp, settings)
        # Without layers the features stay in the order of the leaves.
        self.in_mlp = [bool(widths) and encoder in in_mlp for encoder in encoders]
        sizes = {True: 0, False: 0}
        for encoder, inside in zip(encoders, self.in_mlp, strict=True):
            sizes[inside] += encoder.output_dim
        self.mlp = nn.Sequential()
        if isinstance(settings, MLPEncoderSettings | AutoEncoderSettings):
            for before, width in zip([sizes[True], *widths], widths, strict=False):
                self.mlp.append(nn.Linear(before, width))
                self.mlp.append(ACTIVATIONS[settings.activation]())
        self.output_dim = sizes[False] + (widths[-1] if widths else 0)
        is_vector = isinstance(space, gym.spaces.Box) and len(space.shape) == 1
        self.is_of_numbers = is_vector and space.dtype in (np.float32, np.float64)

    def forward(self, obs: Any) -> Tensor:
        features = [encoder(leaf_at(obs, path)) for path, encoder in zip(self.paths, self.encoders, strict=True)]
        if len(features) == 1:
            return self.mlp(features[0]) if self.in_mlp[0] else features[0]
        if self.mlp:
            inside = [x for x, goes_in in zip(features, self.in_mlp, strict=True) if goes_in]
            outside = [x for x, goes_in in zip(features, self.in_mlp, strict=True) if not goes_in]
            features = [self.mlp(_join(inside)), *outside]
        return _join(features)


def _mlp_widths(in_mlp: list[_LeafEncoder], settings: EncoderSettings) -> list[int]:
    """Return the features of each layer of the MLP for what is no image."""
    if not in_mlp or not isinstance(settings, MLPEncoderSettings | AutoEncoderSettings):
        return []
    if settings.widths is not None:
        return list(settings.widths)
    return _DEFAULT_WIDTHS if any(isinstance(encoder, _Numbers) for encoder in in_mlp) else []


def _join(features: list[Tensor]) -> Tensor:
    return features[0] if len(features) == 1 else torch.cat(features, dim=-1)


class _LeafEncoder(nn.Module):
    """From the values [N, …] of a space that is no Dict or Tuple to features [N, output_dim]."""

    output_dim: int


def _leaf_encoder(space: gym.Space, settings: EncoderSettings) -> _LeafEncoder:
    if isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        return _OneHot(space)
    if _is_image(space) and not isinstance(settings, MLPEncoderSettings):
        return _Image(space, settings)
    return _Numbers(space)


def _is_image(space: gym.Space) -> bool:
    """Whether a space is one of images: those of :func:`image_layout`, without channels of bytes only."""
    if not isinstance(space, gym.spaces.Box):
        return False
    return len(space.shape) in (3, 4) or (len(space.shape) == 2 and space.dtype == np.uint8)


def _check_images(space: gym.Space, encoders: list[_LeafEncoder], settings: EncoderSettings) -> None:
    needs_image = isinstance(settings, CNNEncoderSettings | ImpalaCNNEncoderSettings)
    if needs_image and not any(isinstance(encoder, _Image) for encoder in encoders):
        raise SettingsError(
            f"encoder {settings.type!r}: the observation space {space} has no image, a Box of shape (height, width, "
            "channels) or the like: should be 'auto' or 'mlp'"
        )


class _Numbers(_LeafEncoder):
    """Box and MultiBinary: the numbers as they are, those of bytes in [0, 1]."""

    def __init__(self, space: gym.Space):
        super().__init__()
        self.unit_range = _unit_range(space)
        self._is_bytes = isinstance(self.unit_range, UnitRange)
        self.output_dim = math.prod(space.shape or ())

    def forward(self, x: Tensor) -> Tensor:
        if self._is_bytes:
            x = self.unit_range(x)
        return x.float().reshape(x.shape[0], self.output_dim)


class _OneHot(_LeafEncoder):
    """Discrete and MultiDiscrete: one-hot vectors; all zeros where RLlib padded with a value outside the space."""

    component: Tensor
    value: Tensor

    def __init__(self, space: gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        super().__init__()
        component, value = one_hot_slots(space)
        self.register_buffer("component", torch.as_tensor(component), persistent=False)
        self.register_buffer("value", torch.as_tensor(value), persistent=False)
        self.output_dim = len(value)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1)[:, self.component].eq(self.value).float()


class _Image(_LeafEncoder):
    """A Box of images, whatever the order of its dimensions: convolutions."""

    def __init__(self, space: gym.Space, settings: EncoderSettings):
        super().__init__()
        assert space.shape is not None
        self.unit_range = _unit_range(space)
        assert isinstance(settings, AutoEncoderSettings | CNNEncoderSettings | ImpalaCNNEncoderSettings)
        self.layout = image_layout(space.shape, settings.channels, settings.type)
        if settings.channels == "auto" and not self.layout.is_usual:
            # Python shows the same warning once.
            warnings.warn(
                f"observations of shape {space.shape} are read as images of {self.layout}; "
                f"encoder: {{type: {settings.type}, channels: …}} says it, first or last",
                SettingsWarning,
                stacklevel=2,
            )
        settings = _DEFAULT_CNN if isinstance(settings, AutoEncoderSettings) else settings
        self.shape = self.layout.shape
        if isinstance(settings, ImpalaCNNEncoderSettings):
            convolutions = impala_convolutions(self.shape[-1], settings.widths, settings.activation)
        else:
            convolutions = fitting_convolutions(self.shape, settings.widths, settings.activation)
        self.encoder = ImageEncoder(self.shape, convolutions, settings.output_dim, settings.activation)
        self.output_dim = settings.output_dim

    def forward(self, x: Tensor) -> Tensor:
        image = self.unit_range(x).float().permute(0, *(axis + 1 for axis in self.layout.axes))
        return self.encoder(image.reshape(x.shape[0], *self.shape))


_DEFAULT_WIDTHS = [64]
_DEFAULT_CNN = CNNEncoderSettings.model_validate({})


def _unit_range(space: gym.Space) -> nn.Module:
    """Return what brings bytes to [0, 1]; numbers of other types are taken to be of a sensible size already."""
    if isinstance(space, gym.spaces.Box) and space.dtype == np.uint8:
        return UnitRange(space.low, space.high)
    return nn.Identity()
