"""``rllib train file``: train what a YAML file describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_recattn.cli.output import loading
from rllib_recattn.cli.ray_address import ray_address_option
from rllib_recattn.cli.tuned_examples import example_files, file_or_example
from rllib_recattn.errors import SettingsError
from rllib_recattn.migration.command_line import present_form, without_file

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment
    from rllib_recattn.experiment.definition.top_level import Overrides

LATEST = "latest"


class TrainGroup(click.Group):
    """Helps those who leave out the word ``file``, or type what older versions of RLlib took."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, also in its old forms."""
        args = present_form(args)
        if {"--run", "--algo"} & {arg.partition("=")[0] for arg in args} and args[0] != "file":
            with without_file.make_context(ctx.command_path, args, parent=ctx) as old:
                without_file.invoke(old)
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand of a name; the name of a file ends with what to write instead."""
        command = super().get_command(ctx, cmd_name)
        if command is None and (Path(cmd_name).is_file() or cmd_name.removesuffix(".yaml") in example_files()):
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
@click.option(
    "--restore",
    metavar="PATH",
    help="Begin with the state of a checkpoint, or of a run's or trial's newest one, or with what rllib export wrote.",
)
@click.option(
    "--num-samples",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many trials are drawn from the search domains; of a grid, how often it is run.",
)
@click.option("--ray-num-cpus", metavar="N", type=click.IntRange(min=1), help="CPUs that Ray may use. [default: all]")
@ray_address_option
@click.option(
    "--ship-package/--no-ship-package",
    default=None,
    help="Whether this package is sent to the cluster's nodes. [default: if one lacks it or has another version]",
)
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
    restore: str | None,
    num_samples: int | None,
    ray_num_cpus: int | None,
    ray_address: str | None,
    ship_package: bool | None,
    dry_run: bool,
    verbose: int,
) -> None:
    """Train what the YAML file FILE describes, until one of its stop criteria is met.

    FILE can be the name of a tuned example, which `rllib example list` shows.

    Ctrl-C ends training with a checkpoint; --resume continues from there.
    """
    if ray_address is None and ship_package is not None:
        raise SettingsError(f"--{'' if ship_package else 'no-'}ship-package: has no effect without --ray-address")
    from rllib_recattn.experiment.definition.load import load_experiment
    from rllib_recattn.experiment.definition.top_level import Overrides

    overrides = Overrides(
        stop=_stop_criteria(stop_texts),
        storage_path=storage_path,
        checkpoint_frequency=checkpoint_freq,
        checkpoint_at_end=checkpoint_at_end,
        restore=restore,
        num_samples=num_samples,
    )
    experiment = load_experiment(file_or_example(path), overrides)
    run_dir = None
    if resume is not None:
        _refuse_beside_resume(overrides)
        run_dir = _run_to_resume(resume, experiment)
    for note in experiment.notes:
        click.echo(f"Note: {note}", err=True)

    # RLlib takes seconds to import, hence after all that can be checked without it.
    with loading("RLlib"):
        from rllib_recattn.experiment.algorithm.variants import build_variants
        from rllib_recattn.experiment.checkpoints.restore_checks import check_restore
        from rllib_recattn.experiment.cluster.ray_session import quiet_ray

    with quiet_ray(verbose):
        config, *variants = build_variants(experiment)
        if run_dir is None:
            said = dict.fromkeys(check_restore(experiment, each) for each in (config, *variants))
            for note in filter(None, said):
                click.echo(f"Note: {note}", err=True)
    if dry_run:
        from rllib_recattn.experiment.algorithm.resolved import resolved_yaml

        results = run_dir or f"{experiment.storage_path / experiment.name}-<timestamp>"
        click.echo(f"# {'Continues' if run_dir else 'Results go to'} {results}")
        if experiment.is_sweep:
            from rllib_recattn.experiment.training.sweep_plan import sweep_plan

            click.echo(sweep_plan(experiment), nl=False)
        click.echo(resolved_yaml(experiment, config), nl=False)
        return

    from rllib_recattn.experiment.training.run import run_experiment

    result = run_experiment(
        experiment,
        config,
        variants=variants,
        resume=run_dir,
        ray_num_cpus=ray_num_cpus,
        ray_address=ray_address,
        ship_package=ship_package,
        verbose=verbose,
    )
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


def _refuse_beside_resume(overrides: Overrides) -> None:
    given = {
        "--stop": overrides.stop,
        "--checkpoint-freq": overrides.checkpoint_frequency is not None,
        "--checkpoint-at-end": overrides.checkpoint_at_end is not None,
        "--restore": overrides.restore is not None,
        "--num-samples": overrides.num_samples is not None,
    }
    refused = [option for option, is_given in given.items() if is_given]
    if refused:
        raise SettingsError(
            f"{', '.join(refused)}: cannot be changed with --resume; the run goes on with what it began with"
        )


def _run_to_resume(resume: str, experiment: Experiment) -> Path:
    from rllib_recattn.experiment.definition.paths import absolute_path
    from rllib_recattn.experiment.records.run_directory import can_be_resumed, find_unfinished_run, is_finished
    from rllib_recattn.experiment.records.run_lock import refuse_training

    if resume == LATEST:
        return find_unfinished_run(experiment.storage_path, experiment.name)
    run_dir = absolute_path(resume, "--resume")
    if not (run_dir / "tuner.pkl").is_file():
        raise SettingsError(
            f"--resume {resume}: should be the directory of a run, such as "
            f"{experiment.storage_path / experiment.name}-<timestamp>"
        )
    refuse_training(run_dir)
    if is_finished(run_dir):
        raise SettingsError(f"--resume {resume}: this run is finished")
    if not can_be_resumed(run_dir):
        raise SettingsError(f"--resume {resume}: this run ended before it had saved a checkpoint")
    return run_dir
