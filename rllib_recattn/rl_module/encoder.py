"""A model of the catalog as a stateful RLlib encoder.

Shape suffixes: B rows of a batch, T steps, D features, S numbers of state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT, Encoder
from ray.rllib.core.models.configs import RecurrentEncoderConfig
from ray.rllib.core.models.torch.base import TorchModel
from torch import Tensor

from rllib_recattn.models.base import ModelSettings

STATE = "state"


@dataclass
class RecAttnEncoderConfig(RecurrentEncoderConfig):
    """Configuration of :class:`TorchRecAttnEncoder`.

    RLlib decides by this base class, in several places, that a module has a state; the fields for LSTM and GRU that
    come with it are not used.

    Attributes:
        settings: Settings of the model.
    """

    settings: ModelSettings | None = None

    @property
    def output_dims(self) -> tuple[int, ...]:
        """(D,), the shape of one step's output."""
        assert self.settings is not None
        return (self.settings.output_dim,)

    def build(self, framework: str = "torch") -> TorchRecAttnEncoder:
        """Build the encoder; "torch" is the only framework of RLlib's new API stack."""
        return TorchRecAttnEncoder(self)


class TorchRecAttnEncoder(TorchModel, Encoder):
    """Feeds observations to a sequence model and carries its state as one packed leaf.

    Args:
        config: The encoder's configuration, with the shape of an observation in `input_dims`.
    """

    def __init__(self, config: RecAttnEncoderConfig):
        TorchModel.__init__(self, config)
        assert config.settings is not None
        (input_dim,) = config.input_dims
        self.model = config.settings.build(int(input_dim))

    def get_initial_state(self) -> dict[str, Tensor]:
        """Return the state [S] of an agent at the start of an episode."""
        return {STATE: self.model.initial_state(1)[0].detach()}

    def _forward(self, inputs: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Map observations [B, T, D_in] and a state [B, S] to encodings [B, T, D] and the state after the last step."""
        y, state = self.model(inputs[Columns.OBS].float(), inputs[Columns.STATE_IN][STATE])
        return {ENCODER_OUT: y, Columns.STATE_OUT: {STATE: state}}
