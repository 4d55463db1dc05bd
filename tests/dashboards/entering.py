"""A works that enters by hand, through the real log and flows: what a page sends is taken in as in an installation.

Readings lie beside the real now: the page asks for times of today.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from factories import make_frame, make_meter, make_point, make_schema

from flows import embedded
from nengliu.bus.open import open_log, publish_entered
from nengliu.domain.points import Enterprise, Formula, Kind, Point
from nengliu.domain.times import CHINA, to_ms
from nengliu.settings import Settings
from nengliu.storage import connect, migrate
from schemas.messages import (
    Activity,
    ActivityNotice,
    Entered,
    EnterpriseNotice,
    EntryNotice,
    PointNotice,
    SchemaNotice,
    decode,
    encode,
)
from schemas.topics import RAW

WORKS, OTHER = "91998000MA1NLDEMO8", "91998000MA1NLDEMO9"
NAMES = {WORKS: ("北河<电炉>厂", "Beihe <Arc> Works"), OTHER: ("北河陶瓷厂", "Beihe Ceramics")}
HOUR_MS = 3_600_000
LAST_H = 3
"""The main meter was last read so many hours ago."""


HOUR = datetime.now(CHINA).replace(minute=0, second=0, microsecond=0)
"""Start of the hour in China in which the tests began; the clock may go on meanwhile."""


def points(code: str) -> list[Point]:
    """A main meter that is read by machine, a ledger, a gauge, an amount and a computed point."""
    fixed = {"enterprise": code, "interval_s": 3600}
    more = fixed | {"metering_level": 0}
    main, ledger = (make_meter(modulus=10**8),), (make_meter(unit="t", decimals=3),)
    coal = {"name": "原煤台账", "name_en": "Coal ledger", "item": "raw_coal", "unit": "t", "decimals": 3}
    oven = {"name": "炉温", "name_en": "Oven", "item": "temperature", "unit": "degC"}
    cast = {"name": "铸件产量", "name_en": "Castings", "item": "product", "unit": "t"}
    total = {
        "enterprise": code,
        "interval_s": 0,
        "name": "合计",
        "name_en": "Sum",
        "formulas": (Formula(0, '"e-main" * 2'),),
    }
    return [
        make_point("e-main", name="总进线", name_en="Incoming supply", meters=main, **fixed),
        make_point("coal", meters=ledger, **coal, **fixed),
        make_point("t-oven", Kind.GAUGE, **oven, **more),
        make_point("p-cast", Kind.PERIOD, **cast, **more),
        make_point("e-sum", Kind.PERIOD, **total),
    ]


def settle(settings: Settings) -> None:
    """Lay the tables and let the flows take in two works, and what the first one has entered so far."""
    client = connect(settings)
    migrate(client, settings.database)
    client.close()
    end_ms = to_ms(HOUR) - LAST_H * HOUR_MS
    messages = []
    for code, (name, name_en) in NAMES.items():
        works = Enterprise(code, name, name_en, region="990100", industry="C3110", simulated=True)
        schema = make_schema(enterprise=code, columns=(("e-main", "kWh", 2),))
        notices = [EnterpriseNotice(works), *map(PointNotice, points(code)), SchemaNotice(schema)]
        at = end_ms + HOUR_MS * np.arange(-48, 1)
        values = (1_000_000 + 12_345 * np.arange(len(at)))[:, None]
        frame = make_frame(values, enterprise=code, read_at_ms=at, received_at_s=end_ms // 1000 + 5)
        messages += [(code, encode(notice)) for notice in [*notices, frame]]
    with open_log(settings) as log:
        log.append(RAW, messages)
        for act in acts():
            publish_entered(log, act)
    take_in(settings)


def acts() -> list[EntryNotice | ActivityNotice]:
    """What was entered before the test: a value that counts, one beside, one refused, and figures with a correction."""
    now = HOUR
    at_s = to_ms(now) // 1000 - 3600
    month = f"{(now.replace(day=1) - timedelta(days=1)):%Y-%m}"
    hours = [to_ms(now) - n * HOUR_MS for n in (2, 5, 30)]
    why = "表计显示屏损坏，现场抄表"
    return [
        EntryNotice(WORKS, "works", at_s, (Entered("e-main", hours[0], "16049.00", "kWh", why),)),
        EntryNotice(
            WORKS,
            "works",
            at_s + 60,
            (
                Entered("e-main", hours[1], "15000", "kWh", why),
                Entered("e-sum", hours[1], "1", "kWh", "<script>alert(1)</script>"),
                Entered("coal", hours[2], "512.5", "t", "每日盘库"),
            ),
        ),
        EntryNotice(WORKS, "works", at_s + 120, (Entered("coal", hours[2], "512.125", "t", "抄错，更正"),)),
        ActivityNotice(
            WORKS,
            (
                Activity("output_value", month, 1250.5, "10k CNY", "统计月报"),
                Activity("output:铸件", month, 830.25, "t", "统计月报"),
                Activity("plan:铸件", month, 900.0, "t", "年度计划"),
            ),
            "imported",
            "works",
            at_s,
        ),
        ActivityNotice(
            WORKS,
            (Activity("output_value", month, 1260.0, "10k CNY", "更正"),),
            "entered",
            "works",
            at_s + 60,
        ),
        ActivityNotice(
            OTHER, (Activity("staff", month, 77.0, "persons", "secret of others"),), "entered", "other", at_s
        ),
    ]


def take_in(settings: Settings) -> None:
    """Let the flows take in what the log holds."""
    embedded.run(settings, stop_at_end=True)


def sent(
    settings: Settings, kind: type[EntryNotice] | type[ActivityNotice]
) -> list[EntryNotice | ActivityNotice]:
    """Give what was entered by messages of a kind, in the order of the log."""
    with open_log(settings) as log:
        records = [r for p in range(settings.partitions) for r in log.read(RAW, p, 0, 10_000)]
    return [notice for record in records if isinstance(notice := decode(record.value), kind)]
