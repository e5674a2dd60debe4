"""``rllib example``: the tuned examples, which come with the package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import click

from rllib_recattn.cli.output import check_output_file, writing
from rllib_recattn.errors import SettingsError, suggest

_DIRECTORY = "tuned_examples"
_HINT = "# yaml-language-server"


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
        click.echo(f"{name:<{width}}  {_description(path)}".rstrip())


@example.command(short_help="Print an example.")
@click.argument("name", metavar="NAME")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to write it.")
def get(name: str, output: Path | None) -> None:
    """Print the example NAME, to change it and to train what you made of it."""
    text = _find(name).read_text(encoding="utf-8")
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

    with file.make_context(f"{ctx.command_path} {name}", [str(_find(name)), *options]) as train_context:
        file.invoke(train_context)


def example_files() -> dict[str, Path]:
    """Return the examples by name: a checkout's own, else those that were installed with the package."""
    beside = Path(__file__).parents[2] / _DIRECTORY
    paths = list(beside.glob("*.yaml")) or _installed()
    return {path.stem: path for path in sorted(paths)}


def _installed() -> list[Path]:
    try:
        files = distribution("rllib-recattn").files or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())).resolve() for file in files if file.parent.name == _DIRECTORY]


def _find(name: str) -> Path:
    files = example_files()
    if not files:
        raise SettingsError("the tuned examples are not installed; a checkout has them in tuned_examples")
    known = name.removesuffix(".yaml")
    if known not in files:
        raise SettingsError(f"there is no example {name!r}: {suggest(known, files)}")
    return files[known]


def _description(path: Path) -> str:
    """Return the first line of comment of a file, behind the hint for editors."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(_HINT):
            return line.lstrip("# ")
    return ""
