"""An installation of its own for a proof: the product's commands as processes, its rows as fingerprints."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from nengliu.bus import Log
from nengliu.bus.open import open_log
from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage import await_store, connect

PARTITIONS = 4
KEPT = (
    "reading", "reading_superseded", "quarantine", "intake", "enterprise", "point", "frame_schema", "import_run",
    "window_15min", "window_hour", "window_day", "window_month", "window_15min_history", "window_day_history",
)  # fmt: skip
APPENDED = ("enterprise", "point", "frame_schema", "import_run")
"""Rows that say when the log took their message: another run has other times."""
COMPARED = dict.fromkeys(APPENDED, "* EXCEPT (known_at)") | dict.fromkeys(
    ("intake", "quarantine"), "* EXCEPT (received_at), if(source = '', 0, toUnixTimestamp(received_at))"
)
"""Columns that are compared, if not all: of a message nobody can open the receipt, too, is when the log took it."""


class Installation:
    """A home folder with its store and flow; `with` stops everything and removes it."""

    def __init__(self, bus: str = "") -> None:
        self.home = Path(tempfile.mkdtemp(prefix="nengliu-prove-"))
        self.settings = Settings(home=self.home, partitions=PARTITIONS, bus=bus)
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Installation:
        self.store()
        self.run("migrate")
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children.values():
            child.kill()
            child.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "nengliu.cli", "--lang", "en", *words]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "NENGLIU_HOME": str(self.settings.home),
            "NENGLIU_PARTITIONS": str(PARTITIONS),
            "NENGLIU_EPOCH_S": "1",
            "NENGLIU_BUS": self.settings.bus,
        }

    def run(self, *words: str) -> str:
        """Run one of the product's commands to its end."""
        done = subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"nengliu {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, name: str, command: list[str]) -> None:
        """Start a part in the background."""
        with (self.home / f"{name}.out").open("ab") as out:
            self.children[name] = subprocess.Popen(command, env=self.environment, stdout=out, stderr=out)

    def store(self) -> None:
        """Start the store and wait until it answers."""
        self.start("store", self.command("store"))
        try:
            await_store(self.settings, alive=lambda: self.children["store"].poll() is None)
        except StorageError as error:
            said = (self.home / "store.out").read_text()[-2000:]
            raise SystemExit(f"the store did not start: {said}") from error

    def move(self, home: Path) -> None:
        """Go on with another home folder, which the first one holds."""
        self.settings = replace(self.settings, home=home)

    def kill(self, name: str) -> None:
        """Kill a part with signal 9."""
        self.children[name].send_signal(signal.SIGKILL)
        self.children[name].wait()

    def import_file(self, file: Path, plan: Path) -> dict[str, object]:
        """Import by the product's command; its report."""
        found: dict[str, object] = json.loads(
            self.run("import", str(file), "--map", str(plan), "--yes", "--json")
        )
        return found

    def flow(self) -> None:
        """Let the flows take in all the log holds."""
        self.run("flow", "all", "--stop-at-end")

    def ask(self, name: str, as_of: str = "", **parameters: object) -> list[dict[str, object]]:
        """Ask a named question by the product's command."""
        words = [word for key, value in parameters.items() for word in ("--set", f"{key}={value}")]
        words += ["--as-of", as_of] if as_of else []
        found: list[dict[str, object]] = [
            json.loads(line) for line in self.run("query", name, "--format", "json", *words).splitlines()
        ]
        return found

    def fingerprints(self, tables: tuple[str, ...] = KEPT) -> dict[str, tuple[int, int]]:
        """Rows and an order-free hash over all columns of the `FINAL` rows of some tables."""
        client = connect(self.settings)
        found = {}
        for table in tables:
            final = "" if table == "reading" else "FINAL"  # a view that reads its table so
            columns = COMPARED.get(table, "*")
            query = (
                f"SELECT count(), sum(cityHash64({columns})) FROM {self.settings.database}.{table} {final}"
            )
            found[table] = tuple(client.query(query).result_rows[0])
        client.close()
        return found  # type: ignore[return-value]

    def stored(self) -> int:
        """Readings the store holds now; -1 while it is away."""
        try:
            client = connect(self.settings)
            count = client.command(f"SELECT count() FROM {self.settings.database}.reading")
            client.close()
        except Exception:  # noqa: BLE001 - it may be killed at any moment, that is the point
            return -1
        return int(count)

    def log(self) -> Log:
        """The installation's log."""
        return open_log(self.settings)


class Scratch(tempfile.TemporaryDirectory[str]):
    """A folder that is gone in the end, as a path."""

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(super().__enter__())


@dataclass
class Report:
    """Lines of a proof: a point, its figure, and whether it holds."""

    failed: list[str] = field(default_factory=list)

    def point(self, name: str, figure: object, *, holds: bool) -> None:
        """Print one point."""
        print(f"{'ok  ' if holds else 'FAIL'}  {name}: {figure}", flush=True)
        if not holds:
            self.failed.append(name)

    def note(self, text: str) -> None:
        """Print a line that is no point."""
        print(f"      {text}", flush=True)


def parser(text: str | None, *points: str, file: str = "") -> argparse.ArgumentParser:
    """Words every proof takes: points, seed and, if one of its files is named, the folder of the data files."""
    words = argparse.ArgumentParser(description=text)
    if file:
        words.add_argument(
            "--data", type=_folder_with(file), required=True, help="folder with the data files"
        )
    words.add_argument("--seed", type=int, default=int(time.time()), help="seed of all that is drawn")
    words.add_argument("--only", nargs="+", choices=points, default=points, help="points to prove")
    return words


def _folder_with(file: str) -> Callable[[str], Path]:
    def folder(word: str) -> Path:
        if not (Path(word) / file).is_file():
            raise argparse.ArgumentTypeError(
                f"{word!r}: expected the data files, {file} among them; give the folder with DATA="
            )
        return Path(word)

    return folder


def prove(proofs: dict[str, Callable[[], None]], chosen: argparse.Namespace, report: Report) -> int:
    """Prove the chosen points and say how long each took; the exit code, 1 if any falls short."""
    for name in chosen.only:
        start = time.monotonic()
        proofs[name]()
        report.note(f"{name} took {time.monotonic() - start:.0f} s, seed {chosen.seed}")
    print(f"{len(report.failed)} of the points fall short" if report.failed else "all points hold")
    return 1 if report.failed else 0
