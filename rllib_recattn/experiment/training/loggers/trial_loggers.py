"""Tune's loggers as an experiment asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from rllib_recattn.experiment.algorithm.resolved import resolved_content
from rllib_recattn.experiment.algorithm.variants import build_variant
from rllib_recattn.experiment.definition.logging_block import MlflowBlock
from rllib_recattn.experiment.definition.schedulers import Population
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.records.trials import flatten
from rllib_recattn.experiment.training.loggers.record_loggers import CsvLogger, JsonLogger
from rllib_recattn.experiment.training.loggers.side_logger import SideLogger
from rllib_recattn.experiment.training.loggers.tensorboard_logger import TensorBoardLogger
from rllib_recattn.experiment.training.trial import choices_of

_MLFLOW_EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
_MLFLOW_URI = "MLFLOW_TRACKING_URI"
_LOGGED = ("run", "api_stack", "env", "model", "config", "stop")


class TrialSettings:
    """Gives all settings of a trial, defaults included.

    Args:
        experiment: The experiment that the trial is one variant of.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment

    def __call__(self, trial: Trial) -> dict[str, Any]:
        """Return key path → value."""
        # A run of one trial is given a whole config, and no choices.
        choices = choices_of(trial.config) if self._experiment.is_sweep else {}
        content = resolved_content(*build_variant(self._experiment, choices))
        return {**dict(_flat_settings(content)), **choices}


def logger_callbacks(experiment: Experiment) -> list[Callback]:
    """Make the loggers of an experiment.

    Tune must not add its own: see ``TUNE_DISABLE_AUTO_CALLBACK_LOGGERS``.

    Returns:
        CSV and JSON as Tune writes them, and what the ``logging`` block asks for.
    """
    block = experiment.logging
    callbacks: list[Callback] = [CsvLogger(), JsonLogger()]
    if block.tensorboard:
        callbacks.append(SideLogger("tensorboard", TensorBoardLogger()))
    # The packages of both services are extras, and slow to import.
    if block.wandb is not None:
        from rllib_recattn.experiment.training.loggers.wandb_logger import WandbLogger

        arguments = block.wandb.model_dump(exclude_none=True)
        if not os.environ.get("WANDB_PROJECT"):
            arguments.setdefault("project", experiment.name)
        callbacks.append(SideLogger("wandb", WandbLogger(TrialSettings(experiment), **arguments)))
    if block.mlflow is not None:
        from rllib_recattn.experiment.training.loggers.mlflow_logger import MlflowLogger

        arguments = _mlflow_arguments(experiment, block.mlflow)
        changing = tuple(experiment.space) if isinstance(experiment.tune.scheduler, Population) else ()
        callbacks.append(SideLogger("mlflow", MlflowLogger(TrialSettings(experiment), changing, **arguments)))
    return callbacks


def check_services(experiment: Experiment) -> None:
    """See that the services that an experiment logs to will take its results, before Ray starts.

    Raises:
        SettingsError: If Weights & Biases is to be used online and there is no API key, or MLflow's server does not
            answer.
    """
    block = experiment.logging
    place = f"{experiment.where}.logging"
    if block.wandb is not None:
        from rllib_recattn.experiment.training.loggers.wandb_logger import check_credentials

        check_credentials(block.wandb.mode, block.wandb.api_key_file, f"{place}.wandb")
    if block.mlflow is not None:
        from rllib_recattn.experiment.training.loggers.mlflow_server import check_server

        arguments = _mlflow_arguments(experiment, block.mlflow)
        name = arguments.get("experiment_name") or os.environ[_MLFLOW_EXPERIMENT]
        uri = arguments.get("tracking_uri")
        if uri is None:
            check_server(os.environ[_MLFLOW_URI], name, _MLFLOW_URI)
        else:
            check_server(uri, name, f"{place}.mlflow.tracking_uri")


def _mlflow_arguments(experiment: Experiment, block: MlflowBlock) -> dict[str, Any]:
    arguments = block.model_dump(exclude_none=True)
    if not os.environ.get(_MLFLOW_EXPERIMENT):
        arguments.setdefault("experiment_name", experiment.name)
    if not os.environ.get(_MLFLOW_URI):
        arguments.setdefault("tracking_uri", f"sqlite:///{experiment.storage_path / 'mlflow.db'}")
    return arguments


def _flat_settings(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _LOGGED:
        if key in content:
            yield from flatten(key, content[key])
