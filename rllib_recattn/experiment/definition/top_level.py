"""The top level of an experiment: the keys that a file may have there, and what the command line says instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from rllib_recattn.errors import Settings
from rllib_recattn.experiment.definition.paths import DEFAULT_STORAGE_PATH
from rllib_recattn.experiment.definition.tune_block import TUNE_KEYS
from rllib_recattn.migration.old_files import gone_names, old_names
from rllib_recattn.migration.old_files.api_stack import ApiStack


@dataclass(frozen=True)
class Overrides:
    """What the command line says instead of the file; None: nothing.

    Attributes:
        stop: Criteria that are added to the file's, or take the place of those for the same metrics.
        storage_path: The directory in which results are stored.
        checkpoint_frequency: Iterations between two checkpoints.
        checkpoint_at_end: Whether the end of training writes a checkpoint.
        restore: The checkpoint from whose state training begins.
        num_samples: How many trials are drawn from the search domains.
    """

    stop: Mapping[str, Any] = field(default_factory=dict)
    storage_path: str | None = None
    checkpoint_frequency: int | None = None
    checkpoint_at_end: bool | None = None
    restore: str | None = None
    num_samples: int | None = None


class ExperimentFile(Settings):
    """The top level of an experiment in a file; each block is validated by itself.

    Attributes:
        run: The algorithm.
        api_stack: RLlib's new API stack, or the old one of Ray 2.40 and before.
        env: The environment's id, as Gymnasium has it, or ``package.module:name`` for a class or function.
        stop: Metrics, and the values at which training ends.
        config: RLlib's own settings, ``env_config`` for the environment's arguments among them.
        model: The model, by its ``name``, and its settings; None: RLlib's own, which have no memory.
        multi_agent: Policies of several agents.
        callbacks: ``package.module:Class`` of RLlib callbacks, a mapping with its arguments, or a list of them.
        restore: A checkpoint, a run or a trial, or what ``rllib export`` wrote, from whose state training begins.
        checkpoint: When checkpoints are written.
        logging: Loggers beside CSV and JSON files.
        storage_path: The directory in which a run's directory is made.
        max_failures: How often a trial that failed goes on from its newest checkpoint; -1: always.
        tune: How many trials, and what compares, ends and chooses them.
    """

    run: str
    api_stack: ApiStack = "new"
    env: str
    stop: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] | None = None
    multi_agent: dict[str, Any] | None = None
    callbacks: str | dict[str, Any] | list[str | dict[str, Any]] | None = None
    restore: str | None = None
    checkpoint: dict[str, Any] = Field(default_factory=dict)
    logging: dict[str, Any] = Field(default_factory=dict)
    storage_path: str = DEFAULT_STORAGE_PATH
    max_failures: int = Field(default=0, ge=-1)
    tune: dict[str, Any] = Field(default_factory=dict)


KNOWN_KEYS = frozenset(
    [
        *ExperimentFile.model_fields,
        *(*TUNE_KEYS, *old_names.CHECKPOINT),
        *(*old_names.TOP_LEVEL, *gone_names.TOP_LEVEL),
    ]
)
"""The keys at the top level of an experiment, old ones included."""
