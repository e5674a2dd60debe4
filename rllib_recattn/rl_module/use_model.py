"""The front door: give an RLlib config a model with memory."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils import force_list

from rllib_recattn.errors import SettingsError, validate
from rllib_recattn.models.registry import model_settings, qualified_name
from rllib_recattn.rl_module.catalog import MODEL_CONFIG_KEY, RecAttnCatalog
from rllib_recattn.rl_module.learner import RecAttnPPOLearner
from rllib_recattn.rl_module.metrics import SuccessRateCallback
from rllib_recattn.rl_module.modules import RecAttnPPOModule
from rllib_recattn.rl_module.recurrence import DEFAULT_MAX_SEQ_LEN, RecurrenceSettings

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


def use_model(
    config: ConfigT,
    model: str,
    *,
    max_seq_len: int = DEFAULT_MAX_SEQ_LEN,
    vf_share_layers: bool = True,
    **settings: Any,
) -> ConfigT:
    """Give an RLlib PPO config a model with memory.

    Only ordinary config fields are set, so the config survives ``to_dict()``, Ray Tune and checkpoints, and can be
    changed further: the RLModule spec, the learner class unless there is one, ``model_config`` (merged into what it
    holds already, so that RLlib's own ``head_fcnet_…`` settings go on to shape the policy and value heads) and a
    callback that reports the success rate. Call it after ``config.rl_module(…)`` and ``config.callbacks(…)``.

    Args:
        config: A PPO config on RLlib's new API stack, with PyTorch. Changed in place.
        model: A model's name; see :func:`rllib_recattn.models`. ``"package.module:name"`` imports the module that
            registers it with :func:`rllib_recattn.register_model`.
        max_seq_len: Steps through which a gradient flows. RLlib pads the rows of a train batch to this length, so it
            should be a little larger than the usual episode, or much smaller.
        vf_share_layers: Whether the value function reads the output of the policy's model. Otherwise it has a model,
            and a state, of its own.
        **settings: Those of the model's settings that differ from their defaults.

    Returns:
        `config`, for chaining.

    Raises:
        SettingsError: If the config is none that the model can be used with, or a setting is unknown or wrong.
    """
    recurrence = validate(
        RecurrenceSettings, {"max_seq_len": max_seq_len, "vf_share_layers": vf_share_layers}, "use_model"
    )
    chosen = model_settings(model, settings, where=f"use_model(config, {model!r})")
    _check_config(config)
    config.rl_module(
        rl_module_spec=RLModuleSpec(module_class=RecAttnPPOModule, catalog_class=RecAttnCatalog),
        model_config={
            **_model_config_of(config),
            **recurrence.model_dump(),
            MODEL_CONFIG_KEY: {"model": qualified_name(model), **chosen.model_dump()},
        },
    )
    if config._learner_class is None:
        config.learners(learner_class=RecAttnPPOLearner)
    report_success_rate(config)
    return config


def report_success_rate(config: ConfigT) -> ConfigT:
    """Have `config` report ``env_runners/success_rate``, beside whatever callbacks it has; returns it."""
    callbacks = force_list(config.callbacks_class)
    if SuccessRateCallback not in callbacks:
        config.callbacks(callbacks_class=[*callbacks, SuccessRateCallback])
    return config


def _check_config(config: AlgorithmConfig) -> None:
    if not isinstance(config, PPOConfig):
        raise SettingsError(f"use_model: config is a {type(config).__name__}; should be a PPOConfig")
    if not (config.enable_rl_module_and_learner and config.enable_env_runner_and_connector_v2):
        raise SettingsError("use_model: config.api_stack(…) chose the old API stack; should be the new one")
    if config.framework_str != "torch":
        raise SettingsError(f"use_model: framework = {config.framework_str!r}; should be 'torch'")
    spec = config._rl_module_spec
    if spec is not None and getattr(spec, "module_class", None) is not RecAttnPPOModule:
        raise SettingsError(
            f"use_model: config.rl_module(rl_module_spec={spec!r}): should be left to use_model; settings "
            "of the heads go into config.rl_module(model_config=…)"
        )


def _model_config_of(config: AlgorithmConfig) -> dict[str, Any]:
    model_config = config._model_config
    if dataclasses.is_dataclass(model_config) and not isinstance(model_config, type):
        model_config = dataclasses.asdict(model_config)
    if model_config.get("use_lstm"):
        raise SettingsError(
            "use_model: model_config has use_lstm = True; should be left out, the model takes its place"
        )
    return dict(model_config)
