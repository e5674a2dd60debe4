"""Whether an experiment can begin with the checkpoint that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rllib_recattn.checkpoint_files import MODULES, is_of_rllib, reading
from rllib_recattn.checkpoint_pickles import CLASS_FILE, load_pickle
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint, is_of_old_stack, load_config
from rllib_recattn.experiment.definition.environment import env_creator
from rllib_recattn.inputs.input_settings import INPUTS_KEY, encoder_settings, stored_encoder
from rllib_recattn.rl_module.catalog import MODEL_CONFIG_KEY
from rllib_recattn.rl_module.exported_weights import differences, read_exported
from rllib_recattn.rl_module.restore import counts_in
from rllib_recattn.scope import Scope

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    from rllib_recattn.experiment.definition.spec import Experiment

_ITERATION = "training_iteration"

# What of a model's settings may differ: it is about training, and no weight depends on it.
_OF_TRAINING = {"max_seq_len", "recattn_training"}


def check_restore(experiment: Experiment, config: AlgorithmConfig) -> str | None:
    """Compare an experiment with the checkpoint that it begins with.

    Args:
        experiment: The experiment; without ``restore`` nothing is checked.
        config: The algorithm's config, built from it.

    Returns:
        A note on how its stop criteria count, if that has to be said.

    Raises:
        SettingsError: With a line for each thing that differs and must not: the API stack, the algorithm, the policies,
            their models and spaces; or if the checkpoint has reached a stop criterion already.
    """
    if experiment.restore is None:
        return None
    if not is_of_rllib(experiment.restore):
        return _check_exported(experiment, config)
    checkpoint = find_checkpoint(experiment.restore)
    saved_stack = "old" if is_of_old_stack(checkpoint) else "new"
    where = f"{experiment.where}.restore = {str(checkpoint)!r}"
    if saved_stack != experiment.api_stack:
        raise SettingsError(
            f"{where}: is of RLlib's {saved_stack} API stack, the experiment of the {experiment.api_stack} one; "
            "rllib_recattn.convert_checkpoint moves agents from one to the other"
        )
    scope = Scope(where)
    saved = load_config(checkpoint, beside=True)
    for line in _differences(checkpoint, saved, config, experiment):
        scope.problem(line)
    note = None
    if saved.algo_class is not config.algo_class:
        other = saved.algo_class.__name__
        note = f"restore: the weights alone are taken, of another algorithm, {other}: all counts begin at 0"
    else:
        note = _note_on_counts(checkpoint, experiment, scope)
    scope.raise_problems()
    return note


def _check_exported(experiment: Experiment, config: AlgorithmConfig) -> str:
    assert experiment.restore is not None
    where = f"{experiment.where}.restore = {str(experiment.restore)!r}"
    if experiment.api_stack == "old":
        raise SettingsError(
            f"{where}: is an exported agent, which the old API stack does not take; should be a checkpoint"
        )
    agents = read_exported(experiment.restore, config.policies.keys(), where)
    scope = Scope(where)
    for policy, spec in _specs(config, experiment).items():
        with torch.random.fork_rng(devices=[]):
            module = spec.build()
        for line in differences(agents[policy], module.unwrapped(), where):
            scope.problem(line if policy == "default_policy" else f"{line} of the policy {policy!r}")
    scope.raise_problems()
    without = [policy for policy, agent in agents.items() if not agent.description.has_values]
    values = ", and its value function begins with new ones" if without else ""
    return f"restore: the weights of an exported agent are taken{values}: all counts begin at 0"


def _note_on_counts(checkpoint: Path, experiment: Experiment, scope: Scope) -> str | None:
    """Say how many more of what a stop criterion counts there will be, and refuse one that is met already."""
    with reading(checkpoint):
        counts = counts_in(checkpoint)
    lines = []
    for metric, last in experiment.stop.items():
        reached = counts.get(metric)
        if reached is None:
            continue
        if reached < last:
            lines.append(f"stop.{metric} = {last:.10g} is {last - reached:.10g} more")
        elif metric == _ITERATION:
            scope.problem(
                f"was saved in iteration {reached:g}, from which training counts on; stop.{metric} = {last:g} "
                "should be more"
            )
        else:
            scope.problem(
                f"was saved at {metric} = {reached:.10g}, from which training counts on; stop.{metric} = "
                f"{last:.10g} should be more"
            )
    if not lines:
        return None
    return f"restore: training counts on from the checkpoint's iteration {counts[_ITERATION]:g}: {', '.join(lines)}"


def _differences(
    checkpoint: Path, saved: AlgorithmConfig, config: AlgorithmConfig, experiment: Experiment
) -> Iterator[str]:
    ours, theirs = set(config.policies), set(saved.policies)
    if ours != theirs:
        yield f"the policies differ: {_list(theirs)} in the checkpoint, {_list(ours)} here"
        return
    if experiment.api_stack == "old":
        if saved.algo_class is not config.algo_class:
            yield f"run = {experiment.run}: the checkpoint is of {saved.algo_class.__name__}"
        yield from _setting_differences("config.model", saved.model, config.model)
        return
    for policy, spec in _specs(config, experiment).items():
        of = "" if policy == "default_policy" else f" of the policy {policy!r}"
        with reading(checkpoint):
            module = load_pickle(checkpoint / MODULES / policy / CLASS_FILE)
        arguments = module["ctor_args_and_kwargs"][1]
        same_module = module["class"] is spec.module_class
        if not same_module and saved.algo_class is not config.algo_class:
            yield f"run = {experiment.run}: the checkpoint is of {saved.algo_class.__name__}, whose networks differ{of}"
            continue
        if not same_module:
            theirs_is, ours_is = module["class"].__name__, getattr(spec.module_class, "__name__", spec.module_class)
            yield f"the networks{of} are a {theirs_is} in the checkpoint, {ours_is} here"
            continue
        for space in ("observation_space", "action_space"):
            if arguments[space] != getattr(spec, space):
                yield f"the {space}{of} is {arguments[space]} in the checkpoint, {getattr(spec, space)} here"
        for line in _model_differences(_as_written_now(arguments["model_config"]), spec.model_config):
            yield f"{line}{of}"


def _as_written_now(model_config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored `model_config` in the words of this version."""
    inputs = model_config.get(INPUTS_KEY, {})
    if "encoder" not in inputs:
        return model_config
    encoder = encoder_settings(stored_encoder(inputs["encoder"])).model_dump()
    if "channels" not in inputs["encoder"]:
        encoder.pop("channels", None)  # where it decides something, the weights do not fit
    return {**model_config, INPUTS_KEY: {**inputs, "encoder": encoder}}


