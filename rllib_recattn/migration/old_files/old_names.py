"""Names that older versions of Ray used, and what they are called now (checked against Ray 2.60)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from typing import Any

from rllib_recattn.scope import ApiStack, Scope

TOP_LEVEL = {
    "local_dir": "storage_path",
    "checkpoint_config": "checkpoint",
}

CHECKPOINT = {
    "checkpoint_frequency": "frequency",
    "checkpoint_freq": "frequency",
    "checkpoint_at_end": "at_end",
    "keep_checkpoints_num": "num_to_keep",
}

CONFIG = {
    "_fake_accs": "_fake_gpus",
    "collect_metrics_timeout": "metrics_episode_collection_timeout_s",
    "create_env_on_driver": "create_env_on_local_worker",
    "custom_resources_per_worker": "custom_resources_per_env_runner",
    "delay_between_worker_restarts_s": "delay_between_env_runner_restarts_s",
    "entropy_coeff_schedule": "entropy_coeff",
    "evaluation_num_episodes": "evaluation_duration",
    "evaluation_num_workers": "evaluation_num_env_runners",
    "ignore_worker_failures": "ignore_env_runner_failures",
    "input": "input_",
    "lambda": "lambda_",
    "lr_schedule": "lr",
    "max_requests_in_flight_per_aggregator_worker": "max_requests_in_flight_per_aggregator_actor",
    "max_requests_in_flight_per_sampler_worker": "max_requests_in_flight_per_env_runner",
    "max_num_worker_restarts": "max_num_env_runner_restarts",
    "max_sample_requests_in_flight_per_worker": "max_requests_in_flight_per_env_runner",
    "metrics_smoothing_episodes": "metrics_num_episodes_for_smoothing",
    "mini_batch_size_per_learner": "minibatch_size",
    "min_iter_time_s": "min_time_s_per_iteration",
    "min_sample_timesteps_per_reporting": "min_sample_timesteps_per_iteration",
    "min_time_s_per_reporting": "min_time_s_per_iteration",
    "min_train_timesteps_per_reporting": "min_train_timesteps_per_iteration",
    "model_config_dict": "model_config",
    "num_accs": "num_gpus_per_learner",
    "num_accs_per_worker": "num_gpus_per_env_runner",
    "num_aggregation_workers": "num_aggregator_actors_per_learner",
    "num_consecutive_worker_failures_tolerance": "num_consecutive_env_runner_failures_tolerance",
    "num_cpus_for_driver": "num_cpus_for_main_process",
    "num_cpus_for_local_worker": "num_cpus_for_main_process",
    "num_cpus_per_learner_worker": "num_cpus_per_learner",
    "num_cpus_per_worker": "num_cpus_per_env_runner",
    "num_envs_per_worker": "num_envs_per_env_runner",
    "num_gpus": "num_gpus_per_learner",
    "num_gpus_per_learner_worker": "num_gpus_per_learner",
    "num_gpus_per_worker": "num_gpus_per_env_runner",
    "num_multi_acc_tower_stacks": "num_multi_gpu_tower_stacks",
    "num_learner_workers": "num_learners",
    "num_rollout_workers": "num_env_runners",
    "num_sgd_iter": "num_epochs",
    "num_workers": "num_env_runners",
    "recreate_failed_env_runners": "restart_failed_env_runners",
    "recreate_failed_workers": "restart_failed_env_runners",
    "sample_batch_size": "rollout_fragment_length",
    "sgd_minibatch_size": "minibatch_size",
    "target_update_frequency": "target_network_update_freq",
    "timesteps_per_iteration": "min_sample_timesteps_per_iteration",
    "validate_workers_after_construction": "validate_env_runners_after_construction",
    "worker_health_probe_timeout_s": "env_runner_health_probe_timeout_s",
    "worker_restore_timeout_s": "env_runner_restore_timeout_s",
}

# What the new stack calls otherwise and the old one still has.
OLD_STACK_CONFIG = {
    **{old: new for old, new in CONFIG.items() if old not in ("entropy_coeff_schedule", "lr_schedule", "num_gpus")},
    "num_accs": "num_gpus",
}

# Beside the setting that they are called now, these counted more than it, or less.
_COUNT_MORE = ("entropy_coeff_schedule", "lr_schedule")
_COUNT_LESS = ("num_accs", "num_gpus")

_OLD_METRICS = {
    "episode_len_mean": "env_runners/episode_len_mean",
    "episode_reward_max": "env_runners/episode_return_max",
    "episode_reward_mean": "env_runners/episode_return_mean",
    "episode_reward_min": "env_runners/episode_return_min",
    "episode_return_max": "env_runners/episode_return_max",
    "episode_return_mean": "env_runners/episode_return_mean",
    "episode_return_min": "env_runners/episode_return_min",
}

STOP = {
    **_OLD_METRICS,
    **{f"sampler_results/{old}": new for old, new in _OLD_METRICS.items()},
    **{f"env_runners/{old}": new for old, new in _OLD_METRICS.items() if "reward" in old},
    **{f"evaluation/{old}": f"evaluation/{new}" for old, new in _OLD_METRICS.items()},
    **{f"evaluation/sampler_results/{old}": f"evaluation/{new}" for old, new in _OLD_METRICS.items()},
    **{f"evaluation/env_runners/{old}": f"evaluation/{new}" for old, new in _OLD_METRICS.items() if "reward" in old},
    "episodes_total": "env_runners/num_episodes_lifetime",
    "info/num_env_steps_sampled": "num_env_steps_sampled_lifetime",
    "info/num_env_steps_trained": "learners/__all_modules__/num_env_steps_trained_lifetime",
    "num_env_steps_sampled": "num_env_steps_sampled_lifetime",
    "num_env_steps_trained": "learners/__all_modules__/num_env_steps_trained_lifetime",
    "timesteps_total": "num_env_steps_sampled_lifetime",
}

OLD_STACK_STOP = {
    **{old: new for old, new in STOP.items() if old != "episodes_total"},
    "num_env_steps_trained": "num_env_steps_trained",
    "info/num_env_steps_trained": "num_env_steps_trained",
}

OLD_STACK_STOP_METRICS = frozenset(
    [
        "iterations_since_restore",
        "num_env_steps_sampled_lifetime",
        "num_env_steps_trained",
        "time_since_restore",
        "time_total_s",
        "training_iteration",
        *(
            f"{place}env_runners/{metric}"
            for place in ("", "evaluation/")
            for metric in (
                *("episode_len_mean", "episode_return_max", "episode_return_mean", "episode_return_min"),
                *("num_episodes", "policy_reward_mean/default_policy", "success_rate"),
            )
        ),
        *(
            f"info/learner/default_policy/learner_stats/{metric}"
            for metric in ("cur_lr", "entropy", "kl", "policy_loss", "total_loss", "vf_explained_var", "vf_loss")
        ),
    ]
)
"""The metrics in the results of RLlib's old API stack that can end training."""

