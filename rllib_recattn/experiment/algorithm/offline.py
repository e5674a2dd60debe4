"""Recorded episodes in an experiment: BC and MARWIL learn from them, and what samples may write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rllib_recattn.rl_module.recorded_episodes import require_packages
from rllib_recattn.scope import Scope

Settings = dict[str, Any]

_DEFAULTS = {
    "input_read_episodes": True,
    "dataset_num_iters_per_learner": 1,
    # RLlib asks for two CPUs beside the trial's, and waits forever where there are none.
    "map_batches_kwargs": {"concurrency": 1, "num_cpus": 0},
}
# What is read once does not change: whole episodes begin with the initial state, and a value target of MARWIL's is the
# return. RLlib's MARWIL reads everything again for each pass over it, with new processes, which takes seconds.
_READ_ONCE = {"materialize_data": False, "materialize_mapped_data": True}


def offline_settings(settings: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Add what reading episodes needs to the settings of BC or MARWIL.

    Args:
        settings: RLlib's settings by name, checked.
        scope: That of the settings; gets a problem for each path that does not exist, or one if there is none.

    Returns:
        The settings, with paths that do not depend on the working directory.
    """
    said = settings.get("input_")
    paths = [said] if isinstance(said, str) else list(said or [])
    if not paths or not all(isinstance(path, str) for path in paths):
        scope.at("input_").problem("should be the path, or a list of paths, of recorded episodes, as .../episodes")
        return dict(settings)
    elsewhere = settings.get("input_filesystem") is not None
    for path in paths:
        if not elsewhere and "://" not in path and not Path(path).expanduser().exists():
            scope.problem(
                f"input_ = {path!r}: there is no such file or directory; `rllib record RUN -o {path}` writes "
                "episodes of a trained agent there"
            )
    # Ray's workers have working directories of their own.
    absolute = [path if elsewhere or "://" in path else str(Path(path).expanduser().absolute()) for path in paths]
    read_once = {} if _READ_ONCE.keys() & settings.keys() else _READ_ONCE
    return {**_DEFAULTS, **read_once, **settings, "input_": absolute}


def recording_settings(settings: Mapping[str, Any], is_multi_agent: bool, scope: Scope) -> Settings:
    """Add what recording whole episodes needs to the settings of an algorithm that samples.

    Args:
        settings: RLlib's settings by name, checked; without ``output`` nothing changes.
        is_multi_agent: Whether there are several agents.
        scope: That of the settings; gets a problem for what cannot be recorded.
    """
    output = settings.get("output")
    if output is None:
        return dict(settings)
    if is_multi_agent:
        scope.at("output").problem("RLlib records single agents only; should be left out")
    if settings.get("output_write_episodes", True) and settings.get("batch_mode") == "truncate_episodes":
        scope.problem(
            "batch_mode = 'truncate_episodes': cuts episodes, of which whole ones are recorded; should be "
            "complete_episodes, or left out beside output"
        )
    with scope.collect():
        require_packages(f"{scope}.output")
    # Ray's workers have working directories of their own.
    path = output if "://" in output else str(Path(output).expanduser().absolute())
    return {"batch_mode": "complete_episodes", **settings, "output": path}
