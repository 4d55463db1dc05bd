"""The connection of each kind of line."""

from __future__ import annotations

from acquisition.drivers.clock import Clock
from acquisition.drivers.config import Line
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.modbus import ModbusTcp
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.lines.wires import SerialWire, TcpWire


def transport_of(line: Line, clock: Clock) -> Transport:
    """Make the connection of a line."""
    if line.kind == "modbus-tcp":
        return ModbusTcp(line.host, line.port, line.timeout_s)
    if line.kind == "opcua":
        from acquisition.drivers.sources.opcua import OpcUa

        return OpcUa(line, clock)
    if line.kind == "serial":
        return HalfDuplex(
            SerialWire(line.device, clock, line.baud, line.parity, line.stop_bits),
            clock,
            line.timeout_s,
            line.baud,
        )
    return HalfDuplex(TcpWire(line.host, line.port, clock), clock, line.timeout_s, line.baud)
