"""Loggers beside Tune's own records: what goes wrong in them is said, and training goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune import Callback

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.reports.text import report_console
from rllib_recattn.experiment.tune_internals.loggers import take_over_files

_LONGEST_REASON = 300


class SideLogger(Callback):
    """Passes everything on to a logger, and survives its errors once training has begun.

    A service may be away for a while, so that the logger is called again next time; meanwhile it lacks results, which
    are in ``result.json`` all the same. Tune's loggers for CSV and JSON should not be wrapped: they are the record from
    which runs are resumed and reported on.

    Args:
        name: What messages call it.
        logger: The logger.
    """

    def __init__(self, name: str, logger: Callback):
        self._name = name
        self._logger = logger
        self._has_complained = False
        take_over_files(self, logger)

    def setup(self, **info: Any) -> None:
        """Prepare for a run.

        Raises:
            SettingsError: If the logger cannot be used: nothing has been trained that could be lost.
        """
        self._has_complained = False
        try:
            self._logger.setup(**info)
        except SettingsError:
            raise
        except Exception as error:
            raise SettingsError(f"logging.{self._name} cannot begin: {error_line(error)}") from error

    def on_step_begin(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_step_begin, info)

    def on_step_end(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_step_end, info)

    def on_trial_start(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_trial_start, info)

    def on_trial_restore(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_trial_restore, info)

    def on_trial_save(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_trial_save, info)

    def on_trial_result(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_trial_result, info)

    def on_trial_complete(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_trial_complete, info)

    def on_trial_recover(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_trial_recover, info)

    def on_trial_error(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_trial_error, info)

    def on_checkpoint(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_checkpoint, info)

    def on_experiment_end(self, **info: Any) -> None:
        """Pass on."""
        self._try(self._logger.on_experiment_end, info)

    def get_state(self) -> dict[str, Any] | None:
        """Return what a resumed experiment has to know."""
        return self._logger.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with what `get_state` returned."""
        self._logger.set_state(state)

    def _try(self, call: Callable[..., None], info: dict[str, Any]) -> None:
        try:
            call(**info)
        except Exception as error:
            if not self._has_complained:
                self._has_complained = True
                report_console().print(
                    f"logging.{self._name} failed, training goes on: {error_line(error)} (said once; results are in "
                    "result.json all the same)",
                    style="yellow",
                )


def error_line(error: BaseException) -> str:
    """Say in one short line what went wrong."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"
