"""The figures: what the live edge costs and how soon it works again, by the product's own commands.

Definitions, said with each figure:

the collector
    CPU time over 60 s of its process, threads included, as a share of one core; peak of its memory over its whole
    life (``VmHWM``). No figure unless each meter's readings of each round, under its slot, are in the log.
bus to store
    `nengliu.cli.bench_chain.measure`: CPU of the flow and of the store, start and merges included; that of the broker
    is not counted. The load is the one in which the way from the log weighs most.
resume
    From the start of the new process (as the system noted it) until it does its work again:
    a flow: a reading appended after the kill is in its table of the store (`rollups`: its quarter-hour; this
    includes the way through ingest and its epoch);
    the store: it answers with what it holds and has taken a reading appended after the kill;
    the collector: a reading it took itself is in the log (the broker's own time);
    the page: a reader's session has drawn it, without an exception;
    the broker: it has taken a row of the collector; counted from its first answer, because how long it takes
    to start is not ours (said beside).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import rig
from confluent_kafka import Consumer, TopicPartition
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as open_socket

from nengliu.bus import partition_of
from nengliu.bus.open import open_log
from nengliu.cli import bench_chain as bench
from nengliu.domain.points import Column, Enterprise, Kind, Point, Schema
from nengliu.domain.times import QUARTER_MS
from nengliu.settings import Settings
from nengliu.storage import connect
from schemas.messages import MISSING, EnterpriseNotice, Frame, PointNotice, SchemaNotice, decode, encode
from schemas.topics import RAW, TOPICS

if TYPE_CHECKING:
    from broker.server import Broker

METERS, REGISTERS, INTERVAL_S = 200, 20, 10
WARM_S, MEASURE_S = 30, 60
CPU_SHARE, RSS_MIB = 0.15, 200
PAIRS, SCALE = 2, 0.5
BUS_RATIO = 0.8
PARTS = ("store", "ingest", "rollups", "collector", "dashboard")
FLOWS = ("ingest", "rollups")
KILLS = 3
RESUME_S = 3.0
PROBE = "91370200MA0PR0BE01"
LOOK_S = 0.05


def prove(broker: Broker, report: rig.Report, seed: int) -> None:
    """Measure all three figures."""
    for name, bus in (("SQLite", ""), ("Kafka", broker.bootstrap)):
        collector(name, bus, report, seed)
    buses(broker, report)
    resume(broker, report, seed)


# -- a collector of 200 meters ---------------------------------------------------------------


def collector(name: str, bus: str, report: rig.Report, seed: int) -> None:
    """Let one collector read 200 meters and watch what it costs."""
    installation = rig.Installation(bus)
    with ExitStack() as closing:
        closing.push(installation)  # neither store nor flow: the collector alone
        empty(installation.settings)
        fleet(installation, METERS, METERS, REGISTERS, INTERVAL_S, seed)
        config = str(installation.home / "collector.toml")
        installation.start("collector", installation.command("collect", "--config", config))
        to_middle(time.time() + WARM_S)
        process, began_s = psutil.Process(installation.children["collector"].pid), time.time()
        before = sum(process.cpu_times()[:2])
        to_middle(began_s + MEASURE_S - 1)
        ended_s = time.time()
        share = (sum(process.cpu_times()[:2]) - before) / (ended_s - began_s)
        peak = peak_mib(process.pid)
        load = loads()
        time.sleep(2)
        rounds = arrived(installation, began_s, ended_s)
    whole = [count == METERS * REGISTERS for count in rounds.values()]
    due = round((ended_s - began_s) / INTERVAL_S)
    report.point(
        f"figures collector over {name}: every reading of {METERS} meters x {REGISTERS} each {INTERVAL_S} s is there",
        f"{sum(whole)} of {due} rounds whole, {sum(rounds.values())} readings",
        holds=sum(whole) == due == len(rounds),
    )
    if all(whole) and len(rounds) == due:
        report.point(
            f"figures collector over {name}: less than {CPU_SHARE:.0%} of a core and {RSS_MIB} MiB",
            f"{share:.1%} over {ended_s - began_s:.0f} s, at most {peak:.0f} MiB ({load})",
            holds=share < CPU_SHARE and peak < RSS_MIB,
        )


def fleet(
    installation: rig.Installation, meters: int, lines: int, registers: int, interval_s: int, seed: int
) -> None:
    """Serve simulated meters and write the collector's configuration into the home folder."""
    wishes = {
        "port": free_ports(lines), "meters": meters, "lines": lines, "registers": registers,
        "interval": interval_s, "seed": seed, "write-config": installation.home / "collector.toml",
    }  # fmt: skip
    words = [word for key, value in wishes.items() for word in (f"--{key}", str(value))]
    installation.start("fleet", installation.command("simulate", *words))
    until((installation.home / "collector.toml").is_file, "the simulated meters", 30)


