"""``rllib sweep-report``: which configuration of a sweep is best?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rllib_recattn.cli.output import writing
from rllib_recattn.errors import SettingsError


@click.command("sweep-report")
@click.argument("run_dir", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--metric", metavar="METRIC", help="By what trials are compared. [default: what the experiment names in 'tune']"
)
@click.option("--mode", type=click.Choice(["max", "min"]), help="Whether more of it is better. [default: likewise]")
@click.option(
    "--rank-by",
    type=click.Choice(["last", "mean_of_last_10", "best"]),
    help="Which of its values stands for a trial. [default: likewise]",
)
@click.option(
    "--output", metavar="DIR", type=click.Path(path_type=Path), help="Where files are written. [default: DIR]"
)
def sweep_report(run_dir: Path, metric: str | None, mode: Any, rank_by: Any, output: Path | None) -> None:
    """Show the configurations of the sweep in DIR, best first, and write a figure, CSV and the best one as best.yaml.

    Trials that differ in nothing but the seed are one configuration, and compared by their mean. A sweep may be
    finished, running, interrupted or killed.
    """
    if output is not None and not output.is_dir():
        raise SettingsError(f"--output {str(output)!r}: there is no such directory")

    from rllib_recattn.experiment.reports.sweep_report import read_sweep
    from rllib_recattn.experiment.reports.text import report_console
    from rllib_recattn.experiment.reports.trial_table import print_table

    report = read_sweep(run_dir, metric, mode, rank_by)
    console = report_console()
    print_table(console, report.table(console))
    with writing(output or run_dir, "--output" if output else "DIR"):
        files = report.write(output)
    console.print(report.text(files))
