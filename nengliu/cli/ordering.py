"""Sending an order to a collector and waiting for its answer in the log."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from nengliu.bus import Log, partition_of
from nengliu.errors import ContractError
from nengliu.settings import Settings
from schemas.messages import LinkEvent, LinkNotice, decode
from schemas.orders import Order, encode_order
from schemas.topics import COMMANDS, RAW

LOOK_S = 0.2
READ_ROWS = 500
DAY_S = 86_400


def order_and_wait(
    log: Log,
    settings: Settings,
    order: Order,
    kinds: Collection[int],
    named: tuple[str, str],
    patience_s: float,
) -> LinkEvent | None:
    """Send an order and give the event that answers it; None: nothing came in time.

    Parameters
    ----------
    kinds, named
        The event is one of these kinds, and has this parameter.
    """
    partition = partition_of(order.enterprise, log.partitions(RAW))
    offset = log.bounds(RAW, partition).end
    log.create(COMMANDS, settings.partitions)
    log.trim(COMMANDS, int(time.time()) - settings.log_days * DAY_S)
    log.append(COMMANDS, [(order.enterprise, encode_order(order))])
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        records = log.read(RAW, partition, offset, READ_ROWS)
        for record in records:
            offset = record.offset + 1
            for event in _events(record.value, order):
                if event.kind in kinds and event.parameters.get(named[0]) == named[1]:
                    return event
        if not records:
            time.sleep(LOOK_S)
    return None


def _events(value: bytes, order: Order) -> Iterator[LinkEvent]:
    """Events of the collector that was asked; messages of others are passed over."""
    try:
        message = decode(value)
    except ContractError:  # a foreign sender, or what ingest puts into the quarantine
        return
    if isinstance(message, LinkNotice) and (message.enterprise, message.source) == (
        order.enterprise,
        order.source,
    ):
        yield from message.events
