"""``rllib example``: the tuned examples, which come with the package."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path

import click

from rllib_recattn.cli.output import check_output_file, writing
from rllib_recattn.cli.tuned_examples import description_of, example_files, find_example, text_of_example
from rllib_recattn.errors import SettingsError


@click.group()
def example() -> None:
    """List, show and train the tuned examples."""


@example.command("list", short_help="List the examples.")
@click.option("-f", "--filter", "text", metavar="TEXT", default="", help="Only those with TEXT in their names.")
def list_examples(text: str) -> None:
    """List the tuned examples, with what each says of itself."""
    chosen = {name: path for name, path in example_files().items() if text in name}
    width = max(map(len, chosen), default=0)
    for name, path in chosen.items():
        line = f"{name:<{width}}  {description_of(path)}".rstrip()
        click.echo(_on_screen(line, width + 2) if sys.stdout.isatty() else line)


@example.command(short_help="Print an example.")
@click.argument("name", metavar="NAME")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to write it.")
def get(name: str, output: Path | None) -> None:
    """Print the example NAME, to change it and to train what you made of it."""
    text = text_of_example(name)
    if output is None:
        click.echo(text, nl=False)
        return
    if output.exists():
        raise SettingsError(f"--output {str(output)!r}: there is such a file already")
    check_output_file(output, "--output")
    with writing(output, "--output"):
        output.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {output}")


@example.command(short_help="Train an example.", context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="NAME")
@click.argument("options", metavar="[OPTIONS OF TRAIN FILE]…", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def run(ctx: click.Context, name: str, options: tuple[str, ...]) -> None:
    """Train the example NAME, as `rllib train file` does with its options."""
    from rllib_recattn.cli.train import file

    arguments = [str(find_example(name)), *options]
    with file.make_context(f"{ctx.info_name} {name}", arguments, parent=ctx.parent) as train_context:
        file.invoke(train_context)


def _on_screen(line: str, indent: int) -> str:
    """Break a line of the list, such that all but the names stands in one column."""
    columns = shutil.get_terminal_size().columns
    if columns < indent + 30:
        return line
    return textwrap.fill(line, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
