"""What of Tune's trainables is not public, and the undocumented methods of Tune's that classes of ours replace."""

from __future__ import annotations

from typing import Any

from rllib_recattn.private_names import Override, private

OVERRIDES = (
    Override(
        "ray.tune.trainable.trainable:Trainable",
        "_report_class_trainable_checkpoint",
        "to write checksums into checkpoints, and to tell when the disk is full",
    ),
    Override(
        "ray.tune.logger:LoggerCallback",
        "_restore_from_remote",
        "to keep the results of the last iterations when a trial starts again",
    ),
    Override(
        "ray.air.integrations.wandb:WandbLoggerCallback",
        "_start_logging_actor",
        "to give Weights & Biases a trial's name and all of its settings",
    ),
    Override(
        "ray.tune.schedulers:PopulationBasedTraining",
        "_get_new_config",
        "to let a trial keep its seed in population-based training",
    ),
    Override(
        "ray.tune.schedulers.pb2:PB2", "_get_new_config", "to let a trial keep its seed in population-based bandits"
    ),
)


def storage_of(trainable: Any) -> Any:
    """Return where Tune keeps the files of a trial; None for an algorithm that is not trained by Tune."""
    return private(trainable, "_storage", "to write checksums into checkpoints where they are kept")
