"""Rewrite an experiment for RLlib's old API stack for the new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rllib_recattn.experiment.algorithm.config_keys import config_keys
from rllib_recattn.experiment.definition.environment import probe_env
from rllib_recattn.experiment.definition.experiment_file import read_experiment_file
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.search import fill, values_of
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.definition.stop import STOP_METRICS
from rllib_recattn.experiment.definition.top_level import KNOWN_KEYS
from rllib_recattn.experiment.definition.tune_block import TUNE_KEYS
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from rllib_recattn.migration.conversion.carried_settings import new_stack_searches, new_stack_settings
from rllib_recattn.migration.model_dict.checks import without_ignored
from rllib_recattn.migration.model_dict.losses import Losses
from rllib_recattn.migration.model_dict.networks import Networks, networks_of
from rllib_recattn.migration.old_files.old_names import config_names
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES

_LEARNER_STATS = "info/learner/default_policy/learner_stats/"
_METRICS = {  # those of the old stack that have another name on the new one
    "num_env_steps_trained": "learners/__all_modules__/num_env_steps_trained_lifetime",
    "env_runners/policy_reward_mean/default_policy": "env_runners/module_episode_return_mean/default_policy",
    f"{_LEARNER_STATS}cur_lr": "learners/default_policy/default_optimizer_learning_rate",
    f"{_LEARNER_STATS}kl": "learners/default_policy/mean_kl_loss",
    **{
        f"{_LEARNER_STATS}{name}": f"learners/default_policy/{name}"
        for name in ("entropy", "policy_loss", "total_loss", "vf_explained_var", "vf_loss")
    },
}


@dataclass(frozen=True)
class Converted:
    """An experiment for the new API stack.

    Attributes:
        text: The new file.
        losses: What could not be carried, a line each, with the reason.
    """

    text: str
    losses: tuple[str, ...]


def convert_experiment(path: Path) -> Converted:
    """Translate an experiment file.

    Args:
        path: A YAML file that ``rllib train file`` takes, for either API stack.

    Raises:
        SettingsError: If it is no such file.
    """
    experiment = load_experiment(path)
    _, written = read_experiment_file(path, KNOWN_KEYS)
    losses = Losses()
    known = config_keys(CONFIG_CLASSES[experiment.run])
    settings = new_stack_settings(experiment.config, known, "config", losses)

    def translate(name: str, value: Any) -> dict[str, Any]:
        present = config_names(experiment.api_stack).get(name, name)
        return new_stack_settings({present: value}, known, "config", Losses())

    settings |= new_stack_searches(experiment.space, translate, losses)
    networks = _networks(experiment, written, losses)
    model_config = {**networks.model_config, **experiment.config.get("model_config", {})}
    env = written["env"] if "env" in experiment.space else experiment.env
    content: dict[str, Any] = {"run": experiment.run, "env": env, "stop": _stop(experiment, losses)}
    if networks.block is not None:
        content["model"] = networks.block
    if settings or model_config:
        content["config"] = {**settings, **({"model_config": model_config} if model_config else {})}
    content |= _as_written(written) | _tune(written) | _storage(experiment, written)
    if experiment.api_stack == "old" and "restore" in written:
        losses.add("restore", written["restore"], "is of the old API stack; rllib_recattn.convert_checkpoint moves it")
    text = _heading(path, losses.lines) + dump_yaml({experiment.name: content})
    return Converted(text, losses.lines)


def _networks(experiment: Experiment, written: Mapping[str, Any], losses: Losses) -> Networks:
    content = fill(experiment.content, values_of(experiment.space, {}))
    model = (content.get("config") or {}).get("model")
    if "model" in written:
        if model:
            losses.add("config.model", model, "the model block takes its place")
        return Networks(block=dict(written["model"]))
    if not model:
        return Networks()
    model = without_ignored(model)
    spaces = probe_env(experiment.env, experiment.config.get("env_config", {}), experiment.where)
    return networks_of(model, experiment.run, spaces.observation_space, losses)


def _stop(experiment: Experiment, losses: Losses) -> dict[str, float]:
    stop = {}
    for metric, value in experiment.stop.items():
        name = metric if metric in STOP_METRICS else _METRICS.get(metric)
        if name is None:
            losses.add(f"stop.{metric}", value, "the new API stack reports nothing like it")
        else:
            stop[name] = int(value) if float(value).is_integer() else value
    return stop


def _as_written(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the blocks that are the same for both API stacks."""
    return {key: written[key] for key in ("multi_agent", "callbacks", "logging") if key in written}


def _tune(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the block of that name, with what older versions of Ray had at the top level."""
    block = {**{key: written[key] for key in TUNE_KEYS if key in written}, **written.get("tune", {})}
    if "metric" in block:
        block["metric"] = _METRICS.get(block["metric"], block["metric"])
    return {"tune": block} if block else {}


def _storage(experiment: Experiment, written: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    checkpoint = experiment.checkpoint.model_dump(exclude_defaults=True)
    if checkpoint:
        content["checkpoint"] = checkpoint
    for key in ("storage_path", "local_dir"):
        if key in written:
            content["storage_path"] = written[key]
    if experiment.max_failures:
        content["max_failures"] = experiment.max_failures
    return content


def _heading(path: Path, losses: tuple[str, ...]) -> str:
    lines = [f"Made by `rllib convert` from {path.name}, for RLlib's new API stack."]
    if losses:
        lines += ["Not carried:", *(f"- {line}" for line in losses)]
    return "".join(f"# {line}\n" for line in lines)
