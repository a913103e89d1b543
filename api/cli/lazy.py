"""A group of commands of which only the one that is called is imported: what it needs takes longer than it does."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from retrieval.suggestions import did_you_mean, suggested

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

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Take the group's own options.

        Raises
        ------
        NoSuchOption
            For an option of a command that stands before it; it says behind which it belongs.
        """
        typed = list(arguments)  # what is taken is taken away
        try:
            return super().parse_args(context, arguments)
        except click.NoSuchOption as error:
            said = _unplaced(self, context, typed, error.option_name)
            raise click.NoSuchOption(error.option_name, said, ctx=context) from error

    def invoke(self, context: click.Context) -> object:
        """Run the command.

        Raises
        ------
        NoSuchOption
            For an option of the group that stands behind its command; it says where it belongs.
        """
        try:
            return super().invoke(context)
        except click.NoSuchOption as error:
            if error.ctx is None or error.ctx is context or error.option_name not in _options(self, context):
                raise
            path, command = context.command_path, error.ctx.command_path.removeprefix(context.command_path)
            said = f"{error.option_name} stands before the command: {path} {error.option_name}{command} …"
            raise click.NoSuchOption(error.option_name, said, ctx=error.ctx) from error


def _unplaced(group: Group, context: click.Context, typed: list[str], option: str) -> str:
    """What to say of an option that stands where the group's own do and is none of them."""
    path, command = context.command_path, _named(group, context, typed)
    own = _options(group, context)
    while command is not None:
        path = f"{path} {command.name}"
        of_command = _options(command, context)
        if option in of_command:
            return f"{option} stands behind its command: {path} … {option}"
        own += of_command
        command = _named(command, context, typed) if isinstance(command, click.Group) else None
    behind = (
        f"; options of a command stand behind it: {path} COMMAND … {option}" if path == context.command_path else ""
    )
    bare = {name.lstrip("-"): repr(name) for name in own}  # dashes are alike in all of them
    near = [bare[name] for name in suggested(option.lstrip("-"), bare)]
    return f"no option {option}" + (f"; did you mean {' or '.join(near)}?" if near else behind)


def _named(group: click.Group, context: click.Context, typed: list[str]) -> click.Command | None:
    """The command of a group that is named first among what was typed, if any is."""
    known = group.list_commands(context)
    return group.get_command(context, next((one for one in typed if one in known), ""))


def _options(command: click.Command, context: click.Context) -> list[str]:
    """The names of a command's options."""
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    return [name for one in options for name in (*one.opts, *one.secondary_opts)]


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
