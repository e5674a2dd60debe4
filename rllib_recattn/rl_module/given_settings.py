"""What a user's ``model_config`` says already when ``use_model`` comes: what holds, what gives way, what is in vain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args

from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import RLLIB_ACTIVATIONS, Activation
from rllib_recattn.rl_module.recurrence import DEFAULT_MAX_SEQ_LEN

_MLP_KEYS = ("fcnet_hiddens", "fcnet_activation")
_EFFECTIVE = {"max_seq_len", "vf_share_layers", "free_log_std", "log_std_clip_param", *_MLP_KEYS}
_DEFAULTS = {
    field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    for field in dataclasses.fields(DefaultModelConfig)
}
_CURES = {
    "use_lstm": "the model takes the LSTM's place",
    "lstm_cell_size": "'lstm' and 'gru' are models of the catalog, whose size is d_model",
    "lstm_use_prev_action": "use_model(…, use_prev_action=True) has this effect",
    "lstm_use_prev_reward": "use_model(…, use_prev_reward=True) has this effect",
    "conv_filters": "convolutions are chosen by encoder={'type': 'cnn', 'widths': […], 'output_dim': …}",
    "conv_activation": "the convolutions' activation is chosen by encoder={'type': 'cnn', 'activation': …}",
}


def given_settings(model_config: Any) -> dict[str, Any]:
    """Return what a user set in a ``model_config``.

    Args:
        model_config: A dict, of which all counts; or RLlib's ``DefaultModelConfig``, of which what differs from the
            default counts, since nothing tells whether it was written there; or None.
    """
    if dataclasses.is_dataclass(model_config) and not isinstance(model_config, type):
        values = {field.name: getattr(model_config, field.name) for field in dataclasses.fields(model_config)}
        return {key: value for key, value in values.items() if key not in _DEFAULTS or value != _DEFAULTS[key]}
    return dict(model_config or {})


def model_config_of(spec: RLModuleSpec) -> dict[str, Any]:
    """Return all of a spec's ``model_config``, RLlib's defaults included if it is a ``DefaultModelConfig``."""
    model_config = spec.model_config
    is_dataclass = dataclasses.is_dataclass(model_config) and not isinstance(model_config, type)
    return dataclasses.asdict(model_config) if is_dataclass else model_config or {}


def choose(given: Mapping[str, Any], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Decide between what ``use_model`` was told and what the config says already.

    Raises SettingsError if ``fcnet_hiddens`` is no list of sizes.

    Args:
        given: What the user set in ``model_config``.
        arguments: ``max_seq_len``, ``vf_share_layers`` and ``encoder`` as ``use_model`` got them; None: not told.

    Returns:
        A value for each of `arguments`: the argument if there is one, else what is given, else the default; and a
        sentence on each contradiction.
    """
    chosen, notes = dict(arguments), []
    for key, default in {"max_seq_len": DEFAULT_MAX_SEQ_LEN, "vf_share_layers": True}.items():
        if chosen[key] is None:
            chosen[key] = given.get(key, default)
        elif key in given and given[key] != chosen[key]:
            notes.append(f"model_config has {key} = {given[key]!r}, which gives way to {key} = {chosen[key]!r}")
    in_mlp = [f"{key} = {given[key]!r}" for key in _MLP_KEYS if key in given]
    if chosen["encoder"] is None:
        chosen["encoder"] = _mlp(given, notes) if in_mlp else "auto"
    elif in_mlp:
        notes.append(f"model_config has {' and '.join(in_mlp)}, which gives way to encoder = {chosen['encoder']!r}")
    return chosen, notes


def in_vain(given: Mapping[str, Any]) -> list[str]:
    """Return a sentence on what is set in a ``model_config`` and has no effect beside this package's models."""
    keys = [
        key
        for key, value in given.items()
        if key in _DEFAULTS and key not in _EFFECTIVE and not key.startswith("head_") and value != _DEFAULTS[key]
    ]
    if not keys:
        return []
    cures = "".join(f"; {key}: {_CURES[key]}" for key in keys if key in _CURES)
    return [f"model_config has settings without effect beside the model: {', '.join(keys)}{cures}"]


def _mlp(given: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return the encoder that RLlib's settings of the MLP before its own models ask for."""
    values = {key: given.get(key, _DEFAULTS[key]) for key in _MLP_KEYS}
    widths = values["fcnet_hiddens"] or []
    if not isinstance(widths, list | tuple) or not all(type(width) is int and width > 0 for width in widths):
        raise SettingsError(
            f"use_model: model_config has fcnet_hiddens = {widths!r}: should be a list of whole numbers ≥ 1"
        )
    name = str(values["fcnet_activation"]).lower()
    activation: str = RLLIB_ACTIVATIONS.get(name, name)
    if activation not in get_args(Activation):
        activation = str(_DEFAULTS["fcnet_activation"])
        notes.append(
            f"model_config has fcnet_activation = {values['fcnet_activation']!r}; should be one of "
            f"{', '.join(get_args(Activation))}: {activation} is used"
        )
    return {"type": "auto", "widths": list(widths), "activation": activation}
