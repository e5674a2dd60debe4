"""From an RLModule of this package to what an agent is made of, and its weights back into a module."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ray.rllib.core.models.configs import FreeLogStdMLPHeadConfig
from torch import Tensor

from rllib_recattn.agents.description import HeadActivation, HeadSettings
from rllib_recattn.algorithms import with_policy
from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import RLLIB_ACTIVATIONS, InputSettings
from rllib_recattn.models.registry import recorded_settings
from rllib_recattn.rl_module.algorithms import ALGORITHMS
from rllib_recattn.rl_module.catalog import MODEL_CONFIG_KEY, RecAttnCatalog
from rllib_recattn.rl_module.q_learning.module import RecAttnDQNModule
from rllib_recattn.rl_module.recurrence import settings_in

# The names of RLlib's weights begin with the former, and those of the networks that act with the latter.
_NAMES = {
    "encoder.encoder.": "encoder.",
    "encoder.actor_encoder.": "encoder.",
    "encoder.critic_encoder.": "critic_encoder.",
    "pi.net.mlp.": "policy.layers.",
    "pi.log_std": "policy.log_std",
    "vf.net.mlp.": "value.layers.",
}
_LIMIT = "pi.log_std_clip_param_const"
_TARGET = "_old_"  # begins the names of the networks of APPO's target policy, which are those of its policy


def check_module(module: Any, where: str) -> None:
    """Refuse a module of which nobody knows what it computes.

    Raises:
        SettingsError: If it is none of this package's, or is one with code of the user's.
    """
    model_config = module.model_config if isinstance(module.model_config, Mapping) else {}
    if MODEL_CONFIG_KEY not in model_config:
        raise SettingsError(f"{where}: its module, a {type(module).__name__}, has no model of this package")
    if isinstance(module, RecAttnDQNModule):
        raise SettingsError(
            f"{where}: is an agent of DQN, which acts by Q-values; only those with a policy ({with_policy()}) "
            "can act without RLlib: let it play with `rllib evaluate`"
        )
    for kind, own in (("module", type(module)), ("catalog", type(module.catalog))):
        if own not in (RecAttnCatalog, *(algorithm.module for algorithm in ALGORITHMS)):
            raise SettingsError(
                f"{where}: its {kind} {own.__module__}.{own.__qualname__} may compute anything; only those of this "
                "package can act without RLlib"
            )


def weights_of(module: Any) -> dict[str, Tensor]:
    """Return the weights of the networks that act, by their names in :class:`ActingNetwork`."""
    named = {name: acting_name(name) for name in module.state_dict()}
    state = module.state_dict()
    return {to: state[name].detach().cpu().clone() for name, to in named.items() if to is not None}


def acting_name(name: str) -> str | None:
    """Return the name in :class:`ActingNetwork` of a weight that RLlib gives a name; None: none that acts."""
    begin = next((begin for begin in _NAMES if name.startswith(begin) and not name.startswith(_LIMIT)), None)
    return None if begin is None else _NAMES[begin] + name.removeprefix(begin)


def weights_by_rllibs_names(names: Iterable[str], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an agent's weights by the names that they have in a module, those of a target policy included.

    Args:
        names: Those of all that is in the module's state; what no agent has, such as a value function of an agent that
            was saved without, is left out.
        weights: The agent's, by their names in :class:`ActingNetwork`.
    """
    named = {name: acting_name(name.removeprefix(_TARGET)) for name in names}
    return {name: weights[to] for name, to in named.items() if to is not None and to in weights}


def model_of(module: Any, where: str) -> dict[str, Any]:
    """Return the fields of an :class:`AgentDescription` that a module decides.

    Raises:
        SettingsError: If one of its settings has no counterpart.
    """
    model_config = module.model_config
    recurrence = settings_in(model_config)
    settings = dict(model_config[MODEL_CONFIG_KEY])
    name = settings.pop("model")
    names = module.state_dict().keys()
    own_critic = any(key.startswith("encoder.critic_encoder.") for key in names)
    return {
        "model": name,
        "settings": recorded_settings(name, settings, where),
        "inputs": InputSettings(**{key: getattr(recurrence, key) for key in InputSettings.model_fields}),
        "head": _head(module, where),
        "has_values": any(key.startswith("vf.net.") for key in names) and (recurrence.vf_share_layers or own_critic),
        "vf_share_layers": recurrence.vf_share_layers,
    }


def _head(module: Any, where: str) -> HeadSettings:
    config = module.pi.config
    activation = config.hidden_layer_activation or "linear"
    name = str(activation).lower()
    name = RLLIB_ACTIVATIONS.get(name, name)
    if name not in get_args(HeadActivation):
        known = ", ".join(get_args(HeadActivation))
        raise SettingsError(f"{where}: head_fcnet_activation = {activation!r} cannot be carried; known are: {known}")
    limit = float(module.state_dict()[_LIMIT].min())
    return HeadSettings(
        widths=[int(width) for width in config.hidden_layer_dims],
        activation=name,  # type: ignore[arg-type]
        layer_norm=bool(config.hidden_layer_use_layernorm),
        free_log_std=isinstance(config, FreeLogStdMLPHeadConfig),
        log_std_limit=limit if config.clip_log_std and math.isfinite(limit) else None,
    )
