"""``rllib validate``: what is wrong with experiment files?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rllib_recattn.cli.tuned_examples import file_or_example
from rllib_recattn.errors import SettingsError

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment


@click.command()
@click.argument("paths", metavar="FILE…", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--quick", is_flag=True, help="Leave out what needs RLlib: its own settings, and whether networks fit the spaces."
)
@click.pass_context
def validate(ctx: click.Context, paths: tuple[Path, ...], quick: bool) -> None:
    """Check experiment files without starting anything, and list all that is wrong with any of them.

    The environment of each is made, reset and stepped once, and the directory for its results is tried. Ends with exit
    code 2 if anything is wrong.
    """
    wrong = 0
    for path in map(file_or_example, paths):
        lines = _quick_problems(path) if quick else _problems(path)
        wrong += bool(lines)
        for line in lines:
            click.echo(line, err=True)
        if not lines:
            click.echo(f"{path}: fine")
    if len(paths) > 1:
        click.echo(f"{len(paths)} files, {wrong} with problems")
    ctx.exit(2 if wrong else 0)


def _quick_problems(path: Path) -> list[str]:
    from rllib_recattn.experiment.definition.load import load_experiment

    try:
        load_experiment(path)
    except SettingsError as error:
        return str(error).splitlines()
    return []


def _problems(path: Path) -> list[str]:
    from rllib_recattn.experiment.algorithm.build import build_config
    from rllib_recattn.experiment.algorithm.validate import problems_in
    from rllib_recattn.experiment.checkpoints.restore_checks import check_restore
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray
    from rllib_recattn.experiment.definition.load import load_experiment

    storage_problems: list[str] = []
    with quiet_ray():
        problems = problems_in(path)
        try:
            experiment = load_experiment(path)
            storage_problems = _storage_problems(experiment)
            if experiment.restore and not problems:
                check_restore(experiment, build_config(experiment))
        except SettingsError as error:
            return problems or [*storage_problems, *str(error).splitlines()]
    return [*problems, *storage_problems]


def _storage_problems(experiment: Experiment) -> list[str]:
    from rllib_recattn.experiment.cluster.storage import trial_directory

    try:
        with trial_directory(experiment.storage_path):  # permissions alone do not tell whether it can be written to
            return []
    except SettingsError as error:
        return [f"{experiment.where}.{error}"]
