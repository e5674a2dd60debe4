"""The experiment: all that a file and the command line say, validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from rllib_recattn.errors import Settings
from rllib_recattn.experiment.definition.domain import Domain
from rllib_recattn.experiment.definition.imports import ImportEntry
from rllib_recattn.experiment.definition.logging_block import LoggingBlock
from rllib_recattn.experiment.definition.schedulers import Population, Scheduler
from rllib_recattn.experiment.definition.tune_block import TuneBlock
from rllib_recattn.migration.old_files.api_stack import ApiStack
from rllib_recattn.rl_module.recurrence import RecurrenceSettings


class ModelBlock(RecurrenceSettings):
    """The model of the agent, one of this package's.

    Attributes:
        name: Its name in the catalog.
        settings: Those of the model's own settings that the file gives.
    """

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)


class MultiAgentBlock(Settings):
    """Several policies, and the agents that each decides for.

    Attributes:
        policies: A policy's name → the model of its own; None: the experiment's.
        mapping: An agent's id, or a glob pattern of ids, → the name of its policy; see
            :class:`~rllib_recattn.rl_module.policy_mapping.PolicyMapping`.
        policies_to_train: The policies that learn; None: all of them.
        count_steps_by: Whether batch sizes count steps of the environment or of agents.
    """

    policies: dict[str, ModelBlock | None]
    mapping: dict[str, str]
    policies_to_train: tuple[str, ...] | None = None
    count_steps_by: Literal["env_steps", "agent_steps"] = "env_steps"


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

    def for_trials(self, scheduler: Scheduler) -> CheckpointBlock:
        """Return what holds for an experiment of several trials, where it does not say: enough to be resumed.

        A population goes on from copies of other trials' checkpoints, which must still be there by then.
        """
        defaults = {"frequency": 5, "num_to_keep": 10 if isinstance(scheduler, Population) else 2}
        unsaid = {key: value for key, value in defaults.items() if key not in self.model_fields_set}
        return self.model_copy(update=unsaid)


class Experiment(Settings):
    """One training run, as validated as it can be without loading RLlib.

    Attributes:
        path: The file that describes it.
        folder: The absolute path of its folder, in which what it imports may lie; None in runs of older versions.
        name: Its name, which also names the directory of its results.
        run: The name of the algorithm.
        api_stack: RLlib's API stack that it is written for.
        env: The id of the Gymnasium environment, ``package:namespace/Name-v0`` or shorter, or the path of a class,
            or of a function that makes environments, ``package.module:Name``.
        stop: Metric → the value at which training ends; whichever is reached first.
        config: RLlib's settings under their present names, as plain data.
        model: The agent's model; None: RLlib builds one from ``config["model_config"]``, or on the old API stack from
            ``config["model"]``.
        multi_agent: The policies, where there are several agents.
        callbacks: RLlib callbacks beside those of this package.
        restore: The checkpoint from whose state training begins.
        checkpoint: When checkpoints are written.
        logging: Where results go beside Tune's files.
        storage_path: The absolute path of the directory in which results are stored.
        max_failures: How often training restarts from its last checkpoint after an error.
        tune: How many trials there are, and who chooses their values and ends them.
        space: Key path → what Tune chooses the value there from. `model` and `config` hold the first value of each.
        content: The experiment as the user wrote it, search domains included.
        notes: Remarks for the user, one sentence each, such as on old names that were translated.
    """

    path: Path
    folder: Path | None = None
    name: str
    run: str
    api_stack: ApiStack = "new"
    env: str
    stop: dict[str, float]
    config: dict[str, Any] = Field(default_factory=dict)
    model: ModelBlock | None = None
    multi_agent: MultiAgentBlock | None = None
    callbacks: tuple[ImportEntry, ...] = ()
    restore: Path | None = None
    checkpoint: CheckpointBlock = Field(default_factory=CheckpointBlock)
    logging: LoggingBlock = Field(default_factory=LoggingBlock)
    storage_path: Path
    max_failures: int = Field(default=0, ge=-1)
    tune: TuneBlock = Field(default_factory=TuneBlock)
    space: dict[str, Domain] = Field(default_factory=dict)
    content: dict[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    # A trial reads its experiment from JSON.
    model_config = ConfigDict(ser_json_inf_nan="constants")

    @property
    def is_sweep(self) -> bool:
        """Whether there are several trials."""
        return bool(self.space) or self.tune.num_samples > 1

    @property
    def where(self) -> str:
        """The file and the name in it, with which error messages begin."""
        return f"{self.path}: {self.name}"
