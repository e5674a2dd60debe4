"""Have a config survive faults where that is right, and end with a clear message where it is not."""

from __future__ import annotations

from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.rl_module.extension import add_callback
from rllib_recattn.rl_module.faults.callback import FaultCallback
from rllib_recattn.rl_module.faults.env_runners import MendingMultiAgentEnvRunner, MendingSingleAgentEnvRunner

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)

FAULT_TOLERANCE: dict[str, Any] = {
    # An environment that fails is made again, and its EnvRunner goes on with new episodes.
    "restart_failed_sub_environments": True,
    # RLlib's 100 are for clusters whose machines come and go; an environment that fails four times in a row is broken.
    "num_consecutive_env_runner_failures_tolerance": 3,
    # Training waits that long, before each step of it, for EnvRunners that are gone. With RLlib's 30 s the others idle.
    "env_runner_health_probe_timeout_s": 5,
    # Training ends when no EnvRunner was there for that long. A machine takes minutes to start.
    "env_runner_restore_timeout_s": 600,
}
"""What this package sets of RLlib's ``config.fault_tolerance(…)`` where a user does not say otherwise."""


def survive_faults(config: ConfigT) -> ConfigT:
    """Have EnvRunners mend and report faults, and the algorithm watch over its EnvRunners.

    RLlib ends the process of an EnvRunner whose environment fails, says nothing of the reason, and does so forever.
    It waits forever, too, for an environment that hangs and for a machine that does not come back. Here

    - an environment that raises an error, hangs (a step or reset that takes longer than ``sample_timeout_s``) or
      returns a NaN is made again, and ends training with a message if it fails more than
      ``num_consecutive_env_runner_failures_tolerance`` times without a complete sample in between;
    - an EnvRunner that cannot be interrupted is replaced;
    - training waits for EnvRunners when all of them are gone, ``env_runner_restore_timeout_s`` at most.

    Args:
        config: A config on RLlib's new API stack. Changed in place. An ``env_runner_cls`` of your own is left alone.

    Returns:
        `config`, for chaining.
    """
    if config.env_runner_cls is None and config.output is None:
        config.env_runners(
            env_runner_cls=MendingMultiAgentEnvRunner if config.is_multi_agent else MendingSingleAgentEnvRunner
        )
    return add_callback(config, FaultCallback)