def to_middle(after_s: float) -> None:
    """Sleep until the middle between two rounds, when nothing is read."""
    round_s = (after_s // INTERVAL_S + 1) * INTERVAL_S
    time.sleep(max(round_s - INTERVAL_S / 2 - time.time(), 0) if after_s % INTERVAL_S < INTERVAL_S / 2 else
               round_s + INTERVAL_S / 2 - time.time())  # fmt: skip


def arrived(installation: rig.Installation, from_s: float, to_s: float) -> Counter[int]:
    """Count the readings in the log by the round they belong to [ms], for the rounds of a span; each meter once."""
    found: Counter[int] = Counter()
    seen: set[tuple[int, int]] = set()
    with installation.log() as log:
        for partition in range(rig.PARTITIONS):
            offset = 0
            while records := log.read(RAW, partition, offset, 5000):
                offset = records[-1].offset + 1
                for frame in (decode(record.value) for record in records):
                    if not isinstance(frame, Frame):
                        continue
                    at_ms = int(frame.read_at_ms[0])
                    if from_s * 1000 < at_ms < to_s * 1000 and (frame.schema, at_ms) not in seen:
                        seen.add((frame.schema, at_ms))
                        found[at_ms] += int((frame.values != MISSING).sum())
    return found


def peak_mib(process: int) -> float:
    """Most memory a process ever held [MiB]."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


# -- from either bus to the store ------------------------------------------------------------


def buses(broker: Broker, report: rig.Report) -> None:
    """Let the flows take the same load from either bus, in turn."""
    load = bench.Load("15 readings per window", 8, 60, 16 * SCALE)
    empty(Settings(home=Path("/nonexistent"), partitions=rig.PARTITIONS, bus=broker.bootstrap))
    results: dict[str, list[bench.Result]] = {"": [], broker.bootstrap: []}
    for _ in range(PAIRS):
        for bus, found in results.items():
            found.append(bench.measure(load, bus))
    rates = [statistics.median(one.rate for one in found) for found in results.values()]
    walls = [statistics.median(load.readings / one.wall_s for one in found) for found in results.values()]
    said = f"{rates[1]:,.0f} against {rates[0]:,.0f} readings per CPU-second of flow and store, not of the broker"
    clock = f"{walls[1] / walls[0]:.2f} ({walls[1]:,.0f} against {walls[0]:,.0f} readings/s)"
    report.point(
        f"figures bus to store: Kafka has at least {BUS_RATIO} of the SQLite log's rate",
        f"{rates[1] / rates[0]:.2f} ({said}); by the clock {clock}; "
        f"{load.readings:,} readings, {PAIRS} pairs, medians ({loads()})",
        holds=rates[1] / rates[0] >= BUS_RATIO,
    )


# -- how soon a killed part works again ------------------------------------------------------


@dataclass
class Centre:
    """`nengliu up --profile province` over the broker, with a collector that reads four meters each second."""

    broker: Broker
    installation: rig.Installation
    port: int = 0
    probes: int = 0
    base_ms: int = 0
    client: Any = None
    taken: dict[str, list[float]] = field(default_factory=lambda: {part: [] for part in (*PARTS, "broker")})
    more: dict[str, list[float]] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """Settings in force: the product's own epoch, not the rig's."""
        return self.installation.settings

    def start(self) -> None:
        """Start it and wait until every part works."""
        self.port = free_ports(1)
        self.base_ms = int(time.time() * 1000) // QUARTER_MS * QUARTER_MS - 400 * QUARTER_MS
        words = ["up", "--profile", "province", "--port", str(self.port)]
        environment = self.installation.environment
        del environment["NENGLIU_EPOCH_S"]
        with (self.installation.home / "up.out").open("ab") as out:
            self.installation.children["up"] = subprocess.Popen(
                self.installation.command(*words), env=environment, stdout=out, stderr=out
            )
        until(lambda: self.process("dashboard"), "the parts", 90)
        point = Point(PROBE, "probe", "探针", Kind.GAUGE, "active_power", "kW", 2, 900)
        notices = (
            EnterpriseNotice(Enterprise(PROBE, "恢复测试", "Resume probe", "370200", "3484", simulated=True)),
            PointNotice(point),
            SchemaNotice(Schema(PROBE, 1, (Column("probe", "kW", 2),))),
        )
        with open_log(self.settings) as log:
            log.append(RAW, [(PROBE, encode(notice)) for notice in notices])
        self.settle()
        until(lambda: draws(self.port), "the page", 60)

    def process(self, part: str) -> int:
        """Process id of a part; 0 while it is not there."""
        with suppress(KeyError, ValueError, OSError):
            return int(json.loads((self.installation.home / "up.lock").read_text())["parts"][part])
        return 0

    def probe(self) -> int:
        """Append a reading in the middle of a quarter-hour of its own; where that begins [ms]."""
        self.probes += 1
        begin_ms = self.base_ms + 2 * self.probes * QUARTER_MS
        now_s = int(time.time())
        stamp, value = np.array([begin_ms + QUARTER_MS // 2], np.int64), np.array([[self.probes]], np.int64)
        frame = Frame(PROBE, 1, "probe", self.probes, now_s, stamp, value)
        with open_log(self.settings) as log:
            log.append(RAW, [(PROBE, encode(frame))])
        return begin_ms

    def settle(self) -> None:
        """Wait until the whole way from the log to the windows is open."""
        at_ms = self.probe()
        until(lambda: self.in_store("window_15min", at_ms), "a probe", 60)

    def in_store(self, table: str, begin_ms: int) -> bool:
        """Whether the probe of a quarter-hour is in a table; False also while the store is away."""
        wanted = {
            "reading": f"read_at = fromUnixTimestamp64Milli({begin_ms + QUARTER_MS // 2})",
            "window_15min": f"period_start = fromUnixTimestamp({begin_ms // 1000}) AND received = 1",
        }
        query = (
            f"SELECT count() FROM {self.settings.database}.{table} FINAL WHERE enterprise = '{PROBE}' "
            f"AND {wanted[table]}"
        )
        try:
            self.client = self.client or connect(self.settings)
            return int(self.client.command(query)) == 1
        except Exception:  # noqa: BLE001 - it is killed at any moment, that is the point
            self.client = None
            return False

    def works(self, part: str, at_ms: int) -> Callable[[], bool]:
        """Say how one sees that a part does its work again."""
        table = "window_15min" if part == "rollups" else "reading"
        return (lambda: draws(self.port)) if part == "dashboard" else (lambda: self.in_store(table, at_ms))

    def kill(self, part: str) -> None:
        """Kill a part; measure how long after the start of the next process it works."""
        self.settle()
        before, end = self.process(part), self.log_end()
        os.kill(before, signal.SIGKILL)
        at_ms = self.probe()
        until(lambda: self.process(part) not in (0, before), f"another {part}", 40)
        started_s = started(self.process(part))
        if part == "store":
            until(lambda: self.in_store("reading", self.base_ms + 2 * QUARTER_MS), part)
            self.more.setdefault("store, until it answers", []).append(time.time() - started_s)
        if part == "collector":
            self.taken[part].append(self.row_after(end, started_s) - started_s)
        else:
            until(self.works(part, at_ms), part)
            self.taken[part].append(time.time() - started_s)

    def kill_broker(self) -> None:
        """Kill the broker; measure how long after its start it has taken a row of the collector."""
        self.settle()
        end = self.log_end()
        self.broker.kill()
        time.sleep(1)
        started_s = time.time()
        self.broker.start()
        answers_s = time.time()
        row_s = self.row_after(end, 0)
        self.taken["broker"].append(max(row_s - answers_s, 0))
        self.more.setdefault("broker, from the start of its process", []).append(row_s - started_s)

    # The log as it is, without an open log of ours between: its own time of taking a row.

    def log_end(self) -> TopicPartition:
        """Where the collector's partition ends."""
        fleet_of = next(
            line.split('"')[1]
            for line in (self.installation.home / "collector.toml").read_text().splitlines()
            if line.startswith("enterprise = ")
        )
        part = partition_of(fleet_of, rig.PARTITIONS)
        with open_log(self.settings) as log:
            edges = log.bounds(RAW, part)
        return TopicPartition(f"{RAW}.g{edges.generation}", part, edges.end)

    def row_after(self, end: TopicPartition, read_s: float) -> float:
        """When the log took the first reading after an offset whose stamp is not before an instant [s since 1970]."""
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "prove", "log_level": 0})
        consumer.assign([end])
        patience_s = time.monotonic() + 60
        try:
            while time.monotonic() < patience_s:
                message = consumer.poll(0.5)
                if message is None or message.error():
                    continue
                value = decode(message.value())
                taken_s = message.timestamp()[1] / 1000
                if isinstance(value, Frame) and value.read_at_ms[0] >= read_s * 1000:
                    return float(taken_s)
        finally:
            consumer.close()
        raise SystemExit(f"no reading in the log within 60 s:\n{self.said()}")

    def said(self) -> str:
        """What the parts wrote last."""
        files = (self.installation.home / "logs").glob("*.log")
        return "\n".join(f"--- {file.name}\n{file.read_text()[-800:]}" for file in files)


