"""A real OPC UA server (asyncua) with a few meters, whose values, statuses and stamps tests set."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from asyncua import Server, ua

PATIENCE_S = 60.0
ITEMS = {"Energy": ua.VariantType.Int64, "Power": ua.VariantType.Double, "Voltage": ua.VariantType.Float}

for name in ("asyncua", "asyncua.server", "asyncua.common", "asyncua.uaprotocol"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class OpcServer:
    """A server in a thread of its own; nodes are called ``ns=2;s=Plant.<meter>.<item>``.

    Attributes
    ----------
    port
        Where it listens, on loopback.
    """

    def __init__(self, port: int, meters: int = 1) -> None:
        self.port, self._meters = port, meters
        self._nodes: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="opcua", daemon=True)
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def stop(self) -> None:
        """Stop serving; harmless if it does not."""
        self._do(self._stop())

    def start(self) -> None:
        """Serve again, on the same port."""
        self._do(self._start())

    def show(
        self,
        node: str,
        value: object,
        status: int = ua.StatusCodes.Good,
        at: dt.datetime | None = None,
    ) -> None:
        """Let a node such as ``M1.Energy`` show a value."""
        kind = ITEMS[node.partition(".")[2]]
        told = ua.DataValue(ua.Variant(value, kind), ua.StatusCode(status), SourceTimestamp=at)
        assert self._server is not None
        self._do(self._server.write_attribute_value(self._nodes[node].nodeid, told))

    def limit(self, nodes: int) -> None:
        """Let it say that a request may ask for so many nodes (0: any)."""
        assert self._server is not None
        node = self._server.get_node(ua.NodeId(11705))
        self._do(node.write_value(ua.Variant(nodes, ua.VariantType.UInt32)))

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _start(self) -> None:
        server = self._server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace("urn:test")
        for n in range(1, self._meters + 1):
            folder = await server.nodes.objects.add_folder(space, f"M{n}")
            for item, kind in ITEMS.items():
                key, zero = f"M{n}.{item}", 0 if kind is ua.VariantType.Int64 else 0.0
                self._nodes[key] = await folder.add_variable(
                    ua.NodeId(f"Plant.{key}", space), item, zero, kind
                )
        await server.start()

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
