"""Point 3: kill -9 of collector, flow, store and broker at random, while a plant is read over a real broker."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import edge
import rig

from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from nengliu.storage import connect
from schemas.topics import RAW

if TYPE_CHECKING:
    from broker.server import Broker

KILLS = 40
PARTS = ("collector",) * 13 + ("flow",) * 10 + ("store",) * 9 + ("broker",) * 8
"""Who is killed, in an order drawn anew for each run."""
SPANS = 60
INTERVAL_S = 60
LONGEST_DAYS = 30


def prove(broker: Broker, report: rig.Report, seed: int) -> None:
    """Kill, restart, and compare what is left with the truth."""
    rng = random.Random(seed)
    how = {"interval_s": INTERVAL_S, "heartbeat_s": 600}
    with edge.edge(broker.bootstrap, seed, **how) as one:
        one.plants.time.limit_ms = one.plants.start_ms + LONGEST_DAYS * DAY_MS
        one.start()
        one.installation.start("flow", one.installation.command("flow", "all"))
        time.sleep(3)
        done = kill_all(one, broker, report, rng)
        time.sleep(3)
        one.stop()
        one.installation.kill("flow")
        one.installation.flow()
        judge(one, report, rng, done)


def kill_all(one: edge.Edge, broker: Broker, report: rig.Report, rng: random.Random) -> Counter[str]:
    """Kill every part in turn and start it again; the collector stays away for minutes or hours of its time."""
    order = list(PARTS)
    rng.shuffle(order)
    done: Counter[str] = Counter()
    for number, part in enumerate(order, 1):
        time.sleep(rng.uniform(0.5, 2.5))
        flight = in_flight(one)
        done[part] += 1
        if part == "broker":
            broker.kill()
            time.sleep(rng.uniform(0, 1.5))
            broker.start()
        else:
            one.installation.kill(part)
            if part == "collector":
                away_ms = rng.choice([0, 90_000, 20 * 60_000, 5 * HOUR_MS])
                one.plants.time.set(one.plants.time() + away_ms)
                one.start()
            elif part == "store":
                one.installation.store()
            else:
                one.installation.start("flow", one.installation.command("flow", "all"))
        if one.installation.children["flow"].poll() is not None:  # it gave up while store or broker was away
            one.installation.start("flow", one.installation.command("flow", "all"))
        if one.installation.children["collector"].poll() is not None:
            one.said()
        report.note(f"kill {number:2d}: {part:9s} {flight}")
    return done


def in_flight(one: edge.Edge) -> str:
    """What was on its way at this moment."""
    day = (one.plants.time() - one.plants.start_ms) / DAY_MS
    with one.installation.log() as log:
        messages = sum(log.bounds(RAW, part).end for part in range(rig.PARTITIONS))
    stored = one.installation.stored()
    return f"on day {day:5.2f}, {messages} messages in the log, {stored} readings stored, {one.status()}"


def judge(one: edge.Edge, report: rig.Report, rng: random.Random, done: Counter[str]) -> None:
    """Hold the store against the buffer, the buffer against the slots, and the sums against the truth."""
    what, stored, windows = edge.kept(one), edge.stored(one.installation), edge.windows(one.installation)
    sequences = edge.in_log(one.installation)
    unique = set(sequences)
    told = edge.sequences(one.buffer_file)
    figure = ", ".join(f"{part} {count}" for part, count in sorted(done.items()))
    report.point("3 kills", f"{sum(done.values())}: {figure}", holds=sum(done.values()) >= KILLS)
    report.point(
        "3 nothing acknowledged is lost",
        f"{len(told)} messages in the buffer, {len(told - unique)} not in the log, {len(unique - told)} in the log "
        f"only, {len(sequences) - len(unique)} repetitions",
        holds=told == unique,
    )
    report.point(
        "3 nothing is doubled or invented",
        f"{len(stored)} readings stored, {len(what.readings)} in the buffer, "
        f"{len(edge.wrong_registers(one.plants, stored))} unlike the meter",
        holds=stored == what.readings and not edge.wrong_registers(one.plants, stored),
    )
    counted, wrong = edge.wrong_spans(one.plants, stored, windows, rng, SPANS)
    report.point(
        "3 every total over a span whose edges were read is exact",
        f"{counted - len(wrong)} of {counted} {wrong[:2] or ''}",
        holds=not wrong,
    )
    due, strange = edge.unaccounted(one, what)
    missing = sum(what.missed.values())
    report.point(
        "3 every due reading is there, or missing with its reason",
        f"{due} due, {len(what.readings)} read, {missing} missing, {len(strange)} unaccounted {strange[:2] or ''}",
        holds=not strange and missing > 0,
    )
    marked(one, windows, report)


def marked(one: edge.Edge, windows: edge.Windows, report: rig.Report) -> None:
    """Quarter-hours that nobody could read: all of their use is marked as estimated, none is a guessed zero."""
    unread = {key: row for key, row in windows.items() if key[0] in edge.counters() and row[2] == 0}
    guessed = [
        key
        for key, (used, estimated, _) in unread.items()
        if used != estimated
        or (used == 0 and edge.true_use(one.plants, key[0], key[1], key[1] + QUARTER_MS) > 20_000)
    ]
    client = connect(one.installation.settings)
    told = client.command(f"SELECT sum(count) FROM {one.installation.settings.database}.missed FINAL")
    client.close()
    report.point(
        "3 what nobody could read is marked, never guessed as zero",
        f"{len(unread)} quarter-hours without a reading, {len(guessed)} not marked; {told} missing readings "
        "in the store",
        holds=len(unread) > 0 and not guessed and int(told) == sum(edge.kept(one).missed.values()),
    )
