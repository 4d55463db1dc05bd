"""The feeds of a collector, made as `[[feeds]]` says; what each needs is loaded when there is one of its kind."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from acquisition.drivers.clock import Clock
from acquisition.drivers.sources.plans import FeedPlan, FolderTable, MqttTable, SqlTable

if TYPE_CHECKING:
    from acquisition.drivers.sources.feed import Feed

MAKERS = {
    SqlTable: "acquisition.drivers.sources.sql:SqlFeed",
    MqttTable: "acquisition.drivers.sources.mqtt:MqttFeed",
    FolderTable: "acquisition.drivers.sources.folder:FolderFeed",
}


def feeds_of(plans: Sequence[FeedPlan], clock: Clock) -> tuple[Feed, ...]:
    """Make the feeds.

    Raises
    ------
    InputError
        One cannot be as it is told: an extra or a database driver is missing, a password cannot be read.
    """
    return tuple(_feed(plan, clock) for plan in plans)


def _feed(plan: FeedPlan, clock: Clock) -> Feed:
    module, _, name = MAKERS[type(plan.told)].partition(":")
    made: Feed = getattr(importlib.import_module(module), name)(plan, clock)
    return made
