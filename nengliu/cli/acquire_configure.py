"""`nengliu acquire configure`: give a collector another configuration from the centre."""

from __future__ import annotations

import getpass
import sys
import time
import tomllib
from pathlib import Path

import click

from nengliu import settings as settings_of
from nengliu.bus.open import open_log
from nengliu.cli.language import examples, say
from nengliu.cli.ordering import order_and_wait
from nengliu.domain.links import LinkKind
from nengliu.errors import InputError
from schemas.orders import ConfigNotice


@click.command(help=say("acquire.configure"), epilog=examples("acquire_configure"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--version", "version", default="", help=say("order.opt_version"))
@click.option(
    "--within",
    "within_s",
    type=click.IntRange(1, 3600),
    default=60,
    show_default=True,
    help=say("order.opt_within"),
)
@click.option("--by", default="", help=say("order.opt_by"))
def configure(file: Path, version: str, within_s: int, by: str) -> None:
    """Send it and say what became of it."""
    now, now_s = settings_of.load(), int(time.time())
    text, enterprise, collector = _read(file)
    name = version or time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_s))
    order = ConfigNotice(enterprise, collector, name, text, by or getpass.getuser(), now_s)
    with open_log(now) as log:
        kinds = LinkKind.CONFIG_APPLIED, LinkKind.CONFIG_REFUSED
        answer = order_and_wait(log, now, order, kinds, ("version", name), within_s)
    if answer is None:
        click.echo(say("order.no_answer", collector=collector, seconds=within_s), err=True)
        sys.exit(3)
    if answer.kind == LinkKind.CONFIG_REFUSED:
        raise InputError(say("order.refused_version", version=name, error=answer.parameters["error"]))
    click.echo(say("order.applied", version=name, collector=collector))


def _read(file: Path) -> tuple[str, str, str]:
    """Read a configuration, and whose it is; the collector checks the rest, with its own maps."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        told = tomllib.loads(text)
        return text, str(told["enterprise"]["enterprise"]), str(told["name"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"{file}: expected a collector.toml with name and enterprise, got: {error!r}"
        ) from error
