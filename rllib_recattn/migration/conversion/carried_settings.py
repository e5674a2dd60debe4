"""From RLlib's settings on the old API stack to those on the new one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from rllib_recattn.errors import suggest_among_many
from rllib_recattn.experiment.definition.domain import SEEDS, Domain
from rllib_recattn.migration.model_dict.losses import Losses

# Which of the two API stacks runs, and what a `model` dict becomes, is said elsewhere.
_SAID_ELSEWHERE = ("enable_rl_module_and_learner", "enable_env_runner_and_connector_v2", "model", "model_config")

# Setting → what it says where nothing is lost without it, and why anything else is.
_GONE: dict[str, tuple[tuple[Any, ...], str]] = {
    "_disable_preprocessor_api": ((False, True), "there are no preprocessors any more"),
    "compress_observations": ((False,), "EnvRunners of the new API stack do not compress"),
    "enable_tf1_exec_eagerly": ((False, True), "TensorFlow is not supported"),
    "exploration_config": (
        ({"type": "StochasticSampling"}, {}),
        "policies explore by sampling from their action distributions",
    ),
    "framework": (("torch",), "PyTorch runs instead"),
    "optimizer": (({},), "learners use Adam"),
    "preprocessor_pref": ((None, "deepmind", "rllib"), "wrap the environment"),
    "remote_env_batch_wait_ms": ((0,), "EnvRunners wait for all of their environments"),
    "simple_optimizer": ((False, True), "learners have one optimizer"),
}


def new_stack_settings(
    settings: Mapping[str, Any], known: Mapping[str, Any], where: str, losses: Losses
) -> dict[str, Any]:
    """Translate settings.

    Args:
        settings: Under the names that the old API stack has for them in this Ray.
        known: The settings that the new one has.
        where: Their key path.
        losses: Gets what cannot be carried.

    Returns:
        The new stack's, in the same order.
    """
    new: dict[str, Any] = {}
    for key, value in settings.items():
        if key in _GONE:
            harmless, reason = _GONE[key]
            if value not in harmless:
                losses.add(f"{where}.{key}", value, reason)
        elif key in ("lr_schedule", "entropy_coeff_schedule"):
            # A schedule counted more than the number beside it.
            if value is not None:
                new[key.removesuffix("_schedule")] = _schedule(value)
        elif key == "observation_filter":
            _carry_filter(value, where, new, losses)
        elif key == "num_gpus":
            new |= _learners(value)
        elif key == "train_batch_size":
            new["train_batch_size_per_learner"] = value
        elif key == "remote_worker_envs":
            if value:
                new["gym_env_vectorize_mode"] = "async"
        elif key == "evaluation_config" and isinstance(value, Mapping):
            new[key] = new_stack_settings(value, known, f"{where}.{key}", losses)
            losses.add_all(value, ("model",), f"{where}.{key}", "the networks are those of training")
        elif key in _SAID_ELSEWHERE:
            continue
        elif key not in known:
            losses.add(f"{where}.{key}", value, _unknown(key, known))
        elif key not in new:
            new[key] = value
    if new.get("num_learners", 1) > 1 and "train_batch_size_per_learner" in new:
        new["train_batch_size_per_learner"] //= new["num_learners"]
    return new


def _carry_filter(value: Any, where: str, new: dict[str, Any], losses: Losses) -> None:
    if where.endswith("evaluation_config"):
        losses.add(
            f"{where}.observation_filter", value, "it is the same in evaluation as in training, and learns nothing"
        )
    elif value == "MeanStdFilter":
        new["observation_filter"] = value
    elif value != "NoFilter":
        losses.add(f"{where}.observation_filter", value, "NoFilter and MeanStdFilter are all that there is")


def _schedule(points: list[list[float]]) -> list[list[float]]:
    """Return a schedule that begins at step 0, as the new stack's have to."""
    return points if points[0][0] == 0 else [[0, points[0][1]], *points]


def _learners(num_gpus: float) -> dict[str, Any]:
    """Return the learners that use as many GPUs: each of them has one at most."""
    if num_gpus > 1:
        return {"num_learners": int(num_gpus), "num_gpus_per_learner": 1}
    return {"num_gpus_per_learner": num_gpus}


def _unknown(key: str, known: Mapping[str, Any]) -> str:
    return "RLlib has no such setting: " + suggest_among_many(key, known, "nothing of a similar name either")


_SETTING = re.compile(r"config\.([^.\[\]]+)")


def new_stack_searches(
    space: Mapping[str, Domain], translate: Callable[[str, Any], dict[str, Any]], losses: Losses
) -> dict[str, Any]:
    """Translate the domains of an experiment.

    Args:
        space: Key path, as the user wrote it, → domain.
        translate: Makes, of a setting's name and a value, the new stack's settings that say the same.
        losses: Gets the domains that cannot be carried, in whose place their first value stands.

    Returns:
        The new stack's settings that are searched for → what stands in the place of a value.
    """
    searches: dict[str, Any] = {}
    for key_path, domain in space.items():
        if domain.kind == SEEDS or not key_path.startswith("config"):
            continue  # nobody wrote the former; a model block is carried as it is
        setting = _SETTING.fullmatch(key_path)
        values = domain.options if domain.is_categorical else list(domain.arguments.values())
        found = [translate(setting[1], value) for value in values] if setting else []
        names = {tuple(each) for each in found}
        name = next(iter(names))[0] if len(names) == 1 and len(found[0]) == 1 else None
        new = [each[name] for each in found] if name is not None else []
        if name is None or (not domain.is_categorical and new != values):
            losses.add(key_path, {domain.kind: values}, "there is no such search on the new API stack; its first value")
        else:
            searches[name] = {domain.kind: new}
    return searches
