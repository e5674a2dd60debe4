"""From the networks that RLlib's old API stack puts before an LSTM or a GTrXL to an ``encoder``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import gymnasium as gym

from rllib_recattn.inputs.input_settings import RLLIB_ACTIVATIONS, WITHOUT_MLP, Activation
from rllib_recattn.migration.model_dict.losses import Losses
from rllib_recattn.migration.model_dict.old_defaults import MODEL_DEFAULTS


def encoder_for(
    model: Mapping[str, Any], observation_space: gym.Space, where: str, losses: Losses
) -> tuple[dict[str, Any] | None, set[str]]:
    """Translate what comes before the recurrent network.

    Args:
        model: What the file says in its ``model`` dict.
        observation_space: What there is to encode, which decides the kind of RLlib's network.
        where: The key path of the dict.
        losses: Gets what cannot be carried.

    Returns:
        The ``encoder`` of a model block, None for the default one; and which settings of `model` were read.
    """
    if isinstance(observation_space, gym.spaces.Dict | gym.spaces.Tuple):
        losses.add(
            f"{where}.fcnet_hiddens",
            _get(model, "fcnet_hiddens"),
            "RLlib gave each part of a Dict or Tuple a network of its own; here they are joined as they are (images "
            "through a small CNN); say otherwise with 'encoder' in the model block",
        )
        return dict(WITHOUT_MLP), {"fcnet_hiddens", "fcnet_activation"}
    if isinstance(observation_space, gym.spaces.Box) and len(observation_space.shape) == 3:
        return _cnn(model, where, losses), {"conv_filters", "conv_activation", "fcnet_hiddens", "fcnet_activation"}
    read = {"fcnet_hiddens", "fcnet_activation", "post_fcnet_hiddens", "post_fcnet_activation"}
    return _mlp(model, where, losses), read


def _mlp(model: Mapping[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    hidden, more = list(_get(model, "fcnet_hiddens")), list(_get(model, "post_fcnet_hiddens"))
    if not hidden + more:
        return dict(WITHOUT_MLP)
    # RLlib's FullyConnectedNetwork (fcnet.py) joins the two, and takes the activation of the first that there is.
    name = "fcnet_activation" if hidden else "post_fcnet_activation"
    return {"type": "mlp", "widths": hidden + more, "activation": _activation(model, name, where, losses)}


def _cnn(model: Mapping[str, Any], where: str, losses: Losses) -> dict[str, Any] | None:
    filters = model.get("conv_filters")
    if not filters:
        losses.add(
            f"{where}.conv_filters",
            None,
            "RLlib chose filters by the image's size; here kernels fit any image, see 'encoder' of the model block",
        )
        return None
    *channels, last = [each[0] for each in filters]
    losses.add(
        f"{where}.conv_filters",
        filters,
        "kernels and strides are chosen to fit the image; the channels are carried, those of the last as output_dim",
    )
    activation = _activation(model, "conv_activation", where, losses)
    if not channels:
        channels = [last]
    return {"type": "cnn", "widths": channels, "output_dim": last, "activation": activation}


def _activation(model: Mapping[str, Any], key: str, where: str, losses: Losses) -> str:
    given = _get(model, key)
    name = str(given).lower()
    name = RLLIB_ACTIVATIONS.get(name, name)
    known = get_args(Activation)
    if name in known:
        return name
    instead = str(MODEL_DEFAULTS[key])
    losses.add(f"{where}.{key}", given, f"an encoder has one of {', '.join(known)}; {instead} is written instead")
    return instead


def _get(model: Mapping[str, Any], key: str) -> Any:
    return model.get(key, MODEL_DEFAULTS[key])
