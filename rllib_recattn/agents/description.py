"""What an agent is, apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import gymnasium as gym
from pydantic import Field

from rllib_recattn.errors import Settings
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.models.base import ModelSettings

HeadActivation = Literal["relu", "tanh", "silu", "gelu", "elu", "linear"]


class HeadSettings(Settings):
    """The layers between a model and its outputs, RLlib's heads."""

    widths: list[Annotated[int, Field(gt=0)]] = Field([], description="units of each hidden layer")
    activation: HeadActivation = "relu"
    layer_norm: bool = Field(False, description="whether hidden layers are normalised")
    free_log_std: bool = Field(False, description="whether log standard deviations are weights of their own")
    log_std_limit: float | None = Field(None, ge=0, description="how far log standard deviations are from 0 at most")


@dataclass(frozen=True)
class AgentDescription:
    """What an agent sees, how it computes and what it does.

    Attributes:
        observation_space: What the environment gives.
        seen_space: What the encoder was built for: a filter of observations changes the bounds.
        action_space: What the environment takes.
        model: The model's name.
        settings: Its settings.
        inputs: What it sees.
        head: The layers behind it.
        has_values: Whether there are weights of a value function.
        vf_share_layers: Whether that reads the output of the policy's model.
        has_filter: Whether observations are normalised by a mean and a standard deviation.
        filter_limit: How far normalised numbers are from 0 at most; None: no limit.
        normalize_actions: Whether actions of a Box with bounds are scaled to them.
        clip_actions: Whether other actions of a Box are clipped to its bounds.
    """

    observation_space: gym.Space
    seen_space: gym.Space
    action_space: gym.Space
    model: str
    settings: ModelSettings
    inputs: InputSettings
    head: HeadSettings
    has_values: bool
    vf_share_layers: bool
    has_filter: bool
    filter_limit: float | None
    normalize_actions: bool
    clip_actions: bool