def resume(broker: Broker, report: rig.Report, seed: int) -> None:
    """Kill every part three times."""
    installation = rig.Installation(broker.bootstrap)
    with ExitStack() as closing:
        closing.push(installation)
        empty(installation.settings)
        fleet(installation, 4, 1, 2, 1, seed)
        centre = Centre(broker, installation)
        try:
            centre.start()
            for _ in range(KILLS):
                for part in PARTS:
                    centre.kill(part)
                centre.kill_broker()
        except Slow as slow:
            report.note(centre.said())
            report.point("figures every killed part works again", slow, holds=False)
        up = installation.children["up"]
        up.send_signal(signal.SIGTERM)
        up.wait(60)
    epoch = f"; an epoch of {centre.settings.epoch_s} s in each"
    for part, taken in centre.taken.items():
        each = ", ".join(f"{one:.2f}" for one in taken) + (epoch if part in FLOWS else "")
        report.point(
            f"figures {part} works within {RESUME_S:.0f} s of its restart",
            f"at worst {max(taken, default=0):.2f} s of {len(taken)} kills ({each}; {loads()})",
            holds=len(taken) == KILLS and max(taken) < RESUME_S,
        )
    for what, taken in centre.more.items():
        report.note(f"{what}: at worst {max(taken):.2f} s")


