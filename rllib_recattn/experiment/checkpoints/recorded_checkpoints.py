"""The checkpoints in Ray Tune's record of a run, set right after a hard stop.

The record is written after the checkpoints, once a second. A process that is killed in between leaves one that lists
checkpoints which are deleted by now, and not those that came after. Tune would try to go on from the former, and give
later checkpoints the numbers of the latter.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rllib_recattn.checkpoint_files import iteration_of
from rllib_recattn.experiment.records.metrics import ITERATION, read_results
from rllib_recattn.experiment.records.run_directory import complete_checkpoints, is_complete
from rllib_recattn.experiment.tune_internals.records import (
    checkpoint_result,
    latest_checkpoint,
    list_checkpoints,
    listed_checkpoints,
    pickled,
    set_latest_checkpoint,
    unpickled,
)


def mend_recorded_checkpoints(record: dict[str, Any], run_dir: Path) -> bool:
    """Let a record list the checkpoints that there are, and say whether it did not.

    A trial then goes on from its newest checkpoint that is no newer than its last stored result.

    Args:
        record: What is in Tune's ``experiment_state-….json``; changed in place.
        run_dir: The run directory.
    """
    mended = [_mended(json.loads(trial), json.loads(metadata), run_dir) for trial, metadata in record["trial_data"]]
    for index, pair in enumerate(mended):
        if pair is not None:
            record["trial_data"][index] = tuple(map(json.dumps, pair))
    return any(pair is not None for pair in mended)


def _mended(trial: dict[str, Any], metadata: dict[str, Any], run_dir: Path) -> tuple[Any, Any] | None:
    """Return what the record should say of a trial; None: as it is."""
    storage, manager = unpickled(trial["storage"]), unpickled(metadata["checkpoint_manager"])
    directory = run_dir / trial["relative_logdir"]
    there = {path.name: path for path in sorted(complete_checkpoints(directory))}
    listed = listed_checkpoints(manager)

    def is_own(result: Any) -> bool:
        return Path(result.checkpoint.path).parent.name == directory.name

    def exists(result: Any) -> bool:
        # The run directory may have been moved; population-based training goes on from other trials' checkpoints.
        path = Path(result.checkpoint.path)
        return is_complete(run_dir / path.parent.name / path.name)

    own_names = {Path(result.checkpoint.path).name for result in listed if is_own(result)}
    latest = latest_checkpoint(manager)
    later = [name for name in there if name not in own_names and name > max(own_names, default="")]
    is_lost = latest is not None and not exists(latest)
    if all(map(exists, listed)) and not later and not is_lost:
        return None
    results = read_results(directory)
    added = [
        checkpoint_result(
            Path(storage.trial_fs_path, name),
            storage.storage_filesystem,
            next((each for each in reversed(results) if each[ITERATION] == iteration_of(there[name])), {}),
        )
        for name in later
    ]
    mended = [*filter(exists, listed), *added]
    list_checkpoints(manager, mended)
    if is_lost or latest is None or is_own(latest):
        own = {Path(result.checkpoint.path).name: result for result in mended if is_own(result)}
        # Results are written as seldom as the record: one that goes on after the last of them leaves no gap.
        last = max((each[ITERATION] for each in results), default=0)
        reported = [name for name in own if (iteration_of(there[name]) or 0) <= last]
        set_latest_checkpoint(manager, own[max(reported) if reported else min(own)] if own else None)
    if there:
        number = int(re.sub(r"\D", "", max(there)))
        storage.current_checkpoint_index = max(storage.current_checkpoint_index, number)
    trial["storage"], metadata["checkpoint_manager"] = pickled(storage), pickled(manager)
    return trial, metadata
