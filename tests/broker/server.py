"""A real Apache Kafka broker for tests and proofs: one node, KRaft, in a folder and on ports of its own.

Needs a JVM and Maven, which fetches the packages of ``pom.xml`` once.  `why_no_broker` says what is missing.
The one broker listens four times: open, with TLS, with SCRAM, with both; TLS where openssl is at hand.

    with Broker(folder) as broker:
        ... broker.bootstrap ...
        broker.kill(); broker.start()
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POM = Path(__file__).with_name("pom.xml")
USER, PASSWORD = "reader", "a secret"
"""Who may log in by SCRAM-SHA-512."""
SECURITY = {"plaintext": "PLAINTEXT", "tls": "SSL", "sasl": "SASL_PLAINTEXT", "sasl_tls": "SASL_SSL"}
_JVM = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_PR_SET_PDEATHSIG = 1


def why_no_broker() -> str | None:
    """Say why no broker can be started here; None if one can (its packages may still have to be fetched)."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"no broker: {' and '.join(missing)} not installed" if missing else None


def classpath() -> str:
    """List the jars of the broker; fetched at first, remembered afterwards.

    Raises
    ------
    RuntimeError
        Maven cannot get them.
    """
    name = hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    file = Path.home() / ".cache" / "nengliu" / f"broker-{name}.classpath"
    if file.is_file() and all(Path(jar).is_file() for jar in file.read_text().split(":")):
        return file.read_text()
    file.parent.mkdir(parents=True, exist_ok=True)
    found = file.with_suffix(f".{os.getpid()}")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:build-classpath", f"-Dmdep.outputFile={found}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(f"no broker: its packages cannot be had: {(done.stdout + done.stderr)[-500:]}")
    found.rename(file)
    return file.read_text()


class Broker:
    """One broker; what it stores outlives `kill` and `stop`, its ports stay the same.

    Parameters
    ----------
    folder
        Where it keeps everything.
    file_bytes
        No file grows beyond this [bytes]: to the broker its disk is full.  Changeable between starts.
    """

    def __init__(self, folder: Path, *, file_bytes: int | None = None) -> None:
        self.folder = folder
        self.file_bytes = file_bytes
        self.ca = folder / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        kinds = [name for name in SECURITY if shutil.which("openssl") or not name.endswith("tls")]
        self._ports = dict(zip([*kinds, "inner", "controller"], _free_ports(len(kinds) + 2), strict=True))

    @property
    def bootstrap(self) -> str:
        """Address for those who come without a password."""
        return self.address("plaintext")

    @property
    def secured(self) -> tuple[str, ...]:
        """Ways to reach it, as ``bus_security`` names them."""
        return tuple(name for name in SECURITY if name in self._ports)

    def address(self, security: str) -> str:
        """Address for one way of reaching it."""
        return f"127.0.0.1:{self._ports[security]}"

    def start(self, wait_s: float = 60) -> None:
        """Start it, the first time on an empty folder, and return when it answers."""
        if not (self.folder / "server.properties").is_file():
            self._lay()
        with (self.folder / "broker.txt").open("ab") as said:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", "server.properties"),
                cwd=self.folder, stdout=said, stderr=said, preexec_fn=self._prepare,  # noqa: PLW1509
            )  # fmt: skip
        until = time.monotonic() + wait_s
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"the broker did not start: {self.said()}")

    def stop(self) -> None:
        """Stop it as an administrator does."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        """End it as a power cut does (kill -9)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self, *, on: bool) -> None:
        """Let it hang (connections stay open, nobody answers), or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again on the same folder and ports."""
        self.kill()
        self.start()

    def runs(self) -> bool:
        """Say whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """End of what it wrote."""
        return (self.folder / "broker.txt").read_text(errors="replace")[-2000:]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _lay(self) -> None:
        """Write its settings, keys and empty storage."""
        self.folder.mkdir(parents=True, exist_ok=True)
        names = [name for name in self._ports if name in SECURITY]
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.address('controller')}",
            "listeners": ",".join(f"{name.upper()}://{self.address(name)}" for name in self._ports),
            "advertised.listeners": ",".join(f"{n.upper()}://{self.address(n)}" for n in [*names, "inner"]),
            "listener.security.protocol.map": ",".join(
                f"{name.upper()}:{SECURITY.get(name, 'PLAINTEXT')}" for name in self._ports
            ),
            "inter.broker.listener.name": "INNER",
            "controller.listener.names": "CONTROLLER",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "log.dirs": "data",
            "offsets.topic.num.partitions": "1",
            "offsets.topic.replication.factor": "1",
            "log.index.size.max.bytes": "65536",
            "log.segment.delete.delay.ms": "1000",
            "broker.heartbeat.interval.ms": "300",
            "broker.session.timeout.ms": "1500",  # a killed one may come back as soon as it is missed
        }
        for name in names:
            if name.startswith("sasl"):
                settings[f"listener.name.{name}.scram-sha-512.sasl.jaas.config"] = (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                )
        if "tls" in names:
            self._make_keys()
            settings |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(self.folder / "key.pem")}
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.folder / "server.properties").write_text(text)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", "server.properties")
        subprocess.run([*command, "--add-scram", scram], cwd=self.folder, capture_output=True, check=True)

    def _make_keys(self) -> None:
        """A certificate that vouches for itself, and its key."""
        key = self.folder / "only-key.pem"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
        ]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(self.ca)]
        subprocess.run(command, capture_output=True, check=True)
        (self.folder / "key.pem").write_text(key.read_text() + self.ca.read_text())

    def _java(self, *words: str) -> list[str]:
        return ["java", *_JVM, "-cp", classpath(), *words]

    def _prepare(self) -> None:
        """In the child: die with the tests, and know the size of the disk."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.file_bytes is not None:
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (self.file_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
            )

    def _answers(self) -> bool:
        host, _, port = self.bootstrap.partition(":")
        try:
            socket.create_connection((host, int(port)), 0.2).close()
            client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
            return bool(client.list_topics(timeout=2).brokers)
        except (OSError, KafkaException):
            time.sleep(0.1)
            return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
