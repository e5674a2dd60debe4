"""Settings that Ray has taken away: which values of them nothing is lost with, and what to write for the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rllib_recattn.scope import Scope


class Gone(NamedTuple):
    """A setting that there is no more.

    Attributes:
        harmless: The values that ask for what happens anyway; None: all of them do.
        advice: What to write for another value, in which ``{value}`` is that one; empty: such a value is looked at as
            one of the settings that there are.
        note: What to say of a harmless one; empty: nothing.
    """

    harmless: tuple[Any, ...] | None = None
    advice: str = ""
    note: str = "is not needed any more"


_NEW_STACK = Gone(note="")  # `api_stack_of` reads them, and says so
_TENSORFLOW = Gone(note="was about TensorFlow; this package runs on PyTorch")
_DATA = "say what is to be reported with `logging:`"

TOP_LEVEL = {
    "fail_fast": Gone((False,), "write `max_failures: 0`"),
    "pass_criteria": Gone(note="said when a test of RLlib passed; 'stop' alone ends training"),
    "progress_reporter": Gone((None,), "leave it out"),
    "resources_per_trial": Gone(),
    "reuse_actors": Gone((False,), "RLlib's trials cannot share actors"),
    "sync_config": Gone(({}, None), "write the bucket's address into storage_path, as in s3://bucket/folder"),
    "trial_resources": Gone(),
    "verbose": Gone(),
}

CONFIG = {
    "_AlgorithmConfig__prior_exploration_config": Gone(),
    "_disable_action_flattening": Gone((False,)),
    "_disable_execution_plan_api": Gone(),
    "_disable_initialize_loss_from_dummy_batch": Gone((False,)),
    "_enable_learner_api": _NEW_STACK,
    "_enable_new_api_stack": _NEW_STACK,
    "_enable_rl_module_api": _NEW_STACK,
    "_load_only_minibatch_onto_device": Gone(),
    "_lr_vf": Gone(note="was a rate of TensorFlow's second optimizer; one optimizer trains policy and value function"),
    "_separate_vf_optimizer": Gone(note="was TensorFlow's; one optimizer trains policy and value function"),
    "_tf_policy_handles_more_than_one_loss": _TENSORFLOW,
    "_use_trajectory_view_api": Gone(),
    "after_train_step": Gone((None,), "name a class in the 'callbacks' block, with on_train_result"),
    "always_attach_evaluation_results": Gone(),
    "auto_wrap_old_gym_envs": Gone(),
    "disable_env_checking": Gone((False, True), note="is not needed any more; `rllib validate` tries the environment"),
    "eager": _TENSORFLOW,
    "eager_max_retraces": _TENSORFLOW,
    "eager_tracing": _TENSORFLOW,
    "enable_async_evaluation": Gone(note="is how evaluation works now"),
    "enable_connectors": Gone(),
    "env_task_fn": Gone((None,), "name a class in the 'callbacks' block that sets tasks in on_train_result"),
    "evaluation_interval": Gone((0,), note="= 0 means never, as if it was left out"),
    "fake_sampler": Gone((False,)),
    "horizon": Gone(
        (None,),
        "write env_config: {{max_episode_steps: {value}}} for an environment with an id of Gymnasium's; one of your "
        "own should truncate its episodes itself",
    ),
    "in_evaluation": Gone(),
    "input_evaluation": Gone(([], None), "leave it out; evaluation_interval: 10 measures in the environment"),
    "local_tf_session_args": _TENSORFLOW,
    "logger_config": Gone((None, {}), _DATA),
    "logger_creator": Gone((None,), _DATA),
    "monitor": Gone((False, None), "film the agent with rllib evaluate --video"),
    "minibatch_size": Gone(("auto",), note="= auto is what happens if it is left out"),
    "multiagent": Gone(({}, {"policies": {}})),
    "no_done_at_end": Gone(note="is not needed any more; truncated episodes are not taken for finished ones"),
    "num_data_loader_buffers": Gone(),
    "policy_map_cache": Gone(),
    "record_env": Gone((False, None), "film the agent with rllib evaluate --video"),
    "replay_ratio": Gone(
        (0, None),
        "write replay_proportion: N beside `api_stack: old`, for N batches that are replayed for each new one; on the "
        "new API stack APPO has circular_buffer_iterations_per_batch",
    ),
    "sample_async": Gone(note="is not needed any more; EnvRunners sample while learners learn in APPO and IMPALA"),
    "shuffle_sequences": Gone((True, False), note="is not needed any more; sequences are always shuffled"),
    "simple_optimizer": Gone(),
    "soft_horizon": Gone((False,), "leave it out; an environment is reset at the end of an episode"),
    "sync_filters_on_rollout_workers_timeout_s": Gone(),
    "synchronize_filters": Gone((True,), "write update_worker_filter_stats: false"),
    "tf_session_args": _TENSORFLOW,
    "use_pytorch": Gone((True,), "write framework: torch; this package runs on PyTorch alone"),
    "vf_share_layers": Gone(
        (False, -1),
        "write it into the model's settings, model: {{vf_share_layers: true}}",
    ),
    "vtrace_drop_last_ts": Gone(note="is not needed any more; no time step is dropped"),
    "worker_cls": Gone((None,), "leave it out"),
}

ON_NEW_STACK = {
    "enable_tf1_exec_eagerly": Gone((False,), note=_TENSORFLOW.note),
    "exploration_config": Gone(({}, {"type": "StochasticSampling"}), note="is not needed; RLModules sample actions"),
    "input": Gone(("sampler",), note="= sampler is what happens if it is left out"),
    "optimizer": Gone(({},)),
    "preprocessor_pref": Gone(("deepmind",), note="is not needed any more; there are no preprocessors"),
    "remote_env_batch_wait_ms": Gone((0,)),
    "remote_worker_envs": Gone((False,)),
}
"""Likewise, settings that the old API stack still has."""

ON_OLD_STACK = {
    "num_aggregation_workers": Gone(note="is of the new API stack now, where batches are put together by actors"),
    "num_learner_workers": Gone((0,)),
}
"""Likewise, settings that the new API stack has."""

_WITH_CRITIC = Gone((True,), "leave it out; V-trace needs the value function")
_OFFLINE = {
    "learning_starts": Gone(),
    "replay_buffer_size": Gone(note="is not needed any more; Ray Data shuffles the recorded episodes"),
    "replay_sequence_length": Gone(),
    "use_gae": Gone((True,), "leave it out"),
}

OF_ALGORITHM = {
    "APPO": {"use_critic": _WITH_CRITIC},
    "BC": _OFFLINE,
    "IMPALA": {"use_critic": _WITH_CRITIC},
    "MARWIL": _OFFLINE,
}
"""Likewise, settings that other algorithms still have."""

NOTHING_IF_NULL = (
    *("callbacks", "exploration_config", "model", "multiagent", "preprocessor_pref"),
    *("custom_evaluation_function", "env", "env_runner_cls", "observation_fn", "rl_module_spec", "sample_collector"),
)
"""Settings of ``config`` that old files have as null, as if they were not there."""


def config_gone(stack: str, run: Any) -> dict[str, Gone]:
    """Return the settings of ``config`` that an algorithm has no more on one of RLlib's API stacks."""
    of_algorithm = OF_ALGORITHM.get(run, {}) if isinstance(run, str) else {}
    return {**CONFIG, **(ON_NEW_STACK if stack == "new" else ON_OLD_STACK), **of_algorithm}


def all_gone() -> dict[str, Gone]:
    """Return the settings of ``config`` that some algorithm has no more on one of RLlib's API stacks."""
    of_algorithms = {name: gone for each in OF_ALGORITHM.values() for name, gone in each.items()}
    return {**ON_OLD_STACK, **ON_NEW_STACK, **of_algorithms, **CONFIG}


def without_gone(block: Mapping[str, Any], gone: Mapping[str, Gone], scope: Scope) -> dict[str, Any]:
    """Leave out the settings that there are no more.

    Args:
        block: What the user wrote.
        gone: Those settings.
        scope: That of the block; gets a problem for each value that meant something, and a note on each other setting
            that is left out.

    Returns:
        The rest of the block.
    """
    rest = dict(block)
    for key in sorted(block.keys() & gone.keys()):
        harmless, advice, note = gone[key]
        if harmless is None or block[key] in harmless:
            if note:
                scope.note(f"{key!r} {note}")
        elif advice:
            right = advice.format(value=block[key])
            scope.problem(f"{key} = {block[key]!r}: there is no such setting any more: {right}")
        else:
            continue
        del rest[key]
    return rest
