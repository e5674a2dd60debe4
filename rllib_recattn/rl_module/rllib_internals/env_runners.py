"""What of EnvRunners, of groups of them and of algorithms is not public."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.execution.rollout_ops import synchronous_parallel_sample
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS

from rllib_recattn.private_names import import_private, private, set_private, wrap

_SEED = "to let environments that start again play other levels"
_TELL_LOST = "to find out which EnvRunners are gone, hang or have given up"

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


def env_to_module(env_runner: Any) -> Any:
    """Return the pipeline between the environment and the module; None for an EnvRunner that is not RLlib's."""
    return _pipeline(env_runner, "_env_to_module")


def module_to_env(env_runner: Any) -> Any:
    """Return the pipeline between the module and the environment; None for an EnvRunner that is not RLlib's."""
    return _pipeline(env_runner, "_module_to_env")


def _pipeline(env_runner: Any, name: str) -> Any:
    return private(env_runner, name, "to see which connectors there are") if _is_rllibs(env_runner) else None


def _is_rllibs(env_runner: Any) -> bool:
    return isinstance(env_runner, SingleAgentEnvRunner | MultiAgentEnvRunner)


def set_seed(env_runner: Any, seed: int | None) -> None:
    """Set the seed of the next first reset of an EnvRunner's environments; None: they go on by themselves."""
    set_private(env_runner, "_seed", seed, _SEED)


def reset_with(env_runner: Any, seed: int) -> None:
    """Have an EnvRunner reset its environments with a seed before it samples again."""
    set_seed(env_runner, seed)
    set_private(env_runner, "_needs_initial_reset", True, _SEED)


def ongoing_episodes(env_runner: Any) -> list[Any]:
    """Return the episode of each environment; None where there is none."""
    episodes: list[Any] = private(env_runner, "_ongoing_episodes", "to say in which step an environment has failed")
    return episodes


def sampled_chunks(env_runner: Any) -> Iterable[list[SingleAgentEpisode | MultiAgentEpisode]]:
    """Return, for each unfinished episode, the list of its chunks that were sampled, which is the EnvRunner's own.

    RLlib's EnvRunners keep them for metrics; those of others keep none.
    """
    if not _is_rllibs(env_runner):
        return ()
    chunks: dict[str, list[Any]] = private(
        env_runner, "_ongoing_episodes_for_metrics", "to free the chunks of episodes that never end"
    )
    return chunks.values()


def steps_of(env_runner: Any, episodes: list[SingleAgentEpisode]) -> list[dict[str, Any]]:
    """Return the rows, one for each step, that an EnvRunner which records writes for episodes.

    RLlib's method appends them to what the EnvRunner is yet to write, which stays empty here.
    """
    why = "to record steps in RLlib's form"
    private(env_runner, "_map_episodes_to_data", why)(episodes)
    rows: list[dict[str, Any]] = private(env_runner, "_samples", why)
    set_private(env_runner, "_samples", [], why)
    return rows


def seed_env_of_old_stack(env: Any, seed: int, worker_index: int, index: int) -> None:
    """Seed an environment of a RolloutWorker as RLlib's old API stack does when it makes one."""
    seed_env = import_private("ray.rllib.evaluation.rollout_worker", "_update_env_seed_if_necessary", _SEED)
    seed_env(env, seed, worker_index, index)


def _manager(group: Any) -> Any:
    return private(group, "_worker_manager", _TELL_LOST)


def env_runner_ids(group: Any) -> list[int]:
    """Return the indices of a group's EnvRunners in processes of their own, those that are gone included."""
    return list(private(_manager(group), "actor_ids", _TELL_LOST)())


def env_runner_actor(group: Any, index: int) -> Any:
    """Return the actor of an EnvRunner."""
    return private(_manager(group), "actors", _TELL_LOST)()[index]


def count_as_lost(group: Any, index: int) -> None:
    """Have a group restore an EnvRunner as it does with those that are gone."""
    private(_manager(group), "set_actor_state", _TELL_LOST)(index, healthy=False)


def wrap_set_state(algorithm: Any, wrapper: Wrapper) -> None:
    """Hear of states that an algorithm is given: no callback of RLlib's tells of all."""
    wrap(algorithm, "set_state", wrapper, _SEED)


def wrap_restore_env_runners(algorithm: Any, wrapper: Wrapper) -> None:
    """Take part in how an algorithm restores EnvRunners before each training step: no callback can."""
    wrap(algorithm, "restore_env_runners", wrapper, "to wait for EnvRunners that are gone, and to replace hung ones")


def wrap_cleanup(algorithm: Any, wrapper: Wrapper) -> None:
    """Do something before an algorithm ends its actors: RLlib waits without end for those that are not there."""
    wrap(algorithm, "cleanup", wrapper, "to end an algorithm some of whose EnvRunners are gone")


def wrap_restore_from_path(algorithm: Any, wrapper: Wrapper) -> None:
    """Take part in how an algorithm loads a checkpoint."""
    wrap(algorithm, "restore_from_path", wrapper, "to let BC and MARWIL go on from a checkpoint")


def sample_of_all(algorithm: Any) -> list[Any]:
    """Return what all EnvRunners of an algorithm sample, with their metrics counted, as ``DQN.training_step`` does."""
    episodes, results = synchronous_parallel_sample(
        worker_set=algorithm.env_runner_group,
        concat=True,
        sample_timeout_s=algorithm.config.sample_timeout_s,
        _uses_new_env_runners=True,
        _return_metrics=True,
    )
    algorithm.metrics.aggregate(results, key=ENV_RUNNER_RESULTS)
    return list(episodes)
