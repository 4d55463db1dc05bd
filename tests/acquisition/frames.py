"""Meters' side of DL/T 645, CJ/T 188 and Modbus RTU for tests: frames laid by hand, not by the codecs."""

from __future__ import annotations


def reply645(address: str, control: int, data: bytes) -> bytes:
    """A frame of DL/T 645; `data` as meant, 33H is put on here."""
    body = b"\x68" + bytes.fromhex(address)[::-1] + bytes([0x68, control, len(data)])
    return closed(body + bytes((one + 0x33) % 256 for one in data))


def reply188(address: str, control: int, data: bytes, meter_type: int = 0x10) -> bytes:
    """A frame of CJ/T 188."""
    return closed(
        bytes([0x68, meter_type]) + bytes.fromhex(address)[::-1] + bytes([control, len(data)]) + data
    )


def closed(body: bytes) -> bytes:
    """Put sum and end to a frame."""
    return body + bytes([sum(body) % 256, 0x16])


def rtu(body: bytes) -> bytes:
    """Put the check sum to an RTU frame, worked out bit by bit."""
    value = 0xFFFF
    for one in body:
        value ^= one
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return body + value.to_bytes(2, "little")


def low_first(identifier: str) -> bytes:
    """An identifier as it is meant on the wire."""
    return bytes.fromhex(identifier)[::-1]


def bcd(digits: str) -> bytes:
    """Digits as they are sent, lowest pair first."""
    return bytes.fromhex(digits)[::-1]
