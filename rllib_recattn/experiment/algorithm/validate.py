"""All that is wrong with an experiment file, without starting anything."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.config_keys import check_settings
from rllib_recattn.experiment.algorithm.variants import build_variants
from rllib_recattn.experiment.definition.experiment_file import read_experiment_file
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.reader import ExperimentReader
from rllib_recattn.experiment.definition.search import fill, find_domains, values_of, without_domains
from rllib_recattn.experiment.definition.top_level import KNOWN_KEYS, Overrides
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES
from rllib_recattn.scope import Scope


def problems_in(path: Path) -> list[str]:
    """Check an experiment file, RLlib's settings and all variants of a sweep included.

    RLlib's settings are looked at whatever else is wrong, as far as the file can be read.

    Args:
        path: The file.

    Returns:
        A line for each problem: file, key path, and what would be right.
    """
    scope = Scope(str(path))
    with scope.collect():
        build_variants(load_experiment(path))
        return []
    with contextlib.suppress(SettingsError):  # they are known already
        _check_config(path, scope)
    return list(scope.problems)


def _check_config(path: Path, scope: Scope) -> None:
    name, content = read_experiment_file(path, KNOWN_KEYS)
    place = Scope(f"{path}: {name}")
    space = find_domains(content, place)
    reader = ExperimentReader(place, fill(content, values_of(space, {})), Overrides())
    config_class = CONFIG_CLASSES.get(str(reader.content.get("run")))
    if config_class is not None:
        # What is wrong with a search domain is known already, and as a value it would be wrong once more.
        settings = without_domains(reader.config())
        config = scope.called(f"{place}.config")
        config.stack = place.stack
        check_settings(config_class(), settings, config)
