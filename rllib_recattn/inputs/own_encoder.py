"""An encoder of the user's own, named by its import path."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from torch import Tensor, nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import OwnEncoderSettings, import_encoder


class OwnEncoder(nn.Module):
    """Makes the user's encoder and makes sure of what comes out of it.

    Args:
        space: The observation space.
        settings: Which class, and its arguments.

    Attributes:
        output_dim: F, the features that the module was seen to return.

    Raises:
        SettingsError: If the class cannot be found or called, or makes no module from [N, …] to [N, F].
    """

    def __init__(self, space: gym.Space, settings: OwnEncoderSettings):
        super().__init__()
        where = f"encoder {settings.type!r}"
        try:
            self.module = import_encoder(settings.type)(space, **settings.settings)
        except SettingsError:
            raise
        except Exception as error:  # whatever a foreign class raises
            raise SettingsError(
                f"{where}: calling it with the observation space {space} and {settings.settings} failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(self.module, nn.Module):
            raise SettingsError(f"{where}: should make a torch.nn.Module, but made a {type(self.module).__name__}")
        self.output_dim = self._try_out(space, where)

    def forward(self, obs: Any) -> Tensor:
        """Map observations [N, …] to features [N, F]."""
        return self.module(obs).float()

    def _try_out(self, space: gym.Space, where: str) -> int:
        """Return F, after a batch of samples; lazy layers learn their sizes by it, batch norms learn nothing."""
        samples = tree.map_structure(_batch, space.sample(), space.sample())
        was_training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                features = self.module(samples)
        except Exception as error:
            shapes = tree.map_structure(lambda x: f"{list(x.shape)} {x.dtype}", samples)
            raise SettingsError(f"{where}: failed on observations {shapes}: {type(error).__name__}: {error}") from error
        finally:
            self.module.train(was_training)
        if not isinstance(features, Tensor) or features.dim() != 2 or len(features) != 2 or features.shape[1] == 0:
            came = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise SettingsError(f"{where}: should return features [N, F], but returned {came} for N = 2")
        return int(features.shape[1])


def _batch(*values: Any) -> Tensor:
    stacked = torch.as_tensor(np.stack(values))
    return stacked.float() if stacked.is_floating_point() else stacked
