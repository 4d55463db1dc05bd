"""`nengliu acquire`: what people do about meters beside collecting: plan a line, find meters, enter by hand, command.

Each sub-command lies in a module of its own, loaded when it is called.
"""

from __future__ import annotations

import importlib

import click

from nengliu.cli.language import examples, say

COMMANDS: dict[str, str] = {
    "plan": "nengliu.cli.acquire_plan:plan",
    "scan": "nengliu.cli.acquire_scan:scan_command",
    "detect": "nengliu.cli.acquire_detect:detect_command",
    "template": "nengliu.cli.acquire_template:template",
    "feeds": "nengliu.cli.acquire_feeds:feeds",
    "enter": "nengliu.cli.acquire_enter:enter",
    "activity": "nengliu.cli.acquire_activity:activity",
    "read": "nengliu.cli.acquire_read:read",
    "configure": "nengliu.cli.acquire_configure:configure",
    "frames": "nengliu.cli.acquire_buffer:frames",
    "forget-centre": "nengliu.cli.acquire_buffer:forget_centre",
}
"""Where each sub-command lies, as ``module:name``; its sentence is the text ``acquire.<name>``."""


class AcquireGroup(click.Group):
    """The sub-commands, loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them, the first needed first."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one; None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them with their sentence, without loading any."""
        del ctx
        with formatter.section(say("help.commands")):
            formatter.write_dl([(name, say(f"acquire.{name}")) for name in COMMANDS])


@click.group(cls=AcquireGroup, help=say("command.acquire"), epilog=examples("acquire"))
def acquire() -> None:
    """Hold the sub-commands together."""
