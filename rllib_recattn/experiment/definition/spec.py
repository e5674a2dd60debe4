"""The experiment: all that a file and the command line say, validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from rllib_recattn.errors import Settings
from rllib_recattn.experiment.definition.api_stack import ApiStack
from rllib_recattn.rl_module.recurrence import RecurrenceSettings


class ModelBlock(RecurrenceSettings):
    """The model of the agent, one of this package's.

    Attributes:
        name: Its name in the catalog.
        settings: Those of the model's own settings that the file gives.
    """

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class CheckpointBlock(Settings):
    """When checkpoints are written and how many are kept.

    Attributes:
        frequency: Iterations between two checkpoints; 0: none while training.
        at_end: Whether the end of training writes one.
        num_to_keep: How many to keep, the newest ones; None: all.
    """

    frequency: int = Field(default=0, ge=0)
    at_end: bool = True
    num_to_keep: int | None = Field(default=None, gt=0)


class Experiment(Settings):
    """One training run, as validated as it can be without loading RLlib.

    Attributes:
        path: The file that describes it.
        name: Its name, which also names the directory of its results.
        run: The name of the algorithm.
        api_stack: RLlib's API stack that it is written for.
        env: The id of the Gymnasium environment, ``package:namespace/Name-v0`` or shorter, or the path of a class,
            ``package.module.Class``.
        stop: Metric → the value at which training ends; whichever is reached first.
        config: RLlib's settings under their present names, as plain data.
        model: The agent's model; None: RLlib builds one from ``config["model_config"]``, or on the old API stack from
            ``config["model"]``.
        checkpoint: When checkpoints are written.
        storage_path: The absolute path of the directory in which results are stored.
        max_failures: How often training restarts from its last checkpoint after an error.
        notes: Remarks for the user, one sentence each, such as on old names that were translated.
    """

    path: Path
    name: str
    run: str
    api_stack: ApiStack = "new"
    env: str
    stop: dict[str, float]
    config: dict[str, Any] = Field(default_factory=dict)
    model: ModelBlock | None = None
    checkpoint: CheckpointBlock = Field(default_factory=CheckpointBlock)
    storage_path: Path
    max_failures: int = Field(default=0, ge=-1)
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The file and the name in it, with which error messages begin."""
        return f"{self.path}: {self.name}"
