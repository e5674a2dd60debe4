"""The ``logging`` block: where results go beside the files that Tune writes."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from rllib_recattn.errors import Settings, SettingsError, validate
from rllib_recattn.experiment.definition.experiment_file import is_block
from rllib_recattn.scope import Scope

# What nobody should keep in a file that others read, and where it belongs.
_SECRETS = {
    "api_key": "set the environment variable WANDB_API_KEY, run `wandb login`, or name a file with api_key_file",
    "tracking_token": "set the environment variable MLFLOW_TRACKING_TOKEN",
}


class WandbBlock(Settings):
    """Weights & Biases: arguments of Ray's ``WandbLoggerCallback`` and of ``wandb.init``.

    Attributes:
        project: The project; None: the environment's ``WANDB_PROJECT``, else the experiment's name.
        group: What the runs of this experiment are grouped under; None: the name of the run directory.
        entity: The user or team; None: the one that is logged in.
        name: The name of each run; None: the trial's name.
        notes: A description.
        tags: Tags of each run.
        job_type: Their type.
        mode: ``offline`` writes files for ``wandb sync``, ``disabled`` nothing; None: the environment's
            ``WANDB_MODE``, else ``online``.
        api_key_file: A file with the API key in its first line.
        excludes: Metrics and settings that are not sent.
        log_config: Whether the settings are sent again with every result.
        upload_checkpoints: Whether checkpoints are uploaded.
        upload_timeout: Seconds to wait for uploads at the end.
    """

    project: str | None = None
    group: str | None = None
    entity: str | None = None
    name: str | None = None
    notes: str | None = None
    tags: list[str] | None = None
    job_type: str | None = None
    mode: Literal["online", "offline", "disabled"] | None = None
    api_key_file: str | None = None
    excludes: list[str] | None = None
    log_config: bool = False
    upload_checkpoints: bool = False
    upload_timeout: int = Field(default=1800, ge=0)


class MlflowBlock(Settings):
    """MLflow: arguments of Ray's ``MLflowLoggerCallback``.

    Attributes:
        experiment_name: MLflow's experiment; None: the environment's ``MLFLOW_EXPERIMENT_NAME``, else this
            experiment's name.
        tracking_uri: The tracking server or database; None: the environment's ``MLFLOW_TRACKING_URI``, else
            ``mlflow.db`` beside the results.
        registry_uri: The model registry; None: MLflow's choice.
        tags: Tags of each run.
        save_artifact: Whether a trial's directory, checkpoints included, is stored at its end.
    """

    experiment_name: str | None = None
    tracking_uri: str | None = None
    registry_uri: str | None = None
    tags: dict[str, str] | None = None
    save_artifact: bool = False

    @field_validator("tracking_uri", "registry_uri")
    @classmethod
    def _without_password(cls, uri: str | None, info: ValidationInfo) -> str | None:
        if uri is not None and urlsplit(uri).password is not None:
            # The value itself is not shown: messages end up in logs.
            raise SettingsError(
                f"{info.field_name}: a password does not belong in a file: set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD"
            )
        return uri


class LoggingBlock(Settings):
    """Loggers beside Tune's CSV and JSON files.

    Attributes:
        tensorboard: Whether each trial gets TensorBoard's event files.
        wandb: Weights & Biases; None: not used.
        mlflow: MLflow; None: not used.
    """

    tensorboard: bool = True
    wandb: WandbBlock | None = None
    mlflow: MlflowBlock | None = None


_SERVICES: dict[str, type[Settings]] = {"wandb": WandbBlock, "mlflow": MlflowBlock}


def check_logging(block: Mapping[str, Any], where: str) -> LoggingBlock:
    """Validate a logging block, and whether the packages that it needs are there.

    Args:
        block: What the user wrote.
        where: File and key path of the block.

    Returns:
        The block.

    Raises:
        SettingsError: If a setting is unknown, wrong or a secret, or a package is missing.
    """
    scope = Scope(where)
    for service in _SERVICES:
        if block.get(service) is not None:
            with scope.collect():
                _check_service(service, block[service], f"{where}.{service}")
    with scope.collect():
        validate(LoggingBlock, {key: value for key, value in block.items() if key not in _SERVICES}, where)
    scope.raise_problems()
    return validate(LoggingBlock, block, where)


def _check_service(service: str, settings: Any, where: str) -> None:
    if not is_block(settings):
        # A text may be a key or a password, which is not repeated.
        said = "" if isinstance(settings, str) else f" = {settings!r}"
        raise SettingsError(f"{where}{said}: should be a mapping from its settings to values, which may be {{}}")
    for key in _SECRETS.keys() & settings.keys():
        raise SettingsError(f"{where}.{key}: a secret does not belong in a file: {_SECRETS[key]}")
    validate(_SERVICES[service], settings, where)
    if not _is_installed(service):
        raise SettingsError(f"{where}: needs a package that is missing: pip install 'rllib-recattn[{service}]'")


def _is_installed(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    # Both services write directories of their own name, which Python takes for packages without code.
    return spec is not None and spec.origin is not None
