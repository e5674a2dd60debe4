"""A click group that imports a subcommand when it is called, and that reports wrong settings as click does."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Mapping
from typing import Any

import click

from rllib_recattn.errors import SettingsError, readable


class WrongSettings(click.ClickException):
    """Ends the command with exit code 2 and the message of a :class:`SettingsError`."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group whose subcommands are named by where they are to be found.

    Args:
        commands_at: A subcommand's name → ``package.module:attribute`` and a line of help, so that the list of
            subcommands needs no import.
    """

    def __init__(self, *args: Any, commands_at: Mapping[str, tuple[str, str]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._commands_at = commands_at

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return list(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand, or return None if there is none of that name."""
        if cmd_name not in self._commands_at:
            return None
        module, attribute = self._commands_at[cmd_name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._commands_at.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a :class:`SettingsError` becomes a message without a traceback."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise WrongSettings(str(error)) from error
        except click.ClickException as error:
            error.message = readable(error.message)  # type: ignore[misc]
            raise
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise WrongSettings(readable(f"{error.filename!r}: is longer than the name of a file can be")) from error
