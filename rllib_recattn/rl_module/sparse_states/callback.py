"""What keeping states apart needs of RLlib outside the connector pipelines."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.extension import has_piece
from rllib_recattn.rl_module.rllib_internals.env_runners import env_to_module, module_to_env, sampled_chunks
from rllib_recattn.rl_module.rllib_internals.learners import learner_connector, wrap_update
from rllib_recattn.rl_module.sparse_states.freed_chunks import freed
from rllib_recattn.rl_module.sparse_states.learner_shards import send_whole_rows
from rllib_recattn.rl_module.sparse_states.pieces import (
    AddKeptStatesToBatch,
    AddKeptStatesToTrainBatch,
    KeepStatesApart,
)


class SparseStatesCallback(RLlibCallback):
    """Checks, before training, that all pieces are there; shares episodes among learners; frees sampled chunks."""

    def on_algorithm_init(self, *, algorithm: Any, metrics_logger: Any = None, **kwargs: Any) -> None:
        """Check the pipelines, and have several learners get whole rows.

        Raises:
            SettingsError: If EnvRunners keep states apart, and the learners cannot read them.
        """
        runners = algorithm.env_runner_group
        learners = getattr(algorithm, "learner_group", None)
        if runners is None or learners is None:
            return
        keeping = runners.foreach_env_runner(_keeps_states_apart)
        reading = learners.foreach_learner(func=_reads_kept_states)
        if any(keeping) and not all(result.get() for result in reading):
            raise SettingsError(
                "config.learners(learner_connector=…) took away what use_model had put there to read recurrent "
                "states: should be called before use_model, which keeps the user's function"
            )
        if learners.is_remote:
            wrap_update(learners, send_whole_rows)

    def on_sample_end(self, *, env_runner: Any, metrics_logger: Any = None, samples: Any = None, **kwargs: Any) -> None:
        """Free the chunks of unfinished episodes of observations and states.

        ``SingleAgentEnvRunner`` (env/single_agent_env_runner.py) and ``MultiAgentEnvRunner`` keep all of them, with
        all their data, until the episode ends, to report its length, return and duration, and to hand them to
        ``on_episode_end`` as ``prev_episode_chunks``. An episode that never ends would fill the memory.
        """
        for chunks in sampled_chunks(env_runner):
            chunks[:] = map(freed, chunks)


def _keeps_states_apart(env_runner: Any) -> bool:
    return has_piece(env_to_module(env_runner), AddKeptStatesToBatch) and has_piece(
        module_to_env(env_runner), KeepStatesApart
    )


def _reads_kept_states(learner: Any) -> bool:
    pipeline = learner_connector(learner)
    return pipeline is None or has_piece(pipeline, AddKeptStatesToTrainBatch)
