"""All variants of an experiment, tried before it starts: a wrong option must not show in the hundredth trial."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.algorithm.config_keys import config_keys
from rllib_recattn.experiment.definition.domain import SEEDS, Domain
from rllib_recattn.experiment.definition.load import load_variant
from rllib_recattn.experiment.definition.schedulers import Population
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.scope import Scope

_MOST_COMBINATIONS = 100
_MOST_PROBLEMS = 10


def build_variants(experiment: Experiment) -> list[AlgorithmConfig]:
    """Build the configs of an experiment's variants: all combinations of options, and both ends of each range.

    Where the options have more than a hundred combinations, each is tried by itself, with the first ones of the others.

    Args:
        experiment: What to run.

    Returns:
        The validated configs; the one of the first variant comes first.

    Raises:
        SettingsError: With a line for each thing that is wrong, and the choices that lead to it.
    """
    first = build_config(experiment)
    scope = Scope(experiment.where)
    _check_population(experiment, first, scope)
    scope.raise_problems()
    configs = [first]
    seen: set[str] = set()
    for choices in _probes(experiment.space):
        try:
            configs.append(build_config(load_variant(experiment, choices)))
        except SettingsError as error:
            for line in str(error).splitlines():
                if line not in seen and len(seen) < _MOST_PROBLEMS:
                    seen.add(line)
                    scope.take([f"{line} (with {_text(choices)})"])
    scope.raise_problems()
    return configs


def build_variant(experiment: Experiment, choices: Mapping[str, Any]) -> tuple[Experiment, AlgorithmConfig]:
    """Validate and build one variant of an experiment; in each process once for the same choices.

    Args:
        experiment: The experiment.
        choices: Key path → what Tune chose, see :func:`load_variant`.

    Returns:
        The variant, and a config of its own.

    Raises:
        SettingsError: With a line for each thing that is wrong with the variant.
    """
    variant, config = _built(experiment.model_dump_json(), json.dumps(choices, sort_keys=True))
    return variant, config.copy(copy_frozen=False)


@functools.lru_cache(maxsize=32)
def _built(experiment: str, choices: str) -> tuple[Experiment, AlgorithmConfig]:
    variant = load_variant(Experiment.model_validate_json(experiment), json.loads(choices))
    return variant, build_config(variant)


def _probes(space: Mapping[str, Domain]) -> Iterator[dict[str, Any]]:
    """Yield the choices of all variants but the first, as far as they differ from that."""
    searched = {key_path: domain for key_path, domain in space.items() if domain.kind != SEEDS}
    options = {key_path: domain.labels for key_path, domain in searched.items() if domain.is_categorical}
    if math.prod(map(len, options.values())) <= _MOST_COMBINATIONS:
        for combination in itertools.islice(itertools.product(*options.values()), 1, None):
            choices = dict(zip(options, combination, strict=True))
            yield {key_path: choice for key_path, choice in choices.items() if choice != options[key_path][0]}
    else:
        for key_path, labels in options.items():
            yield from ({key_path: label} for label in labels[1:])
    for key_path, domain in searched.items():
        if not domain.is_categorical:
            yield from ({key_path: probe} for probe in domain.probes[1:])


def _check_population(experiment: Experiment, config: AlgorithmConfig, scope: Scope) -> None:
    """Refuse what population-based training cannot change in an agent that has begun to learn."""
    scheduler = experiment.tune.scheduler
    if not isinstance(scheduler, Population):
        return
    if experiment.api_stack == "old":
        scope.at("tune", "scheduler").problem(f"{scheduler.name} works on RLlib's new API stack only")
        return
    keys = config_keys(type(config))
    for key_path, domain in experiment.space.items():
        block, _, setting = key_path.partition(".")
        name = setting.partition(".")[0].partition("[")[0]
        changes = block == "config" and name in keys and keys[name].method == "training"
        if domain.kind != SEEDS and not changes:
            scope.at(key_path).problem(
                f"{scheduler.name} changes settings while an agent learns, which this "
                "one does not allow: its weights, environment and processes stay as they are; only what "
                "config.training(…) takes can change, such as lr, entropy_coeff or num_epochs"
            )


def _text(choices: Mapping[str, Any]) -> str:
    return ", ".join(f"{key_path} = {json.dumps(choice, ensure_ascii=False)}" for key_path, choice in choices.items())
