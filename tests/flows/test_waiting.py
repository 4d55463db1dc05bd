"""A column list that is declared late: what waited for it is found again by a flow that started anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factories import ENTERPRISE, make_frame, make_point, make_schema

from flows import ingest
from nengliu.bus.open import open_log
from nengliu.domain.quality import Reason
from nengliu.settings import Settings
from nengliu.storage import connect, disconnect
from nengliu.storage.client import dsn
from schemas.messages import PointNotice, SchemaNotice, encode
from schemas.topics import RAW

ASKED = (
    "SELECT count(), sum(ticks) FROM reading",
    "SELECT received, valid, quarantined FROM intake FINAL",
    "SELECT reason FROM quarantine FINAL",
)


def test_message_waits_through_a_restart(store_settings: Settings, tmp_path: Path) -> None:
    """The store holds it whole: one flow puts it by, the next takes it in."""
    settings = replace(store_settings, home=tmp_path, store=dsn(store_settings), partitions=1, epoch_s=1)
    client = connect(settings)
    seen = []
    frame = make_frame(((5,), (7,)))
    for told in ([PointNotice(make_point()), frame], [SchemaNotice(make_schema())]):
        with open_log(settings) as log:
            log.append(RAW, [(ENTERPRISE, encode(message)) for message in told])
        ingest.run(settings, stop_at_end=True)
        seen.append([client.query(question).result_rows for question in ASKED])
    disconnect(client)

    assert seen == [
        [[(0, 0)], [(1, 0, 1)], [(Reason.UNKNOWN_SCHEMA,)]],
        [[(2, 12)], [(2, 2, 0)], [(Reason.SCHEMA_CAME,)]],
    ]
