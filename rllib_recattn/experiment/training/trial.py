"""The trials of Ray Tune: RLlib's algorithms, told the choices of a trial and not a whole config.

In a sweep Tune's config of a trial is flat: ``{"config.lr": 0.001, "model": "lstm", "experiment": <a path>}``. So
search algorithms see no nesting, and Tune's files show what was chosen and nothing else. A trial builds its config
from that by itself; checkpoints hold the whole config, as of any algorithm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.tune.experiment import Trial

from rllib_recattn.checkpoint_pickles import name_classes
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.variants import build_variant
from rllib_recattn.experiment.definition.search import BLOCKS
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.training.checked_checkpoints import CheckedCheckpoints
from rllib_recattn.rl_module.algorithms import ALGORITHMS
from rllib_recattn.rl_module.restore import use_own_learning_rate

EXPERIMENT_KEY = "experiment"
"""The key under which a trial is told where its experiment is written."""

_KEY_PATH = re.compile(rf"({'|'.join(BLOCKS)})([.\[].+)?")


def choices_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices in the config that Tune gives a trial of a sweep: key path → number or label."""
    return {key: value for key, value in config.items() if _KEY_PATH.fullmatch(key)}


def trial_directory_name(trial: Trial) -> str:
    """Name the directory of a trial after its number, ``trial_00000``, whatever chooses its values.

    By default the whole config goes into the name.
    """
    # The tag begins with the number of the trial. It counts from 0 for random choices, from 1 for search algorithms.
    begins = re.match(r"\d+", trial.experiment_tag or "")
    number = int(begins[0]) if begins else 0
    is_counted_on = re.fullmatch(r".+_\d{5}", trial.trial_id) is None
    return f"trial_{number - is_counted_on:05d}"


class _TrialOfAnExperiment(CheckedCheckpoints):
    """Makes a trial out of an algorithm.

    Args:
        config: What Tune gives a trial of a sweep, or a ready config, as of a run that is no sweep and of checkpoints.
        env: As of the algorithm.
        **kwargs: As of the algorithm.
    """

    _choices: dict[str, Any] | None = None

    def __init__(self, config: Any = None, env: Any = None, **kwargs: Any):
        if _is_flat(config):
            self._choices = choices_of(config)
            config = _variant_config(config, kwargs.get("storage"))
        super().__init__(config, env, **kwargs)

    @classmethod
    def default_resource_request(cls, config: Any) -> Any:
        """Return what a trial needs; of an invalid variant, what the first variant needs, since it fails by itself."""
        if _is_flat(config):
            try:
                config = _variant_config(config)
            except SettingsError:
                config = _variant_config({EXPERIMENT_KEY: config[EXPERIMENT_KEY]})
        return super().default_resource_request(config)

    def get_auto_filled_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what Tune adds to each result; as the config, the choices."""
        filled = super().get_auto_filled_metrics(*args, **kwargs)
        return filled if self._choices is None or "config" not in filled else {**filled, "config": self._choices}

    def save_checkpoint(self, checkpoint_dir: str) -> Any:
        """Write a checkpoint into a local directory, of the algorithm that this is a trial of."""
        returned = super().save_checkpoint(checkpoint_dir)
        algorithm = next(algorithm for algorithm, trial in _TRIALS.items() if isinstance(self, trial))
        name_classes(Path(checkpoint_dir), algorithm)
        return returned

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Load a checkpoint, and let this trial's own learning rate hold from the first update on.

        Population-based training goes on from the checkpoint of another trial, and the optimizer's state in it has the
        learning rate of that one, which RLlib would correct only after an iteration.
        """
        super().load_checkpoint(checkpoint_dir)
        if self._choices is not None and getattr(self, "learner_group", None) is not None:
            use_own_learning_rate(self)


def _as_trial(algorithm: type[Algorithm]) -> type[Algorithm]:
    of = {"__module__": __name__, "__doc__": f"{algorithm.__name__} as a trial."}
    return type(f"{algorithm.__name__}Trial", (_TrialOfAnExperiment, algorithm), of)


_TRIALS = {each.algorithm: _as_trial(each.algorithm) for each in ALGORITHMS}
# Workers find a class by its name in this module.
globals().update({trial.__name__: trial for trial in _TRIALS.values()})


def trial_class(algorithm: type[Algorithm]) -> type[Algorithm]:
    """Return the trial that is made of an algorithm; a trial, and any other algorithm, is its own."""
    return _TRIALS.get(algorithm, algorithm)


def _is_flat(config: Any) -> bool:
    return isinstance(config, Mapping) and EXPERIMENT_KEY in config


def _variant_config(config: Mapping[str, Any], storage: Any = None) -> AlgorithmConfig:
    path = Path(config[EXPERIMENT_KEY])
    if storage is not None and not path.is_file():
        path = Path(storage.experiment_fs_path, path.name)  # the run directory has been moved
    experiment = Experiment.model_validate_json(path.read_text(encoding="utf-8"))
    return build_variant(experiment, choices_of(config))[1]
