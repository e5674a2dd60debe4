"""``rllib train file``: train what a YAML file describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_recattn.errors import SettingsError

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment

LATEST = "latest"


class TrainGroup(click.Group):
    """Helps those who leave out the word ``file``."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand of a name; the name of a file ends with what to write instead."""
        command = super().get_command(ctx, cmd_name)
        if command is None and Path(cmd_name).is_file():
            ctx.fail(f"did you mean `{ctx.command_path} file {cmd_name}`?")
        return command


@click.group(cls=TrainGroup)
def train() -> None:
    """Train an agent."""


@train.command(short_help="Train what a YAML file describes.")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--stop",
    "stop_texts",
    metavar="METRIC=VALUE",
    multiple=True,
    help="When training ends, beside what FILE says or instead of its value for the same metric, e.g. "
    "training_iteration=10 or '{\"time_total_s\": 60}'. Can be repeated.",
)
@click.option("--storage-path", metavar="DIR", help="Where results are stored. [default: ~/ray_results]")
@click.option(
    "--checkpoint-freq", metavar="N", type=click.IntRange(min=0), help="Iterations from one checkpoint to the next."
)
@click.option("--checkpoint-at-end/--no-checkpoint-at-end", default=None, help="Whether to end with a checkpoint.")
@click.option(
    "--resume",
    metavar="[RUN_DIR]",
    is_flag=False,
    flag_value=LATEST,
    help="Continue an unfinished run, by default the newest one of this experiment, from its newest checkpoint.",
)
@click.option("--ray-num-cpus", metavar="N", type=click.IntRange(min=1), help="CPUs that Ray may use. [default: all]")
@click.option("--dry-run", is_flag=True, help="Print the resolved experiment, start nothing.")
@click.option("-v", "--verbose", count=True, help="Show Ray's log. Can be repeated.")
@click.pass_context
def file(
    ctx: click.Context,
    path: Path,
    stop_texts: tuple[str, ...],
    storage_path: str | None,
    checkpoint_freq: int | None,
    checkpoint_at_end: bool | None,
    resume: str | None,
    ray_num_cpus: int | None,
    dry_run: bool,
    verbose: int,
) -> None:
    """Train what the YAML file FILE describes, until one of its stop criteria is met.

    Ctrl-C ends training with a checkpoint; --resume continues from there.
    """
    from rllib_recattn.experiment.definition.load import Overrides, load_experiment

    overrides = Overrides(_stop_criteria(stop_texts), storage_path, checkpoint_freq, checkpoint_at_end)
    experiment = load_experiment(path, overrides)
    run_dir = None
    if resume is not None:
        _refuse_beside_resume(overrides.stop, checkpoint_freq, checkpoint_at_end)
        run_dir = _run_to_resume(resume, experiment)
    for note in experiment.notes:
        click.echo(f"Note: {note}", err=True)

    # RLlib takes seconds to import, hence after all that can be checked without it.
    from rllib_recattn.experiment.algorithm.build import build_config
    from rllib_recattn.experiment.training.ray_session import quiet_ray

    with quiet_ray(verbose):
        config = build_config(experiment)
    if dry_run:
        from rllib_recattn.experiment.algorithm.resolved import resolved_yaml

        results = run_dir or f"{experiment.storage_path / experiment.name}-<timestamp>"
        click.echo(f"# {'Continues' if run_dir else 'Results go to'} {results}")
        click.echo(resolved_yaml(experiment, config), nl=False)
        return

    from rllib_recattn.experiment.training.run import run_experiment

    result = run_experiment(experiment, config, resume=run_dir, ray_num_cpus=ray_num_cpus, verbose=verbose)
    ctx.exit(result.exit_code)


def _stop_criteria(texts: tuple[str, ...]) -> dict[str, Any]:
    from rllib_recattn.experiment.definition.yaml_file import parse_yaml

    criteria: dict[str, Any] = {}
    for text in texts:
        if text.lstrip().startswith("{"):
            criteria.update({str(metric): value for metric, value in parse_yaml(text, "--stop").items()})
            continue
        metric, equals, value = text.partition("=")
        if not (metric and equals and value):
            raise SettingsError(f"--stop {text!r}: should be METRIC=VALUE, e.g. training_iteration=10")
        criteria[metric.strip()] = parse_yaml(value, f"--stop {metric}")
    return criteria


def _refuse_beside_resume(stop: Mapping[str, Any], checkpoint_freq: int | None, checkpoint_at_end: bool | None) -> None:
    given = {
        "--stop": stop,
        "--checkpoint-freq": checkpoint_freq is not None,
        "--checkpoint-at-end": checkpoint_at_end is not None,
    }
    refused = [option for option, is_given in given.items() if is_given]
    if refused:
        raise SettingsError(
            f"{', '.join(refused)}: cannot be changed with --resume; the run goes on with what it began with"
        )


def _run_to_resume(resume: str, experiment: Experiment) -> Path:
    from rllib_recattn.experiment.training.run_directory import find_unfinished_run, is_finished, newest_checkpoint

    if resume == LATEST:
        return find_unfinished_run(experiment.storage_path, experiment.name)
    run_dir = Path(resume).expanduser().absolute()
    if not (run_dir / "tuner.pkl").is_file():
        raise SettingsError(
            f"--resume {resume}: should be the directory of a run, such as "
            f"{experiment.storage_path / experiment.name}-<timestamp>"
        )
    if is_finished(run_dir):
        raise SettingsError(f"--resume {resume}: this run is finished")
    if newest_checkpoint(run_dir) is None:
        raise SettingsError(f"--resume {resume}: this run ended before it had saved a checkpoint")
    return run_dir
