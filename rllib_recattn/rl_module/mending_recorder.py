"""An EnvRunner that records episodes and survives faults: it brings together what does not know of each other."""

from __future__ import annotations

from typing import TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.rl_module.faults.env_runners import FaultMendingMixin
from rllib_recattn.rl_module.fixes.recording import RecordingEnvRunner

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


class MendingRecordingEnvRunner(FaultMendingMixin, RecordingEnvRunner):
    """Records each episode once, mends its environment after a fault, and gives up with a message, also on writing."""


def survive_while_recording(config: ConfigT) -> ConfigT:
    """Have a config that records with this package's EnvRunner survive faults as the others do; returns it."""
    if config.env_runner_cls is RecordingEnvRunner:
        config.env_runners(env_runner_cls=MendingRecordingEnvRunner)
    return config
