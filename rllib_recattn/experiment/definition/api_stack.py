"""Which of RLlib's API stacks an experiment is written for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rllib_recattn.experiment.definition import old_names

ApiStack = Literal["new", "old"]

# Settings that mean something on the old stack only.
_OLD_SETTINGS = ("model", "exploration_config", "preprocessor_pref", "remote_worker_envs")
_PRESENT_FLAGS = ("enable_rl_module_and_learner", "enable_env_runner_and_connector_v2")
_FLAGS = (
    *_PRESENT_FLAGS,
    "_enable_rl_module_api",
    "_enable_learner_api",
    "_enable_new_api_stack",
)


def api_stack_of(content: Mapping[str, Any], where: str, notes: list[str]) -> ApiStack:
    """Tell for which API stack an experiment is written.

    Args:
        content: The experiment, as the user wrote it.
        where: File and name, for the notes.
        notes: Gets a sentence if the settings tell the stack, and not ``api_stack``.

    Returns:
        What ``api_stack`` says; without it ``old`` if RLlib's settings under ``config`` switch the new stack off, or
        hold settings that only the old one has and do not switch the new one on. A ``model`` block of this package
        works on both and is taken to mean the new one.
    """
    said = content.get("api_stack")
    if said is not None:
        return "old" if said == "old" else "new"
    config = content.get("config")
    if not isinstance(config, Mapping):
        return "new"
    switched_off = [flag for flag in _FLAGS if config.get(flag) is False]
    if not switched_off and any(config.get(flag) is True for flag in _PRESENT_FLAGS):
        return "new"
    old = switched_off or [key for key in _OLD_SETTINGS if config.get(key) is not None and "model" not in content]
    if not old:
        return "new"
    notes.append(
        f"{where}: config.{old[0]} is of RLlib's old API stack, on which this runs, as with `api_stack: old`; "
        "`rllib convert` writes it for the new one"
    )
    return "old"


def config_names(stack: ApiStack) -> Mapping[str, str]:
    """Return the old names of settings that have another name on a stack."""
    return old_names.CONFIG if stack == "new" else old_names.OLD_STACK_CONFIG
