"""Weights & Biases: a run per trial, with all of its settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.experiment import Trial

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.training.trial import trial_directory_name
from rllib_recattn.experiment.tune_internals.loggers import end_wandb_runs

_MODE = "WANDB_MODE"
_KEY = "WANDB_API_KEY"


class WandbLogger(WandbLoggerCallback):
    """Ray's W&B logger, which sees only what the search has chosen, made to log every setting.

    Args:
        settings: Gives a trial's settings: key path → value.
        arguments: Those of ``WandbLoggerCallback`` and ``wandb.init``.
    """

    def __init__(self, settings: Callable[[Trial], dict[str, Any]], **arguments: Any):
        # A resumed trial goes on with its run.
        super().__init__(**{"resume": "allow", **arguments})
        self._settings = settings

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Prepare for a run; called by Tune before the first iteration."""
        mode = self.kwargs.get("mode")
        before = os.environ.get(_MODE)
        if mode is not None:
            # Whether it needs an API key the callback reads from the environment alone.
            os.environ[_MODE] = mode
        try:
            super().setup(*args, **kwargs)
        finally:
            if before is not None:
                os.environ[_MODE] = before
            else:
                os.environ.pop(_MODE, None)

    def _start_logging_actor(self, trial: Trial, exclude_results: list[str], **arguments: Any) -> None:
        excluded = set(self.excludes)
        settings = {key: value for key, value in self._settings(trial).items() if key not in excluded}
        # Not where Tune collects a trial's files at first: it copies them for the last time before W&B is done.
        directory = Path(trial.storage.trial_fs_path)
        directory.mkdir(parents=True, exist_ok=True)
        changed = {
            "name": self.kwargs.get("name") or trial_directory_name(trial),
            "dir": str(directory),
            "config": settings,
        }
        super()._start_logging_actor(trial, exclude_results, **{**arguments, **changed})

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Wait until everything has been sent."""
        # Those that were interrupted, or that an error elsewhere cut short, have not ended: their processes would wait
        # for more results, and this one for them until `upload_timeout` is over.
        end_wandb_runs(self)
        super().on_experiment_end(trials, **info)


def check_credentials(mode: str | None, api_key_file: str | None, where: str) -> None:
    """See that Weights & Biases will let us in, before training starts.

    Raises:
        SettingsError: If it is to be used online and there is no API key.
    """
    import wandb

    if (mode or os.environ.get(_MODE, "online")) in ("offline", "disabled"):
        return
    if api_key_file is not None:
        if not os.path.isfile(os.path.expanduser(api_key_file)):
            raise SettingsError(f"{where}.api_key_file = {api_key_file!r}: there is no such file")
        return
    if not os.environ.get(_KEY) and not wandb.login(prompt=False):
        raise SettingsError(
            f"{where}: no API key: set {_KEY}, run `wandb login`, or write `mode: offline` and use `wandb sync` later"
        )
