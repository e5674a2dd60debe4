"""Checks before training that the previous action and reward will be there."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.extension import has_piece
from rllib_recattn.rl_module.inputs.pieces import PreviousInputsToModule, PreviousInputsToTrainBatch
from rllib_recattn.rl_module.rllib_internals.env_runners import env_to_module
from rllib_recattn.rl_module.rllib_internals.learners import learner_connector


class PreviousInputsCallback(RLlibCallback):
    """Checks, before training, that the finished config still has what the previous action and reward need."""

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Check the pipelines.

        Raises:
            SettingsError: If a later setting took them away.
        """
        runners, learners = algorithm.env_runner_group, getattr(algorithm, "learner_group", None)
        if runners is not None and not all(runners.foreach_env_runner(_gives_previous_inputs)):
            raise SettingsError(_TAKEN_AWAY.format("env_runners(env_to_module_connector=…)"))
        if learners is not None and not all(r.get() for r in learners.foreach_learner(func=_trains_on_previous_inputs)):
            raise SettingsError(_TAKEN_AWAY.format("learners(learner_connector=…)"))


_TAKEN_AWAY = (
    "config.{}: replaced what use_model had set for use_prev_action and use_prev_reward; should be called before "
    "use_model, which keeps your pieces"
)


def _gives_previous_inputs(env_runner: Any) -> bool:
    # The local one of several EnvRunners has no environment, and nothing to act in.
    return env_runner.env is None or has_piece(env_to_module(env_runner), PreviousInputsToModule)


def _trains_on_previous_inputs(learner: Any) -> bool:
    pipeline = learner_connector(learner)
    return pipeline is None or has_piece(pipeline, PreviousInputsToTrainBatch)
