"""`nengliu acquire read`: have a collector read points or a meter now, and print what comes."""

from __future__ import annotations

import getpass
import sys
import time
import uuid

import click

from nengliu import settings as settings_of
from nengliu.bus.open import open_log
from nengliu.cli.imports import reason_text
from nengliu.cli.language import examples, say
from nengliu.cli.ordering import order_and_wait
from nengliu.domain.links import LinkKind
from nengliu.errors import InputError
from schemas.messages import LinkEvent, RejectedRow
from schemas.orders import CommandNotice

GRACE_S = 5
"""How much longer than its deadline an answer is waited for: it has to come up."""


@click.command(help=say("acquire.read"), epilog=examples("acquire_read"))
@click.argument("enterprise")
@click.argument("collector")
@click.argument("points", nargs=-1)
@click.option("--meter", default="", help=say("order.opt_meter"))
@click.option(
    "--within",
    "within_s",
    type=click.IntRange(1, 3600),
    default=30,
    show_default=True,
    help=say("order.opt_within"),
)
@click.option("--by", default="", help=say("order.opt_by"))
def read(
    enterprise: str, collector: str, points: tuple[str, ...], meter: str, within_s: int, by: str
) -> None:
    """Ask and print."""
    if bool(points) == bool(meter):
        raise InputError(say("order.what"))
    now, now_s = settings_of.load(), int(time.time())
    request, who = uuid.uuid4().hex[:12], by or getpass.getuser()
    order = CommandNotice(enterprise, collector, request, now_s + within_s, meter, points, who, now_s)
    with open_log(now) as log:
        kinds = (LinkKind.COMMAND_ANSWERED,)
        answer = order_and_wait(log, now, order, kinds, ("request", request), within_s + GRACE_S)
    if answer is None:
        click.echo(say("order.no_answer", collector=collector, seconds=within_s + GRACE_S), err=True)
        sys.exit(3)
    _show(answer)
    if answer.parameters["outcome"] != "ok":
        sys.exit(3)


def _show(answer: LinkEvent) -> None:
    told = answer.parameters
    for value in filter(None, told.get("values", "").split("; ")):
        click.echo(value)
    outcome = say(f"order.{told['outcome']}")
    click.echo(say("order.answered", outcome=outcome, came=told["came"], asked=told["asked"]))
    if answer.reason:
        click.echo(reason_text(RejectedRow(0, answer.reason, parameters=told)))
    if "error" in told:
        click.echo(told["error"])