def draws(port: int) -> bool:
    """Whether a reader's session draws the page to its end, without an exception."""
    ask = BackMsg()
    ask.rerun_script.query_string = ""
    try:
        address = f"ws://127.0.0.1:{port}/_stcore/stream"
        with open_socket(address, open_timeout=2, max_size=None, proxy=None) as session:
            session.send(ask.SerializeToString())
            while True:
                said = ForwardMsg.FromString(session.recv(timeout=20))
                if said.delta.new_element.HasField("exception"):
                    return False
                if said.WhichOneof("type") == "script_finished":
                    if said.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                        return True
                    if said.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:  # it chose its first page
                        return False
    except (OSError, WebSocketException, TimeoutError):
        return False


# -- small things ----------------------------------------------------------------------------


class Slow(Exception):
    """Something did not come in its time."""


def until(holds: Callable[[], object], what: str, patience_s: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end:
            raise Slow(f"{what}: not within {patience_s:.0f} s")
        time.sleep(LOOK_S)


def started(process: int) -> float:
    """When a process was started [s since 1970]; the system counts in hundredths from its own start."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s


def empty(settings: Settings) -> None:
    """Lay the topics of a bus anew; the log in a file is new anyway."""
    if settings.bus:
        with open_log(settings) as log:
            for topic in TOPICS:
                log.renew(topic)


def free_ports(count: int) -> int:
    """Find the first of so many free ports in a row, below those the system gives away."""
    for first in range(15_000, 30_000, 250):
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    one = held.enter_context(socket.socket())
                    one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise Slow(f"{count} free ports in a row: none found")


def loads() -> str:
    """Say how busy the machine was."""
    one, five, _ = os.getloadavg()
    return f"load average {one:.1f} in 1 min, {five:.1f} in 5, {os.cpu_count()} cores"
