"""Which of RLlib's API stacks an experiment is written for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rllib_recattn.algorithms import abilities_of
from rllib_recattn.migration.old_files import gone_names
from rllib_recattn.scope import ApiStack, Scope

# Settings that mean something on the old stack only.
_OLD_SETTINGS = ("model", "exploration_config", "preprocessor_pref", "remote_worker_envs")
_RUNNERS = "enable_env_runner_and_connector_v2"
# RLModules and learners, which came before the rest of the new stack and one by one, as Ray 2.3 to 2.9 switch them.
_MODULES = ("enable_rl_module_and_learner", "_enable_new_api_stack", "_enable_rl_module_api", "_enable_learner_api")
_FLAGS = (*_MODULES, _RUNNERS)
_PRESENT_FLAGS = (_MODULES[0], _RUNNERS)


def api_stack_of(content: Mapping[str, Any], scope: Scope) -> ApiStack:
    """Tell for which API stack an experiment is written.

    Args:
        content: The experiment, as the user wrote it.
        scope: That of the experiment; gets a note if the settings tell the stack, and not ``api_stack``.

    Returns:
        What ``api_stack`` says; without it ``new`` if RLlib's settings under ``config`` switch RLModules or learners
        on, all of the new stack or only these; else ``old`` if they switch the new stack off, or hold settings that
        only the old one has. A ``model`` block of this package works on both and is taken to mean the new one, which
        is also the only one of the algorithms that learn from recorded episodes.
    """
    said, config = content.get("api_stack"), content.get("config")
    if not isinstance(config, Mapping):
        return "old" if said == "old" else "new"
    if said is not None:
        for flag in config.keys() & {*_FLAGS} - {*_PRESENT_FLAGS}:
            scope.note(f"config.{flag} has no counterpart any more; `api_stack` says which of RLlib's API stacks runs")
        return "old" if said == "old" else "new"
    has_old_stack = abilities_of(content.get("run")).has_old_stack
    switched_on = [flag for flag in _MODULES if config.get(flag) is True]
    switched_off = [flag for flag in _FLAGS if config.get(flag) is False]
    if switched_on:
        if switched_off:
            scope.note(
                f"config.{switched_on[0]} without {switched_off[0]} was a part of RLlib's new API stack; this "
                "runs on all of it, as with `api_stack: new`"
            )
        elif switched_on[0] not in _PRESENT_FLAGS:
            scope.note(f"config.{switched_on[0]} means RLlib's new API stack, as with `api_stack: new`")
        return "new"
    if not switched_off and (config.get(_RUNNERS) is True or not has_old_stack):
        return "new"
    old = switched_off or [key for key in _OLD_SETTINGS if _means_something(key, config) and "model" not in content]
    if not old:
        return "new"
    scope.note(
        f"config.{old[0]} is of RLlib's old API stack, on which this runs, as with `api_stack: old`; "
        "`rllib convert` writes it for the new one"
    )
    return "old"


def without_half_switches(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the switches that :func:`api_stack_of` took for a part of the new API stack."""
    if not any(config.get(flag) is True for flag in _MODULES):
        return dict(config)
    return {key: value for key, value in config.items() if key not in _PRESENT_FLAGS or value is not False}


def _means_something(key: str, config: Mapping[str, Any]) -> bool:
    harmless = gone_names.ON_NEW_STACK[key].harmless if key in gone_names.ON_NEW_STACK else ()
    return config.get(key) is not None and config[key] not in (harmless or ())
