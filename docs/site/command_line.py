"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from docs.site.markdown import code, plain, table
from rllib_recattn.cli.main import main


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield all commands that do something, with their whole names: ``train file``."""
    context = click.Context(main, info_name="rllib", **main.context_settings)
    for name in main.list_commands(context):
        yield from _below(name, main.get_command(context, name), context)


def command_line() -> str:
    """Return the page's Markdown."""
    overview = table(
        ["command", ""],
        ([f"[`rllib {name}`](#rllib-{name.replace(' ', '-')})", _short(command)] for name, command, _ in commands()),
    )
    return overview + "\n".join(_section(name, command, context) for name, command, context in commands())


def _below(
    name: str, command: click.Command | None, parent: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    assert command is not None
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **main.context_settings)
    if not isinstance(command, click.Group):
        yield name, command, context
        return
    for child in command.list_commands(context):
        yield from _below(f"{name} {child}", command.get_command(context, child), context)


def _short(command: click.Command) -> str:
    return plain(command.get_short_help_str(limit=200))


def _section(name: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join(command.collect_usage_pieces(context))
    options = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)) is not None
    ]
    rows = [[code(names), _prose(text)] for names, text in options]
    said = _prose(inspect.cleandoc(command.help or "").replace("\b\n", ""))
    return f"## rllib {name}\n\n```text\nrllib {name} {usage}\n```\n\n{said}\n\n{table(['option', ''], rows)}"


def _prose(text: str) -> str:
    """Return a help text as Markdown, in which brackets, stars and a hash at the start of a line are no markup."""
    return re.sub(r"([\[\]*]|^#)", r"\\\1", plain(text), flags=re.MULTILINE)
