"""Figures of `make run`: first page, whole history, memory, fifty readers, the first incidents of both classes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import many_users
import psutil
import rig

PAGE_S, HISTORY_S, MEMORY_MIB = 60, 240, 3 * 1024
USERS, WITHIN_S, VIEW_S = 50, 5, 1.0
BOTH_S = 300
"""Within so long after the plants run on, an incident of each class must have come."""
FIRST, COMPLETE, LIVE = "First data are on the page", "The page is here", "Ctrl-C stops"


@dataclass
class Demonstration:
    """A running `nengliu demo`: what it printed and when, and what its processes held at most."""

    home: Path
    port: int
    process: subprocess.Popen[str]
    began: float = field(default_factory=time.monotonic)
    lines: list[tuple[float, str]] = field(default_factory=list)
    most_mib: float = 0.0

    def follow(self) -> None:
        """Note every line with its time."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append((time.monotonic() - self.began, line.rstrip()))

    def weigh(self) -> None:
        """Note the memory of all its processes (resident, shared pages counted once each)."""
        while self.process.poll() is None:
            tree = [psutil.Process(self.process.pid)]
            held = 0
            for process in tree + tree[0].children(recursive=True):
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            self.most_mib = max(self.most_mib, held / 2**20)
            time.sleep(1)

    def said(self, words: str, within_s: float) -> float | None:
        """Wait for a line; its time since the start [s], None if it did not come."""
        while time.monotonic() - self.began < within_s and self.process.poll() is None:
            for at, line in list(self.lines):
                if words in line:
                    return at
            time.sleep(0.2)
        return None


def prove(report: rig.Report) -> None:
    """Run the demonstration on a fresh home and measure it."""
    home = Path(tempfile.mkdtemp(prefix="nengliu-minutes-"))
    demonstration = _start(home)
    try:
        _history(demonstration, report)
        _readers(demonstration, report)
        _incidents(demonstration, report)
        report.point(
            "memory of all processes at most",
            f"{demonstration.most_mib:.0f} MiB",
            holds=demonstration.most_mib < MEMORY_MIB,
        )
        report.note(f"disk: {_size(home) / 2**20:.0f} MiB")
    finally:
        demonstration.process.send_signal(signal.SIGTERM)
        demonstration.process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def _start(home: Path) -> Demonstration:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    words = [sys.executable, "-P", "-m", "nengliu.cli", "--lang", "en", "demo", "--port", str(port)]
    environment = os.environ | {"NENGLIU_HOME": str(home)}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    demonstration = Demonstration(home, port, process)
    for work in (demonstration.follow, demonstration.weigh):
        threading.Thread(target=work, daemon=True).start()
    return demonstration


def _history(demonstration: Demonstration, report: rig.Report) -> None:
    first = demonstration.said(FIRST, 2 * PAGE_S)
    report.point("first data on the page", f"{first} s", holds=first is not None and first <= PAGE_S)
    whole = demonstration.said(COMPLETE, 3 * HISTORY_S)
    told = json.loads((demonstration.home / "demo.json").read_text(encoding="utf-8"))
    figure = f"{told['readings']:,} readings in {whole} s"
    report.point("history complete", figure, holds=whole is not None and whole <= HISTORY_S)
    demonstration.said(LIVE, 4 * HISTORY_S)
    for _, line in demonstration.lines:
        if line.strip()[:2] in ("1.", "2.", "3."):
            report.note(line.strip())


def _readers(demonstration: Demonstration, report: rig.Report) -> None:
    logins = json.loads((demonstration.home / "demo-logins.json").read_text(encoding="utf-8"))
    address = f"http://127.0.0.1:{demonstration.port}"
    cookie = many_users.logged_in(address, "analyst", logins["analyst"])
    views = many_users.first_views(address, cookie, USERS, WITHIN_S)
    middle, high = (many_users.quantile(views, share) for share in (0.5, 0.95))
    figure = f"{len(views)} of {USERS} served, p50 {middle:.2f} s, p95 {high:.2f} s"
    report.point(
        f"{USERS} users in {WITHIN_S} s on the overview", figure, holds=len(views) == USERS and high < VIEW_S
    )


def _incidents(demonstration: Demonstration, report: rig.Report) -> None:
    since, seen = demonstration.said(LIVE, 4 * HISTORY_S) or 0.0, dict[str, float]()
    command = [
        sys.executable,
        "-P",
        "-m",
        "nengliu.cli",
        "query",
        "incidents",
        "--format",
        "json",
        "--set",
        "state=open",
    ]
    while time.monotonic() - demonstration.began < since + BOTH_S and len(seen) < 2:
        done = subprocess.run(
            command,
            env=os.environ | {"NENGLIU_HOME": str(demonstration.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        for line in done.stdout.splitlines():
            kind = json.loads(line)["class"]
            if kind in ("link", "meter"):
                seen.setdefault(kind, time.monotonic() - demonstration.began - since)
        time.sleep(2)
    figure = ", ".join(f"{kind} after {at:.0f} s" for kind, at in seen.items()) or "none"
    report.point("incidents of both classes arrive while one watches", figure, holds=len(seen) == 2)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
