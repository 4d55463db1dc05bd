"""`nengliu acquire`: what people do about meters beside collecting: plan a line, find meters, enter by hand, command.

Each sub-command lies in a module of its own, loaded when it is called.
"""

from __future__ import annotations

import click

from nengliu.cli.language import examples, say
from nengliu.cli.lazy import LazyGroup

COMMANDS: dict[str, str] = {
    "plan": "nengliu.cli.acquire_plan:plan",
    "scan": "nengliu.cli.acquire_scan:scan_command",
    "detect": "nengliu.cli.acquire_detect:detect_command",
    "template": "nengliu.cli.acquire_template:template",
    "feeds": "nengliu.cli.acquire_feeds:feeds",
    "events": "nengliu.cli.acquire_events:events",
    "enter": "nengliu.cli.acquire_enter:enter",
    "activity": "nengliu.cli.acquire_activity:activity",
    "read": "nengliu.cli.acquire_read:read",
    "configure": "nengliu.cli.acquire_configure:configure",
    "frames": "nengliu.cli.acquire_buffer:frames",
    "forget-centre": "nengliu.cli.acquire_buffer:forget_centre",
}
"""Where each sub-command lies, as ``module:name``; its sentence is the text ``acquire.<name>``."""


class _Acquire(LazyGroup):
    """The sub-commands."""

    places = COMMANDS
    texts = "acquire"


@click.group(cls=_Acquire, help=say("command.acquire"), epilog=examples("acquire"))
def acquire() -> None:
    """Hold the sub-commands together."""
