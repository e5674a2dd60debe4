"""From the ``model`` dict of the old API stack to a ``model`` block, or to ``config.model_config``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from rllib_recattn.inputs.input_settings import WITHOUT_MLP
from rllib_recattn.migration.model_dict.encoders import encoder_for
from rllib_recattn.migration.model_dict.losses import Losses
from rllib_recattn.migration.model_dict.old_defaults import MODEL_DEFAULTS, shares_layers
from rllib_recattn.model_v2.settings import CLASS_PATHS, PREFIX, ModelV2Settings
from rllib_recattn.rl_module.recurrence import RecurrenceSettings

WHERE = "config.model"

_OF_LSTM = ("lstm_cell_size", "lstm_use_prev_action", "lstm_use_prev_reward", "lstm_use_prev_action_reward")
_OF_ATTENTION = {  # the old name → that of gtrxl's setting
    "attention_num_transformer_units": "n_layers",
    "attention_dim": "d_model",
    "attention_num_heads": "n_heads",
    "attention_head_dim": "d_head",
    "attention_position_wise_mlp_dim": "d_ff",
    "attention_init_gru_gate_bias": "gate_bias",
    "attention_memory_inference": "memory_length",
}
_PREVIOUS = {"attention_use_n_prev_actions": "use_prev_action", "attention_use_n_prev_rewards": "use_prev_reward"}
_SAME_NAME = ("fcnet_hiddens", "fcnet_activation", "conv_filters", "conv_activation", "vf_share_layers")
_LOG_STD = ("free_log_std", "log_std_clip_param")
_INITIALIZERS = {  # of feed-forward networks: the old name → the present one
    f"{part}_{old}": f"{part}_{new}"
    for part in ("fcnet", "conv")
    for old, new in (
        ("weights_initializer", "kernel_initializer"),
        ("weights_initializer_config", "kernel_initializer_kwargs"),
        ("kernel_initializer", "kernel_initializer"),
        ("kernel_initializer_config", "kernel_initializer_kwargs"),
        ("bias_initializer", "bias_initializer"),
        ("bias_initializer_config", "bias_initializer_kwargs"),
    )
}
_SWITCHES = ("use_lstm", "use_attention", "custom_model", "custom_model_config", "max_seq_len")


@dataclass
class Networks:
    """What stands in the place of a ``model`` dict.

    Attributes:
        block: The ``model`` block; None if the networks remember nothing.
        model_config: What ``config.model_config`` holds.
    """

    block: dict[str, Any] | None = None
    model_config: dict[str, Any] = field(default_factory=dict)


def networks_of(model: Mapping[str, Any], run: str, observation_space: gym.Space, losses: Losses) -> Networks:
    """Translate a ``model`` dict.

    Args:
        model: What the file says, without RLlib's defaults.
        run: The name of the algorithm.
        observation_space: What there is to encode.
        losses: Gets what cannot be carried.
    """
    # What is as it would have been anyway is no loss.
    unread = {key for key, value in model.items() if value != MODEL_DEFAULTS.get(key)} - {*_SWITCHES, *_LOG_STD}
    custom = model.get("custom_model")
    model_config = {key: model[key] for key in _LOG_STD if key in model}
    if custom is not None and not _is_ours(custom):
        losses.add(f"{WHERE}.custom_model", custom, "a network of your own; write it as an RLModule, or register it")
        losses.add_all(model, unread | ({"custom_model_config"} & model.keys()), WHERE, "it went to custom_model")
        return Networks()
    if custom is not None:
        block = _ours(model, losses)
        reason = "custom_model takes the place of the networks that it is for"
    elif model.get("use_lstm"):
        block = _lstm(model)
        unread -= {*_OF_LSTM}
        reason = "RLlib's LSTM has it, this package's has not"
    elif model.get("use_attention"):
        block = _attention(model, losses)
        unread -= {*_OF_ATTENTION, *_PREVIOUS, "attention_memory_training"}
        reason = "RLlib's GTrXL has it, this package's has not"
    else:
        networks, read = _feed_forward(model, model_config, run)
        losses.add_all(model, sorted(unread - read), WHERE, "the new API stack has nothing like it")
        return networks
    if custom is None:
        encoder, read = encoder_for(model, observation_space, WHERE, losses)
        unread -= read
        if encoder is not None:
            block["encoder"] = encoder
        if model.get("vf_share_layers") is False:
            losses.add(
                f"{WHERE}.vf_share_layers",
                False,
                "RLlib's value function read the recurrent network all the same; for a network of its own, write "
                "vf_share_layers: false into the model block",
            )
    losses.add_all(model, sorted(unread - {"vf_share_layers"}), WHERE, reason)
    return Networks(block, model_config)


def _is_ours(custom: Any) -> bool:
    return isinstance(custom, str) and (custom.startswith(PREFIX) or custom in CLASS_PATHS)


def _ours(model: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    custom_model_config = dict(model.get("custom_model_config") or {})
    named = custom_model_config.pop("model", None)
    name = named if model["custom_model"] in CLASS_PATHS else model["custom_model"].removeprefix(PREFIX)
    of_old_stack = {*ModelV2Settings.model_fields} - {*RecurrenceSettings.model_fields} | {"rllib_fixes"}
    for key in sorted(of_old_stack & custom_model_config.keys()):
        losses.add(f"{WHERE}.custom_model_config.{key}", custom_model_config.pop(key), "it is about the old API stack")
    # The old stack's default, which is not that of a model block.
    return {"name": name, "max_seq_len": _max_seq_len(model), "encoder": dict(WITHOUT_MLP), **custom_model_config}


def _lstm(model: Mapping[str, Any]) -> dict[str, Any]:
    both = model.get("lstm_use_prev_action_reward") is True
    previous = {f"use_prev_{what}": True for what in ("action", "reward") if both or model.get(f"lstm_use_prev_{what}")}
    d_model = model.get("lstm_cell_size", MODEL_DEFAULTS["lstm_cell_size"])
    return {"name": "lstm", "max_seq_len": _max_seq_len(model), "d_model": d_model, **previous}


def _attention(model: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    settings = {new: model.get(old, MODEL_DEFAULTS[old]) for old, new in _OF_ATTENTION.items()}
    previous = {}
    for old, new in _PREVIOUS.items():
        if model.get(old):
            previous[new] = True
        if model.get(old, 0) > 1:
            losses.add(f"{WHERE}.{old}", model[old], "this package's models read the last one, and remember the others")
    if model.get("attention_memory_training", settings["memory_length"]) != settings["memory_length"]:
        losses.add(
            f"{WHERE}.attention_memory_training",
            model["attention_memory_training"],
            "training sees the memory that acting has, memory_length steps",
        )
    return {"name": "gtrxl", "max_seq_len": _max_seq_len(model), **settings, **previous}


def _feed_forward(model: Mapping[str, Any], model_config: dict[str, Any], run: str) -> tuple[Networks, set[str]]:
    """Return RLlib's own networks, and which settings were read."""
    names = {**dict.fromkeys(_SAME_NAME), **_INITIALIZERS}
    # On the two stacks the same algorithm may have another default.
    model_config = {"vf_share_layers": shares_layers(run), **model_config}
    model_config |= {names[key] or key: value for key, value in model.items() if key in names and value is not None}
    read = {key for key in model if key in names} | {"post_fcnet_hiddens", "post_fcnet_activation"}
    if model.get("post_fcnet_hiddens"):
        model_config["head_fcnet_hiddens"] = model["post_fcnet_hiddens"]
        model_config["head_fcnet_activation"] = model.get(
            "post_fcnet_activation", MODEL_DEFAULTS["post_fcnet_activation"]
        )
    return Networks(None, model_config), read


def _max_seq_len(model: Mapping[str, Any]) -> int:
    return int(model.get("max_seq_len", MODEL_DEFAULTS["max_seq_len"]))
