"""``rllib compare``: which model for my task?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_recattn.cli.ray_address import ray_address_option
from rllib_recattn.cli.tuned_examples import file_or_example
from rllib_recattn.comparing import EPISODES, RATES, SEEDS
from rllib_recattn.errors import SettingsError

if TYPE_CHECKING:
    from rllib_recattn.comparing.plan import Plan
    from rllib_recattn.comparing.running import State

INTERRUPTED = 130  # as of a command that SIGINT ends
FAILED = 1


class ModelsCommand(click.Command):
    """Lets an option take several words, up to the next option: ``--models agalite lstm``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the option once for each of its words."""
        written: list[str] = []
        takes_more = False
        for word in args:
            if word == "--models":
                takes_more = True
            elif word.startswith("--models="):
                takes_more = True
                written += ["--models", word.partition("=")[2]]
            elif takes_more and not word.startswith("-"):
                written += ["--models", word]
            else:
                takes_more = False
                written.append(word)
        if "--models" in args[-1:]:
            written.append("--models")  # which click says needs a value
        return super().parse_args(ctx, written)


@click.command(cls=ModelsCommand)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--models",
    metavar="MODEL...",
    multiple=True,
    required=True,
    help="The models: names, package.module:name, or model blocks such as '{name: gla, conv_size: 4}'.",
)
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=1),
    default=SEEDS,
    show_default=True,
    help="How many seeds each model is compared with, from 0 on. Four are the fewest that can show a difference, and "
    "intervals need five.",
)
@click.option(
    "--budget",
    metavar="STEPS|TIME",
    help="Environment steps of each run, such as 300k or 1.5M, or the time that all of them together may take, such as "
    "20m or 2h; a short trial says what fits. [default: the steps that FILE stops after]",
)
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where results are kept. [default: comparison-NAME, by the name of the experiment]",
)
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="Runs at the same time. [default: by the CPUs]")
@click.option(
    "--lr-search",
    metavar="N|RATES|off",
    default=str(RATES),
    show_default=True,
    help="How many learning rates are tried for each model, around that of FILE; or which, with commas; or off.",
)
@click.option(
    "--lr-search-seeds",
    metavar="K",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many seeds each of them gets, each for half the budget.",
)
@click.option(
    "--episodes",
    metavar="N",
    type=click.IntRange(min=1),
    default=EPISODES,
    show_default=True,
    help="How many greedy episodes score a trained policy.",
)
@click.option(
    "--parameters",
    metavar="P",
    type=click.IntRange(min=1, max=100_000_000),
    help="How many parameters each model has. [default: as many as FILE's]",
)
@click.option(
    "--early-stop/--no-early-stop",
    default=True,
    help="Whether a run that has not solved the task ends after four times the steps of the slowest seed of a model "
    "that has solved it with all seeds.",
    show_default=True,
)
@ray_address_option
@click.option("-v", "--verbose", count=True, help="Show Ray's log. Can be repeated.")
def compare(
    path: Path,
    models: tuple[str, ...],
    seeds: int,
    budget: str | None,
    output: Path | None,
    jobs: int | None,
    lr_search: str,
    lr_search_seeds: int,
    episodes: int,
    parameters: int | None,
    early_stop: bool,
    ray_address: str | None,
    verbose: int,
) -> None:
    """Tell which model the task of the experiment FILE asks for.

    All models have as many parameters as FILE's, the settings of FILE, and the same budget; the learning rate is
    searched alike for all. FILE can be the name of a tuned example.

    Every run is kept as it ends: after Ctrl-C or a power cut the same command trains what is missing, and with more
    models or seeds what is new.
    """
    from rllib_recattn.comparing.compare import holding, output_directory, run_plan
    from rllib_recattn.comparing.plan import plan_comparison
    from rllib_recattn.comparing.progress import showing_progress
    from rllib_recattn.comparing.running import state_of
    from rllib_recattn.experiment.definition.load import load_experiment
    from rllib_recattn.experiment.reports.text import report_console

    experiment = load_experiment(file_or_example(path))
    for note in experiment.notes:
        click.echo(f"Note: {note}", err=True)
    plan = plan_comparison(
        experiment,
        [_block(text) for text in models],
        seeds=seeds,
        budget=budget,
        directory=output_directory(output, experiment.name),
        lr_search=lr_search,
        lr_search_seeds=lr_search_seeds,
        episodes=episodes,
        parameters=parameters,
        early_stop=early_stop,
    )
    interrupted = False
    with holding(plan.directory):
        try:
            with showing_progress(report_console()) as progress:
                plan, state = run_plan(
                    plan,
                    jobs=jobs,
                    ray_address=ray_address,
                    verbose=verbose,
                    on_plan=progress.begin,
                    on_change=progress.update,
                )
        except KeyboardInterrupt:
            interrupted = True
            state = state_of(plan)
        _report(plan, state)
    if interrupted:
        click.echo("Interrupted: what has ended is kept, and the same command goes on from there", err=True)
        raise SystemExit(INTERRUPTED)
    if state.failed:
        click.echo("Some runs failed; the same command tries them again", err=True)
        raise SystemExit(FAILED)


def _block(text: str) -> str | Mapping[str, Any]:
    """Return the model that a word of the command line names."""
    if not text.lstrip().startswith("{"):
        return text
    from rllib_recattn.experiment.definition.yaml_file import parse_yaml

    found: Any = parse_yaml(text, f"--models {text!r}")
    if "name" not in found:
        raise SettingsError(f"--models {text!r}: the setting 'name' is missing")
    return found


def _report(plan: Plan, state: State) -> None:
    from rllib_recattn.comparing.compare import comparison_of
    from rllib_recattn.comparing.page import write_report
    from rllib_recattn.comparing.sentences import notes, recommendation
    from rllib_recattn.comparing.table import print_table
    from rllib_recattn.experiment.reports.text import path_text, report_console

    for run, error in state.failed.items():
        click.echo(f"{run.label}: failed: {error}", err=True)
    comparison = comparison_of(plan, state)
    if comparison is None:
        return
    print_table(comparison, report_console())
    click.echo(recommendation(comparison))
    for note in notes(comparison):
        click.echo(note)
    for path in write_report(comparison):
        click.echo(f"Wrote {path_text(path)}")
