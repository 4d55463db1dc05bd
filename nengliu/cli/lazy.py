"""Groups of commands of which only the one that is called is loaded, so `--help` stays fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import ClassVar

import click

from nengliu.cli.language import say


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads them when they are called.

    Attributes
    ----------
    places
        Where each command lies, as ``module:name``, the most wanted first.
    texts
        Where their sentences lie: the text ``<texts>.<name>``.
    """

    places: ClassVar[Mapping[str, str]]
    texts: ClassVar[str]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, the most wanted first."""
        del ctx
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None if there is none of that name."""
        del ctx
        if cmd_name not in self.places:
            return None
        module, _, name = self.places[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their sentence, without loading any of them."""
        del ctx
        with formatter.section(say("help.commands")):
            formatter.write_dl([(name, say(f"{self.texts}.{name}")) for name in self.places])
