"""The names of the same weights in the two API stacks.

In the old one they belong to a ``RecAttnModelV2``, in the new one to RLlib's actor-critic RLModule around
``TorchRecAttnEncoder``; docs/migration.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rllib_recattn.errors import SettingsError

# Prefixes of a ModelV2's weights, and of the same ones in an RLModule.
_SHARED_ENCODER = (("encoder.", "encoder.encoder."),)
_SEPARATE_ENCODERS = (("encoder.", "encoder.actor_encoder."), ("critic_encoder.", "encoder.critic_encoder."))
_HEADS = (("pi.", "pi.net.mlp.0."), ("vf.", "vf.net.mlp.0."), ("log_std", "pi.log_std"))

# APPO's target networks are copies, and RLlib keeps a constant of its settings among the weights.
_TARGET_NETWORKS = ("_old_encoder.", "_old_pi.")
_CONSTANT = ".log_std_clip_param_const"


def rl_module_weights(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Give a ModelV2's weights the names that they have in an RLModule.

    Args:
        weights: ``policy.get_weights()``, or the model's ``state_dict()``.

    Raises:
        SettingsError: If one of them has no counterpart.
    """
    encoders = _SEPARATE_ENCODERS if _any_begins(weights, "critic_encoder.") else _SHARED_ENCODER
    return _renamed(weights, (*encoders, *_HEADS), "a RecAttnModelV2")


def model_v2_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """Undo :func:`rl_module_weights`.

    Args:
        state: ``module.get_state()``, or the module's ``state_dict()``. What a ModelV2 has no place for is left out:
            APPO's target networks and constants.

    Raises:
        SettingsError: If one of the weights has no counterpart.
    """
    state = {name: value for name, value in state.items() if not is_derived(name)}
    encoders = _SEPARATE_ENCODERS if _any_begins(state, "encoder.critic_encoder.") else _SHARED_ENCODER
    pairs = tuple((new, old) for old, new in (*encoders, *_HEADS))
    return _renamed(state, pairs, "a module that use_model has made, with head_fcnet_hiddens = []")


def with_derived(weights: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Add to an RLModule's weights those of APPO's target networks, which begin as copies.

    Args:
        weights: What :func:`rl_module_weights` returned.
        names: The names in the module's state.
    """
    targets = {name: name.removeprefix("_old_") for name in names if name.startswith(_TARGET_NETWORKS)}
    copies = {name: weights[original] for name, original in targets.items() if original in weights}
    return {**weights, **copies}


def is_derived(name: str) -> bool:
    """Whether a weight of an RLModule follows from its other weights or from its settings."""
    return name.startswith(_TARGET_NETWORKS) or name.endswith(_CONSTANT)


def _any_begins(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _renamed(weights: Mapping[str, Any], pairs: Iterable[tuple[str, str]], owner: str) -> dict[str, Any]:
    pairs = tuple(pairs)
    renamed, strange = {}, []
    for name, value in weights.items():
        for old, new in pairs:
            if name.startswith(old):
                renamed[new + name.removeprefix(old)] = value
                break
        else:
            strange.append(name)
    if strange:
        raise SettingsError(f"the weights {', '.join(strange)} have no counterpart; should be those of {owner}")
    return renamed
