"""Every service of the compose file, its very command as a process: it becomes healthy by its own health check."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from factories import collector_toml

from nengliu.settings import Settings
from nengliu.storage.client import dsn

compose_file = pytest.importorskip("compose_file", reason="needs PyYAML (requirements/dev.txt)")
if not compose_file.FILE.is_file():
    pytest.skip("the compose file lies beside the sources", allow_module_level=True)

NENGLIU = [sys.executable, "-P", "-m", "nengliu.cli"]


class Services:
    """Runs services of the file without containers: their addresses and folders are put in the place of ours."""

    def __init__(self, home: Path, store: Settings, bus: dict[str, str]) -> None:
        self.home, self.store, self.bus = home, store, bus
        self.found: dict[str, dict[str, Any]] = compose_file.services()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def environment(self, name: str) -> dict[str, str]:
        """Environment of the file, with the store, the log and the folder of this test."""
        given = {key: str(value) for key, value in self.found[name]["environment"].items()}
        ours = {"NENGLIU_HOME": str(self.folder(name)), "NENGLIU_PARTITIONS": "2"}
        ours |= {
            "NENGLIU_PORT": str(self.port),
            "NENGLIU_LANG": "en",
            "NENGLIU_DATABASE": self.store.database,
        }
        if "NENGLIU_STORE" in given:
            ours["NENGLIU_STORE"] = dsn(self.store)
        if "NENGLIU_BUS" in given:
            ours |= self.bus
        return os.environ | given | ours

    def folder(self, name: str) -> Path:
        """Volume of a service; without brokers all share the folder, because the log is a file in it."""
        folder = self.home / name if self.bus["NENGLIU_BUS"] else self.home / "all"
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the environment of a service, to its end."""
        return subprocess.run(
            words, env=self.environment(name), cwd=self.home, capture_output=True, text=True, check=False
        )

    def command(self, name: str) -> list[str]:
        """Command of a service."""
        inside, outside = "/var/lib/nengliu", str(self.folder(name))
        return [*NENGLIU, *(word.replace(inside, outside) for word in self.found[name]["command"])]

    def is_healthy(self, name: str) -> bool:
        """Whether the health check of the file says so."""
        kind, program, *words = self.found[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "nengliu")
        done = self.run(name, [*NENGLIU, *words])
        assert done.returncode in {0, 3}, done.stderr
        return done.returncode == 0

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a service while the body runs."""
        with (self.home / f"{name}.txt").open("wb") as said:
            process = subprocess.Popen(
                self.command(name), env=self.environment(name), cwd=self.home, stdout=said, stderr=said
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def prove(self, name: str) -> None:
        """Start it, wait until it is healthy, stop it as a container is stopped."""
        assert not self.is_healthy(name)
        with self.running(name) as process:
            until = time.monotonic() + 60
            while not self.is_healthy(name):
                said = (self.home / f"{name}.txt").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < until, said
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in {0, -signal.SIGTERM}


@pytest.fixture
def embedded(tmp_path: Path, store_settings: Settings) -> Services:
    """Services over the log in a file."""
    return Services(tmp_path, store_settings, {"NENGLIU_BUS": ""})


@pytest.fixture
def brokered(tmp_path: Path, store_settings: Settings, empty_kafka: Any) -> Services:
    """Services over a real broker that asks for a password, as the file's does."""
    if "sasl" not in empty_kafka.secured:
        pytest.skip("this broker asks for no password")
    from broker.server import PASSWORD, USER

    bus = {
        "NENGLIU_BUS": empty_kafka.address("sasl"),
        "NENGLIU_BUS_USER": USER,
        "NENGLIU_BUS_PASSWORD": PASSWORD,
    }
    return Services(tmp_path, store_settings, bus)


def test_migration_ends_well_and_again(embedded: Services) -> None:
    """The one-shot lays the tables and ends with 0, also when there is nothing to do."""
    for _ in range(2):
        done = embedded.run("migrate", embedded.command("migrate"))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["ingest", "rollups", "anomaly", "tick", "audit", "page"])
def test_service_becomes_healthy_and_stops_cleanly(embedded: Services, name: str) -> None:
    """Not healthy before, healthy soon after its start, gone at the first request to stop."""
    embedded.prove(name)


def test_collector_is_healthy_though_no_meter_answers(embedded: Services) -> None:
    """A dead meter is a fault of the plant, not of the collector."""
    pytest.importorskip("nengliu.cli.collect")
    (embedded.folder("collector") / "collector.toml").write_text(collector_toml())
    embedded.prove("collector")


def test_flow_is_not_healthy_while_its_store_is_away(embedded: Services) -> None:
    """A flow that cannot write says so by its health, whatever its process does."""
    embedded.found["ingest"]["environment"]["NENGLIU_STORE"] = "http://127.0.0.1:1"
    environment = embedded.environment
    embedded.environment = lambda name: environment(name) | {"NENGLIU_STORE": "http://nengliu:x@127.0.0.1:1"}  # type: ignore[method-assign]
    with embedded.running("ingest"):
        time.sleep(2)
        assert not embedded.is_healthy("ingest")


@pytest.mark.broker
@pytest.mark.parametrize("name", ["ingest", "rollups", "anomaly", "tick", "collector"])
def test_service_becomes_healthy_over_a_real_broker(brokered: Services, name: str) -> None:
    """The same over Kafka with SCRAM, each service in a folder of its own."""
    if name == "collector":
        (brokered.folder("collector") / "collector.toml").write_text(collector_toml())
    brokered.prove(name)
