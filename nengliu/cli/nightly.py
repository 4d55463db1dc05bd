"""The nightly audit: once a day, in the hour that is set, beside the parts of an installation (docs/decisions/0028).

`nengliu up` starts it; where the parts run as services, `nengliu audit --nightly` is one of them.  What it found
last lies in ``HOME/audit.json``, for the doctor and for people; its date says that the day is done.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from nengliu import telemetry
from nengliu.cli.checks import Check
from nengliu.cli.health import AUDIT_S, show_life
from nengliu.cli.language import say
from nengliu.domain.times import CHINA_OFFSET_MS
from nengliu.settings import Settings

NICE = 10
"""The audit gives way to everything else on the machine."""
_COMMAND = ("-P", "-m", "nengliu.cli", "audit", "--format", "json")
_DAY_S, _OFFSET_S = 86_400, CHINA_OFFSET_MS // 1000


def report_file(settings: Settings) -> Path:
    """What the last nightly audit said, as JSON."""
    return settings.home / "audit.json"


class Nightly:
    """Starts the audit of a day and takes its report; whoever owns the main loop calls `tick`."""

    def __init__(self, settings: Settings) -> None:
        """Nothing runs yet."""
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._out: IO[bytes] | None = None

    def tick(self, now_s: float) -> None:
        """Start the audit if it is due at `now_s` [s since 1970], or see whether it has ended."""
        if self._process is not None:
            if self._process.poll() is not None:
                self._take()
        elif self.is_due(now_s):
            self._start()

    def is_due(self, now_s: float) -> bool:
        """Whether it is the hour, in China, and no audit of this day is there."""
        day, second = divmod(int(now_s) + _OFFSET_S, _DAY_S)
        return second // 3600 == self.settings.audit_hour and self._done_on() < day

    def stop(self) -> None:
        """End an audit that runs; the day is not done."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
        if self._out is not None:
            self._out.close()

    def _done_on(self) -> int:
        """China day number of the last report; -1: never."""
        try:
            return (int(report_file(self.settings).stat().st_mtime) + _OFFSET_S) // _DAY_S
        except OSError:
            return -1

    def _start(self) -> None:
        self._out = report_file(self.settings).with_suffix(".new").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, *_COMMAND],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            env={**os.environ, "NENGLIU_HOME": str(self.settings.home)},
            preexec_fn=lambda: os.nice(NICE),  # noqa: PLW1509 - no thread of ours forks
        )

    def _take(self) -> None:
        """Keep the report; without one (the store was away) the audit is tried again within the hour."""
        assert self._process is not None
        assert self._out is not None
        self._out.close()
        file, self._process = report_file(self.settings), None
        found = read_report(file.with_suffix(".new"))
        if found is None:
            telemetry.logger.warning("AuditFailed; it is tried again while the hour lasts")
            return
        file.with_suffix(".new").replace(file)
        telemetry.emit(telemetry.AuditEnded(1, findings=len(found["findings"])))


def read_report(file: Path) -> dict[str, Any] | None:
    """Read a report; None if there is none or it was not written to its end."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def keep_watch(settings: Settings) -> None:
    """Audit every night until it is stopped."""
    nightly = Nightly(settings)
    try:
        while True:
            show_life(settings, "audit")
            nightly.tick(time.time())
            time.sleep(AUDIT_S)
    finally:
        nightly.stop()


def audit_check(settings: Settings) -> Check | None:
    """What the doctor says of the last nightly audit; None before the first one."""
    found = read_report(report_file(settings))
    if found is None:
        return None
    count = len(found["findings"])
    span = f"{str(found['from'])[:7]} .. {str(found['to'])[:10]}"
    told = say("doctor.audit_found", span=span, count=count)
    return Check("audit", count == 0, told, say("cure.audit", file=report_file(settings)))