# Old RLlib's own examples were registered by scripts, or lay elsewhere.
_EXAMPLES = "ray.rllib.examples.envs.classes"
ENVIRONMENTS = {
    "RepeatAfterMeEnv": f"{_EXAMPLES}.repeat_after_me_env.RepeatAfterMeEnv",
    "StatelessCartPole": f"{_EXAMPLES}.stateless_cartpole.StatelessCartPole",
    "stateless_cartpole": f"{_EXAMPLES}.stateless_cartpole.StatelessCartPole",
    "CartPole-v0": "CartPole-v1",
    "FrozenLake-v0": "FrozenLake-v1",
    "FrozenLake8x8-v0": "FrozenLake8x8-v1",
    "Pendulum-v0": "Pendulum-v1",
}
MODULES = {"ray.rllib.examples.env.": f"{_EXAMPLES}."}


# Gymnasium has the first versions no more, or hands them to MuJoCo's bindings of old.
_MUJOCO = re.compile(
    "(Ant|HalfCheetah|Hopper|Humanoid|HumanoidStandup|InvertedDoublePendulum|InvertedPendulum|Pusher|Reacher|Swimmer|"
    "Walker2d)-v[123]"
)


def config_names(stack: ApiStack) -> Mapping[str, str]:
    """Return the old names of settings that have another name on a stack."""
    return CONFIG if stack == "new" else OLD_STACK_CONFIG


def metric_names(stack: ApiStack) -> Mapping[str, str]:
    """Return the old names of metrics that have another name on a stack."""
    return STOP if stack == "new" else OLD_STACK_STOP


def translate_env(env: str, scope: Scope) -> str:
    """Return where an environment is found now; the scope gets a note if that is elsewhere."""
    found = ENVIRONMENTS.get(env, env)
    if _MUJOCO.fullmatch(env):
        found = f"{env.rpartition('-')[0]}-v5"
    for old, new in MODULES.items():
        if found.startswith(old):
            found = new + found.removeprefix(old)
    if found != env:
        scope.note(f"{env!r} is {found!r} now")
    return found


def gone_env(env: str) -> str | None:
    """Return what to do about an environment of RLlib's own that Ray has no more; None for all others."""
    module = re.split(r"[:.](?=\w+$)", env)[0]
    if not env.startswith(("ray.rllib.env.", "ray.rllib.examples.")):
        return None
    try:
        is_there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        is_there = False
    if is_there:
        return None
    file = module.rpartition(".")[2]
    return (
        f"the installed Ray has no module {module!r}; put {file}.py of the older Ray beside this file and write env: "
        f"{file}:{env[len(module) + 1 :]}"
    )


def translate(block: Mapping[str, Any], names: Mapping[str, str], scope: Scope) -> dict[str, Any]:
    """Give the keys of a block the names that they have now.

    Args:
        block: What the user wrote.
        names: Old name → present name.
        scope: That of the block; gets a problem where two keys mean the same setting, and a note on each key that is
            translated.

    Returns:
        The block under present names, in its order.
    """
    block = _without_doubles(block, names, scope)
    translated: dict[str, Any] = {}
    written_as: dict[str, str] = {}
    for key, value in block.items():
        name = names.get(key, key)
        if name in translated:
            scope.problem(f"{written_as[name]!r} and {key!r} mean the same setting: keep {name!r}")
            continue
        if name != key:
            scope.note(f"{key!r} is called {name!r} now")
        translated[name], written_as[name] = value, key
    return translated


def _without_doubles(block: Mapping[str, Any], names: Mapping[str, str], scope: Scope) -> Mapping[str, Any]:
    """Leave out, of two names for one setting, the one that did not count."""
    rest = dict(block)
    for key in list(rest):
        name = names.get(key, key)
        if name == key or name not in {names.get(other, other) for other in rest if other != key}:
            continue
        losers = [key] if key in _COUNT_LESS else [name] if key in _COUNT_MORE and name in rest else []
        for loser in losers:
            del rest[loser]
            scope.note(f"{loser!r} does not count beside {name if loser == key else key!r}")
    return rest