def _specs(config: AlgorithmConfig, experiment: Experiment) -> dict[str, Any]:
    # That of a variant, which a sweep may have several of: an id, or a class.
    creator = env_creator(config.env, experiment.where) if isinstance(config.env, str) else config.env
    env = creator(dict(config.env_config))
    try:
        return dict(config.get_multi_rl_module_spec(env=env).rl_module_specs)
    finally:
        env.close()


def _model_differences(saved: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between two models; of two of different names, whose settings are others', the names."""
    names = [config.get(MODEL_CONFIG_KEY, {}).get("model") for config in (saved, ours)]
    if names[0] != names[1]:
        yield f"model.name is {names[0]!r} in the checkpoint, {names[1]!r} here"
    else:
        yield from _setting_differences("model", saved, ours)


def _setting_differences(key_path: str, saved: Any, ours: Any) -> Iterator[str]:
    """Yield what differs between two mappings, at whatever depth."""
    only_ours = {"channels"} - saved.keys()  # which an earlier version did not write
    for key in sorted({*saved, *ours} - _OF_TRAINING - only_ours):
        before, now = saved.get(key), ours.get(key)
        # The sections of `model_config` are side by side in a `model` block.
        place = key_path if key.startswith("recattn") else f"{key_path}.{'name' if key == 'model' else key}"
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _setting_differences(place, before, now)
        elif before != now:
            yield f"{place} is {before!r} in the checkpoint, {now!r} here"


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
