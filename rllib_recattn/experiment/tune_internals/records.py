"""What Tune writes of a run into ``experiment_state-….json``, and the trials of a run that is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.train import Checkpoint

from rllib_recattn.private_names import MissingNameError, import_private, optional_private, private, set_private
from rllib_recattn.tested_versions import tested_versions

_MEND = "to mend the checkpoints that Tune's record of a run lists"


def unpickled(stored: dict[str, str]) -> Any:
    """Return an object that Tune has written into JSON; see ``ray.tune.utils.serialization.TuneFunctionEncoder``."""
    return cloudpickle.loads(bytes.fromhex(stored["value"]))


def pickled(value: Any) -> dict[str, str]:
    """Return what Tune writes of an object into JSON."""
    return {"_type": "CLOUDPICKLE_FALLBACK", "value": cloudpickle.dumps(value).hex()}


def listed_checkpoints(manager: Any) -> list[Any]:
    """Return the checkpoints that a trial's manager knows, each with the result that it was reported with."""
    results: list[Any] = private(manager, "_checkpoint_results", _MEND)
    return results


def list_checkpoints(manager: Any, results: list[Any]) -> None:
    """Let a trial's manager know other checkpoints."""
    set_private(manager, "_checkpoint_results", results, _MEND)


def latest_checkpoint(manager: Any) -> Any:
    """Return the checkpoint, with its result, that a trial goes on from; None if there is none."""
    return private(manager, "_latest_checkpoint_result", _MEND)


def set_latest_checkpoint(manager: Any, result: Any) -> None:
    """Let a trial go on from another checkpoint."""
    set_private(manager, "_latest_checkpoint_result", result, _MEND)


def checkpoint_result(path: Path, filesystem: Any, result: dict[str, Any]) -> Any:
    """Make what a trial's manager knows of a checkpoint."""
    make = import_private("ray.train._internal.session", "_TrainingResult", _MEND)
    return make(Checkpoint(str(path), filesystem), result)


def decisions_on_trials(record: dict[str, Any]) -> dict[str, Any]:
    """Return what Tune's record says is to be done with trials after their next checkpoint: id → decision.

    Raises:
        MissingNameError: If the version of Tune that wrote the record says it in another way.
    """
    name = "_cached_trial_decisions"
    try:
        decisions: dict[str, Any] = record["runner_data"][name]
    except KeyError as error:
        raise MissingNameError(
            f"Ray Tune's record of a run has no {name}, which rllib_recattn needs to let trials that failed go on "
            f"({tested_versions('ray')})"
        ) from error
    return decisions


@contextmanager
def forgetting_encoded_texts() -> Iterator[None]:
    """Keep Tune from remembering the text of every object that it has ever encoded, for a message of its debug log.

    Each time it writes its record of a run, after every iteration, these are new: 50 KB that never go.
    """
    from ray.tune.utils import serialization

    name = "log_once"
    log_once = optional_private(serialization, name, "to keep long runs from filling the memory with texts of a log")
    if log_once is None:
        yield
        return
    setattr(serialization, name, lambda key: False)
    try:
        yield
    finally:
        setattr(serialization, name, log_once)


def trials_of(results: Any) -> list[Any]:
    """Return the trials of the results that ``Tuner.fit`` returns, of which the public ones say less."""
    analysis = private(results, "_experiment_analysis", "to tell how trials ended")
    return list(private(analysis, "trials", "to tell how trials ended"))
