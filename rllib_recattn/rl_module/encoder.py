"""A model of the catalog as a stateful RLlib encoder.

Shape suffixes: B rows of a batch, T steps, D features, S numbers of state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT, Encoder
from ray.rllib.core.models.configs import RecurrentEncoderConfig
from ray.rllib.core.models.torch.base import TorchModel
from torch import Tensor

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import InputSettings, encoder_settings
from rllib_recattn.inputs.masks import read_space
from rllib_recattn.inputs.previous import PREVIOUS, PreviousInputs
from rllib_recattn.inputs.tokenizer import Tokenizer
from rllib_recattn.models.base import ModelSettings
from rllib_recattn.rl_module.packing.rows import IS_FIRST

STATE = "state"


@dataclass(kw_only=True)
class RecAttnEncoderConfig(RecurrentEncoderConfig):
    """Configuration of :class:`TorchRecAttnEncoder`.

    RLlib decides by this base class, in several places, that a module has a state; the fields for LSTM and GRU that
    come with it are not used.

    Attributes:
        settings: Settings of the model.
        inputs: What the model sees.
        observation_space: What there is to see.
        action_space: What previous actions may have been.
    """

    settings: ModelSettings
    inputs: InputSettings
    observation_space: gym.Space
    action_space: gym.Space

    @property
    def output_dims(self) -> tuple[int, ...]:
        """(D,), the shape of one step's output."""
        return (self.settings.output_dim,)

    def build(self, framework: str = "torch") -> TorchRecAttnEncoder:
        """Build the encoder; "torch" is the only framework of RLlib's new API stack."""
        return TorchRecAttnEncoder(self)


class TorchRecAttnEncoder(TorchModel, Encoder):
    """Feeds observations to a sequence model and carries its state as one packed leaf.

    Args:
        config: The encoder's configuration.

    Raises:
        SettingsError: If the encoder that the configuration names cannot encode the observation space.
    """

    def __init__(self, config: RecAttnEncoderConfig):
        TorchModel.__init__(self, config)
        self.tokenizer = Tokenizer(
            read_space(config.observation_space, config.inputs), encoder_settings(config.inputs.encoder)
        )
        self.previous_size = PreviousInputs(config.action_space, config.inputs).size
        self.model = config.settings.build(self.tokenizer.output_dim + self.previous_size)

    def get_initial_state(self) -> dict[str, Tensor]:
        """Return the state [S] of an agent at the start of an episode."""
        return {STATE: self.model.initial_state(1)[0].detach()}

    def _forward(self, inputs: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Map observations [B, T, …] and a state [B, S] to encodings [B, T, D] and the state after the last step."""
        x = self.tokenizer(inputs[Columns.OBS])
        if self.previous_size:
            x = torch.cat([x, self._previous(inputs)], dim=-1)
        y, state = self.model(x, inputs[Columns.STATE_IN][STATE], inputs.get(IS_FIRST))
        return {ENCODER_OUT: y, Columns.STATE_OUT: {STATE: state}}

    @staticmethod
    def _previous(inputs: dict[str, Any]) -> Tensor:
        if PREVIOUS not in inputs:
            raise SettingsError(
                f"the batch has no {PREVIOUS!r}, as use_prev_action and use_prev_reward need it: a later "
                "config.env_runners(env_to_module_connector=…) or config.learners(learner_connector=…) replaced what "
                "use_model had set; call use_model after it"
            )
        return inputs[PREVIOUS]
