"""``rllib plot``: the learning curves of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_recattn.cli.output import check_output_file, writing
from rllib_recattn.errors import SettingsError

if TYPE_CHECKING:
    from rllib_recattn.experiment.records.trials import TrialRecord

SUFFIXES = (".png", ".svg", ".pdf")


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--x",
    type=click.Choice(["env_steps", "time"]),
    default="env_steps",
    show_default=True,
    help="Environment steps, or seconds of training.",
)
@click.option(
    "--metric",
    "wanted",
    metavar="METRIC",
    multiple=True,
    help="What to draw, e.g. env_runners/episode_len_mean. Can be repeated. "
    "[default: the return, and the success rate where there is one]",
)
@click.option(
    "--group-by",
    metavar="KEY",
    help="Average over all with the same value of this setting, e.g. model.name or config.lr. "
    "[default: over those that differ in nothing but the seed]",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE.png|svg|pdf",
    type=click.Path(path_type=Path),
    default=Path("learning_curves.png"),
    show_default=True,
    help="Where to write.",
)
def plot(runs: tuple[Path, ...], x: Any, wanted: tuple[str, ...], group_by: str | None, output: Path) -> None:
    """Draw the learning curves of RUNs: directories of runs, of sweeps, or of trials.

    Trials that differ in nothing but the seed share a curve: their mean, with its 95 % bootstrap interval.
    """
    _check_output(output)
    # A run may be named twice, by its link as well.
    trials = list({trial.directory: trial for run in runs for trial in _trials_of(run)}.values())

    from rllib_recattn.experiment.figures.plot import DEFAULT_METRICS, plot_groups
    from rllib_recattn.experiment.records.metrics import require_metric
    from rllib_recattn.experiment.records.trial_settings import group_trials

    for metric in wanted:
        require_metric(metric, [trial.history for trial in trials], "--metric")
    groups = group_trials(trials, group_by)
    title = runs[0].resolve().name if len(runs) == 1 else ""
    with writing(output, "--output"):
        drawn = plot_groups(groups, output, wanted=wanted or DEFAULT_METRICS, x=x, title=title)
    if drawn is None:
        raise SettingsError(f"{', '.join(map(str, runs))}: no episode has ended yet: there is nothing to draw")
    for label, of_group in groups.items():
        click.echo(f"{label or 'all'}: {len(of_group)} trial{'s' * (len(of_group) > 1)}")
    click.echo(f"Wrote {output}")


def _check_output(output: Path) -> None:
    if output.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"--output {str(output)!r}: should end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    check_output_file(output, "--output")


def _trials_of(run: Path) -> list[TrialRecord]:
    from rllib_recattn.experiment.records.trials import read_trials

    wanted = "should be the directory of a run or of a trial, which `rllib train` prints"
    if not run.is_dir():
        raise SettingsError(f"{str(run)!r}: there is no such directory; {wanted}")
    trials = read_trials(run.resolve())
    if not trials:
        raise SettingsError(f"{str(run)!r}: there are no results in here; {wanted}")
    return trials
