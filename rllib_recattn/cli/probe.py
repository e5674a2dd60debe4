"""``rllib probe``: which memory can learn what?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_recattn.cli.output import check_output_file, writing
from rllib_recattn.errors import SettingsError
from rllib_recattn.probing import BUDGET, PARAMETERS

if TYPE_CHECKING:
    from rllib_recattn.probing.plan import Plan

SUFFIXES = (".png", ".svg", ".pdf")
INTERRUPTED = 130  # as of a command that SIGINT ends


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1)
@click.option("--all", "all_models", is_flag=True, help="Every model of the catalog, beside those that are named.")
@click.option("--tasks", metavar="TASK,...", help="Which tasks. [default: all]")
@click.option(
    "--budget",
    metavar="N",
    type=click.IntRange(min=1),
    default=BUDGET,
    show_default=True,
    help="The most updates for a model and a task. Updates and not seconds, so that results do not depend on how fast "
    "or busy a machine is.",
)
@click.option(
    "--seeds",
    metavar="K",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many seeds, from 0 on.",
)
@click.option(
    "--parameters",
    metavar="P",
    type=click.IntRange(min=1, max=100_000_000),
    default=PARAMETERS,
    show_default=True,
    help="How many parameters each model is to have. Its width is searched for, where MODEL does not set it.",
)
@click.option(
    "--json",
    "data",
    metavar="FILE.json",
    type=click.Path(path_type=Path),
    help="Keep the result in a file, written after every model and task; what it holds already is not computed again.",
)
@click.option(
    "--figure", metavar="FILE.png|svg|pdf", type=click.Path(path_type=Path), help="Draw the table as a heat map."
)
def probe(
    models: tuple[str, ...],
    all_models: bool,
    tasks: str | None,
    budget: int,
    seeds: int,
    parameters: int,
    data: Path | None,
    figure: Path | None,
) -> None:
    """Tell what memories can learn: each MODEL learns small tasks, supervised, at equal parameters.

    MODEL is a model's name, package.module:name for one that this module registers, or a model block as in an
    experiment file: '{name: gla, conv_size: 4}'. It takes about a minute per model and seed on one core.

    Tasks: a bit of 40 or 160 steps ago (recall-40, recall-160), the symbol of 3, 8 or 32 steps ago (repeat-3, repeat-8,
    repeat-32), the first symbol (first), values by their keys (pairs), how often a symbol has come (count), the newest
    of several cues (rewrite), and a bit over 2 and 8 times as many steps as it was learned with (beyond).

    Ctrl-C ends it with what there is; with --json the same command goes on from there.
    """
    for path, option, suffixes in ((data, "--json", (".json",)), (figure, "--figure", SUFFIXES)):
        if path is not None and path.suffix.lower() not in suffixes:
            raise SettingsError(f"{option} {str(path)!r}: should end in {' or '.join(suffixes)}")
        if path is not None:
            check_output_file(path, option)
    if not models and not all_models:
        raise SettingsError("MODEL: should be named, or --all given; `rllib models` lists them")
    blocks = [_block(text) for text in models]

    from rllib_recattn.models.registry import model_names
    from rllib_recattn.probing.plan import plan_probe

    if all_models:
        blocks += [name for name in model_names() if name not in blocks]
    names = None if tasks is None else [name.strip() for name in tasks.split(",")]
    plan = plan_probe(blocks, tasks=names, budget=budget, seeds=seeds, parameters=parameters, path=data)
    for label in plan.replaced:
        click.echo(f"Note: {label} is another model than in {data}: its tasks are learned again", err=True)
    interrupted = not _run(plan)
    _report(plan, figure)
    if interrupted:
        _say_how_to_go_on(plan)
        raise SystemExit(INTERRUPTED)


def _block(text: str) -> str | Mapping[str, Any]:
    """Return the model that a word of the command line names."""
    if not text.lstrip().startswith("{"):
        return text
    from rllib_recattn.experiment.definition.yaml_file import parse_yaml

    block = parse_yaml(text, f"MODEL {text!r}")
    if "name" not in block:
        raise SettingsError(f"MODEL {text!r}: the setting 'name' is missing")
    return block


def _run(plan: Plan) -> bool:
    """Compute what is still to be computed; returns whether it came to its end."""
    from rllib_recattn.probing.probe import run_cell

    try:
        with _progress(plan) as (advance, describe):
            for cell in plan.cells:
                describe(f"{cell.label}, {cell.task.name}, seed {cell.seed}")
                done = run_cell(plan, cell, lambda: advance(1))
                advance(plan.result.settings.budget - done.ended_after)
    except KeyboardInterrupt:
        return False
    return True


@contextmanager
def _progress(plan: Plan) -> Iterator[tuple[Any, Any]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(plan.cells) * plan.result.settings.budget)
        yield (
            lambda updates: progress.advance(task, updates),
            lambda text: progress.update(task, description=text),
        )


def _report(plan: Plan, figure: Path | None) -> None:
    from rllib_recattn.experiment.reports.text import report_console
    from rllib_recattn.probing.figure import save_probe_figure
    from rllib_recattn.probing.probe import result_of
    from rllib_recattn.probing.table import explanation, print_tables

    result = result_of(plan)
    if not any(model.cells for model in result.models.values()):
        return
    print_tables(result, report_console())
    click.echo(explanation(result))
    if figure is not None:
        with writing(figure, "--figure"):
            save_probe_figure(result, figure)
    _name_files([plan.path, figure])


def _name_files(paths: Sequence[Path | None]) -> None:
    for path in paths:
        if path is not None:
            click.echo(f"Wrote {path}")


def _say_how_to_go_on(plan: Plan) -> None:
    left = sum(
        planned.seed not in plan.result.models[planned.label].cells.get(planned.task.name, {}) for planned in plan.cells
    )
    kept = (
        f"what is done is in {plan.path}, and the same command goes on from there"
        if plan.path is not None
        else "nothing is kept: with --json FILE.json the same command would go on"
    )
    click.echo(f"Interrupted with {left} of {len(plan.cells)} tasks left: {kept}", err=True)
