"""A group of commands of which only the one that is called is imported: what it needs takes longer than it does."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from retrieval.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

Lines = dict[str, tuple[str, str]]
"""Name of a command → ``module:attribute`` under `api.cli.commands`, and the line that help has of it."""


class Group(click.Group):
    """Commands, of which one is suggested to who asks for another."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named first.

        Raises
        ------
        UsageError
            If there is none of this name; it says which was meant, or which there are.
        """
        name = arguments[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            known = self.list_commands(context)
            hint = did_you_mean(name, known) or f"; accepted: {', '.join(known)}"
            context.fail(f"no command {name!r}{hint}")
        return super().resolve_command(context, arguments)


class LazyGroup(Group):
    """Commands under headings.

    Parameters
    ----------
    lines : heading → commands
    """

    def __init__(self, *args: Any, lines: Mapping[str, Lines], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = lines
        self._where = {name: where for commands in lines.values() for name, (where, _) in commands.items()}

    def list_commands(self, context: click.Context) -> list[str]:
        """All names, in the order of help."""
        return list(self._where)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if name not in self._where:
            return None
        module, _, attribute = self._where[name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"api.cli.commands.{module}"), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Help's lines, without importing what they are of."""
        for heading, commands in self.lines.items():
            with formatter.section(heading):
                formatter.write_dl([(name, line) for name, (_, line) in commands.items()])
