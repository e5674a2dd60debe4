"""Ray Tune's record of a run, from which it is resumed, mended where a full disk, a kill or an error has spoilt it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.recorded_checkpoints import mend_recorded_checkpoints
from rllib_recattn.experiment.tune_internals.records import decisions_on_trials

_RECORDS = "experiment_state-*.json"


def mend_run_state(run_dir: Path) -> None:
    """Make sure that Tune goes on with a run as it should.

    Tune copies its record over the one in the run directory, which a full disk or a kill in that moment leaves cut
    short; Tune then waits forever. It writes it on the local disk first, beside the logs of Ray's session, where it
    is found again. And of a trial that failed while it wrote a checkpoint the record says that it is to be stopped
    after the next one, as if it had reached its end: that is taken out. After a hard stop it lists checkpoints that
    are deleted by now: see `mend_recorded_checkpoints`.

    Args:
        run_dir: The run directory.

    Raises:
        SettingsError: If the record cannot be read, and there is no other.
    """
    path = max(run_dir.glob(_RECORDS), key=lambda path: path.name, default=None)
    if path is None:
        return
    record = _read(path)
    is_whole = record is not None
    if record is None:
        copies = rays_sessions().glob(f"session_*/artifacts/*/{run_dir.name}/driver_artifacts/{path.name}")
        record = next((copy for copy in map(_read, copies) if copy is not None), None)
    if record is None:
        raise SettingsError(
            f"--resume: {str(path)!r}, Ray Tune's record of the run, is cut short, and there is no copy of it on this "
            "machine; begin a new run from the newest checkpoint, with `restore: …` in the experiment's file"
        )
    forgot, mended = _forget_stops_of_failed_trials(record), mend_recorded_checkpoints(record, run_dir)
    if forgot or mended or not is_whole:
        replacement = path.with_name(f".{path.name}")
        replacement.write_text(json.dumps(record), encoding="utf-8")
        replacement.replace(path)


def rays_sessions() -> Path:
    """Return the directory where Ray keeps its sessions on this machine, if it was not told another as it started."""
    named = ("RAY_TMPDIR", "TMPDIR") if sys.platform == "linux" else ("RAY_TMPDIR",)
    return Path(next((os.environ[name] for name in named if name in os.environ), "/tmp"), "ray")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return record


def _forget_stops_of_failed_trials(record: dict[str, Any]) -> bool:
    decisions = decisions_on_trials(record)
    trials = (json.loads(trial) for trial, _ in record["trial_data"])
    failed = {trial["trial_id"] for trial in trials if trial["status"] == "ERROR"}
    for trial_id in failed & decisions.keys():
        del decisions[trial_id]
    return bool(failed)
