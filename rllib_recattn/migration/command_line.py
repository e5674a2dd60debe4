"""Command lines of older versions of RLlib: what still works, and what to type instead of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from rllib_recattn.errors import SettingsError

_GONE = {  # options of `rllib train` that older versions had, and what to do instead
    "--local-mode": "num_env_runners: 0 under 'config' trains in one process",
    "--trace": "RLlib trains with PyTorch only, which has nothing to trace",
    "--eager": "RLlib trains with PyTorch only",
    "--ray-ui": "Ray's dashboard starts with `ray start --head`",
    "--queue-trials": "trials wait for resources by themselves",
    "--ray-num-gpus": "Ray counts GPUs by itself; CUDA_VISIBLE_DEVICES says which of them there are",
    "--ray-num-nodes": "start a cluster with `ray start` and name it with --ray-address",
    "--ray-object-store-memory": "start Ray with `ray start --object-store-memory` and name it with --ray-address",
    "--resources-per-trial": "write num_env_runners, num_cpus_per_env_runner and so on under 'config'",
    "--upload-dir": "name storage that is mounted with --storage-path",
    "--wandb-key": "set WANDB_API_KEY, and write logging: {wandb: {project: …}} in FILE",
    "--wandb-project": "write logging: {wandb: {project: …}} in FILE",
    "--wandb-run-name": "write logging: {wandb: {name: …}} in FILE",
}
_FRAMEWORK = ("--framework", "--torch")
_FILE = ("-f", "--config-file")
_RENAMED = {"--local-dir": "--storage-path"}


def present_form(arguments: Sequence[str]) -> list[str]:
    """Rewrite the arguments of ``rllib train`` as they are written now.

    Args:
        arguments: What the user typed behind ``rllib train``.

    Returns:
        ``-f FILE`` in front of options as ``file FILE`` with the same options; anything else as it is, without what
        asks for PyTorch.

    Raises:
        SettingsError: For options that there are no more, with what to do instead.
    """
    rest: list[str] = []
    path = None
    remaining = iter(_split_at_equals(arguments))
    for argument in remaining:
        if argument in _GONE:
            raise SettingsError(f"{argument}: there is no such option any more: {_GONE[argument]}")
        if argument in _FRAMEWORK:
            chosen = next(remaining, "") if argument == "--framework" else "torch"
            if chosen != "torch":
                raise SettingsError(f"--framework {chosen}: RLlib trains with torch only")
        elif argument in _FILE and path is None and not (rest and rest[0] == "file"):
            path = next(remaining, None)
            if path is None:
                raise SettingsError(f"{argument}: should be followed by a file")
        else:
            rest.append(_RENAMED.get(argument, argument))
    return rest if path is None else ["file", path, *rest]


def _split_at_equals(arguments: Sequence[str]) -> list[str]:
    """Write ``--option=value`` of the options that this module knows as two arguments."""
    known = {*_GONE, *_FRAMEWORK, *_FILE, *_RENAMED}
    split: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        split += [option, value] if equals and option in known else [argument]
    return split


@click.command(hidden=True)
@click.option("--run", "--algo", "-a", "run", required=True)
@click.option("--env", "-e", required=True)
@click.option("--stop", "-s", default=None)
@click.option("--config", "-c", default=None)
@click.option("--experiment-name", "-n", default=None)
@click.option("--checkpoint-freq", type=int, default=None)
@click.option("--checkpoint-at-end", is_flag=True, default=None)
@click.option("--storage-path", default=None)
@click.option("--num-samples", type=int, default=None)
@click.option("--restore", default=None)
@click.pass_context
def without_file(ctx: click.Context, **options: Any) -> None:
    """Print what ``rllib train --run … --env …`` means as a file."""
    from rllib_recattn.experiment.definition.yaml_file import dump_yaml

    env = str(options["env"])
    name = options["experiment_name"] or f"{env.rpartition('/')[2]}-{options['run']}".lower().replace(":", "-")
    content: dict[str, Any] = {"run": options["run"], "env": env, "stop": _mapping(options["stop"], "--stop")}
    if not content["stop"]:
        raise SettingsError("--stop is missing: say when training ends, e.g. --stop '{\"training_iteration\": 100}'")
    content["config"] = _mapping(options["config"], "--config")
    checkpoint = {"frequency": options["checkpoint_freq"], "at_end": options["checkpoint_at_end"]}
    content["checkpoint"] = {key: value for key, value in checkpoint.items() if value is not None}
    content |= {key: options[key] for key in ("storage_path", "num_samples", "restore")}
    click.echo(dump_yaml({name: {key: value for key, value in content.items() if value not in (None, {})}}), nl=False)
    click.echo(
        f"Experiments live in files: write the above into {name}.yaml and type `rllib train file {name}.yaml`", err=True
    )
    ctx.exit(2)


def _mapping(text: str | None, option: str) -> dict[str, Any]:
    from rllib_recattn.experiment.definition.yaml_file import parse_yaml

    if text is None:
        return {}
    found = parse_yaml(text, option)
    if not isinstance(found, dict):
        raise SettingsError(f"{option} {text!r}: should be a mapping, e.g. '{{\"training_iteration\": 10}}'")
    return found


def says_nothing_any_more(option: str, advice: str, **attributes: Any) -> Callable[[Any], Any]:
    """Declare a hidden option that older versions of RLlib had; using it ends with advice."""

    def refuse(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            raise SettingsError(f"{option}: there is no such option any more: {advice}")

    return click.option(option, hidden=True, expose_value=False, callback=refuse, **attributes)
