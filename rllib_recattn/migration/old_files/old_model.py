"""A ``model`` dict of RLlib's old API stack in an experiment for the new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rllib_recattn.errors import SettingsError
from rllib_recattn.migration.model_dict.checks import without_ignored, wrong_settings
from rllib_recattn.migration.model_dict.losses import Losses
from rllib_recattn.migration.model_dict.networks import Networks, networks_of
from rllib_recattn.migration.model_dict.old_defaults import ALL_DEFAULTS
from rllib_recattn.scope import Scope

# Classes of a user's own, without which the agent would be another one.
_OWN = ("custom_action_dist", "custom_model", "custom_preprocessor")


def translate_model(model: Mapping[str, Any], run: str, observation_space: Any, scope: Scope) -> Networks:
    """Translate a ``model`` dict as ``rllib convert`` does.

    Args:
        model: The dict, as plain data.
        run: The name of the algorithm.
        observation_space: What the agent observes, which decides the kind of network.
        scope: That of the dict; gets a note on what it is read as, and one on each setting that is left out.

    Returns:
        The ``model`` block, or the ``model_config``.

    Raises:
        SettingsError: With a line for each setting that is unknown, has the wrong type, or names a class that the new
            stack has no use for.
    """
    model = without_ignored(model)
    wrong = wrong_settings(model, ALL_DEFAULTS, scope.where)
    if wrong:
        raise SettingsError("\n".join(wrong))
    losses = Losses()
    networks = networks_of(model, run, observation_space, losses)
    experiment = scope.called(scope.where.removesuffix(".config.model"))
    own = [f"{experiment}.{line}" for line in losses.lines if _is_own(line)]
    if own:
        raise SettingsError("\n".join(f"{line}; it is an RLModule's, see config.module_class" for line in own))
    name, block = ("model", networks.block) if networks.block is not None else ("model_config", networks.model_config)
    scope.note(f"is of RLlib's old API stack; read as {name}: {_in_one_line(block)}")
    for line in losses.lines:
        key, _, rest = line.partition(": ")
        experiment.at(key).note(f"{rest}: left out")
    return networks


def _is_own(line: str) -> bool:
    return line.split(":")[0].rpartition(".")[2] in _OWN


def _in_one_line(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_in_one_line(each)}' for key, each in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)
