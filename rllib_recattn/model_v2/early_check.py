"""Settings of models are checked where a config is, before remote workers are started that fail with them.

RLlib's old API stack makes models in its workers only. If all of them fail, the driver, which asks the first one for
its spaces (env/env_runner_group.py), says "IndexError: list index out of range", and the reason stands in the workers'
logs at best. RLlib has no hook for a model's settings, so its `validate`, which every algorithm calls first, is given
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.model_v2.model import RecAttnModelV2
from rllib_recattn.model_v2.settings import CLASS_PATHS, PREFIX, split_custom_model_config
from rllib_recattn.private_names import wrap


def check_models_early() -> None:
    """Have every config of this process check the settings of this package's models; once is enough."""
    if not hasattr(AlgorithmConfig.validate, _MARK):
        wrap(AlgorithmConfig, "validate", _with_models, "to check the settings of models before workers are started")


_MARK = "checks_models"


def _with_models(validate: Callable[[AlgorithmConfig], None]) -> Callable[[AlgorithmConfig], None]:
    @wraps(validate)
    def validate_with_models(self: AlgorithmConfig) -> None:
        validate(self)
        if not self.enable_rl_module_and_learner:
            for model in _models(self):
                check_custom_model(model)

    setattr(validate_with_models, _MARK, True)
    return validate_with_models


def check_custom_model(model: Mapping[str, Any]) -> None:
    """Check ``custom_model_config`` of RLlib's ``model`` dict, if ``custom_model`` is one of this package's.

    Raises:
        SettingsError: If a setting is unknown or wrong.
    """
    custom, own = model.get("custom_model"), model.get("custom_model_config") or {}
    if isinstance(custom, type):
        if issubclass(custom, RecAttnModelV2):
            split_custom_model_config(own, custom.model_name, "custom_model_config")
    elif custom in (*CLASS_PATHS, PREFIX.rstrip("_")):
        split_custom_model_config(own, None, "custom_model_config")
    elif isinstance(custom, str) and custom.startswith(PREFIX):
        name = custom.removeprefix(PREFIX)
        split_custom_model_config(own, name, f"model={{'custom_model': {custom!r}}}")


def _models(config: AlgorithmConfig) -> Iterator[Mapping[str, Any]]:
    yield config.model
    for spec in config.policies.values():
        own = getattr(spec, "config", None)
        model = own.get("model") if isinstance(own, Mapping) else getattr(own, "model", None)
        if isinstance(model, Mapping):
            yield model
