"""Check ``config.model_config``: the settings of RLlib's own models, and of the heads that it puts on ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints

from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

from rllib_recattn.errors import suggest
from rllib_recattn.experiment.algorithm.setting_types import describe, matches
from rllib_recattn.rl_module.recurrence import RecurrenceSettings
from rllib_recattn.scope import Scope

_DEFAULTS = dataclasses.asdict(DefaultModelConfig())
_TYPES = get_type_hints(DefaultModelConfig)
_HEAD_KEYS = {key for key in _DEFAULTS if key.startswith("head_fcnet_")} | {"free_log_std", "log_std_clip_param"}


def check_model_config(model_config: Mapping[str, Any], has_model_block: bool, scope: Scope) -> dict[str, Any]:
    """Check the settings of RLlib's models.

    Args:
        model_config: The settings, as plain data.
        has_model_block: Whether one of this package's models is used, on which RLlib only puts the heads.
        scope: That of the settings; gets a problem for each that is wrong.

    Returns:
        The settings, with RLlib's default ``max_seq_len`` if they ask for an LSTM and do not say it: RLlib requires
        it of mappings.
    """
    for key, value in model_config.items():
        if key not in _DEFAULTS:
            scope.problem(f"unknown setting {key!r}: {suggest(key, _DEFAULTS)}")
        elif has_model_block and key in RecurrenceSettings.model_fields:
            scope.at(key).problem("belongs to the 'model' block")
        elif has_model_block and key in ("fcnet_hiddens", "fcnet_activation"):
            scope.at(key).problem(
                f"belongs to the 'model' block, where it is written encoder: {{type: auto, widths: "
                f"{model_config.get('fcnet_hiddens', _DEFAULTS['fcnet_hiddens'])}, activation: "
                f"{model_config.get('fcnet_activation', _DEFAULTS['fcnet_activation'])}}}"
            )
        elif has_model_block and key not in _HEAD_KEYS:
            scope.at(key).problem(
                "has no effect beside a 'model' block, which takes the place of RLlib's own model; "
                "only the settings of the heads (head_fcnet_…) go with it"
            )
        elif not matches(value, _TYPES[key]):
            expected = describe(_TYPES[key], null=_DEFAULTS[key] is None)
            scope.wrong(key, value, f"should be {expected}")
    if model_config.get("use_lstm"):
        return {"max_seq_len": _DEFAULTS["max_seq_len"], **model_config}
    return dict(model_config)
