"""Bodies of what ingest hands on: blocks of loose or odd readings, and sheaves of plain frames (ADR 0024)."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from nengliu.domain.quality import Origin, Quality, Reason
from schemas.arrays import Reader, check_codes, matrix_bytes, take_matrix
from schemas.block import Block, Sheaf, Verdict

_SIZE = struct.Struct("<I")
_VALID_ARRAYS = {
    name: np.dtype(dtype)
    for name, dtype in {
        "slot": "<i4",
        "read_at_ms": "<i8",
        "ticks": "<i8",
        "quality": "u1",
        "reason": "<u2",
        "origin": "u1",
        "received_at_s": "<i8",
        "sequence": "<u8",
        "position": "<u8",
        "sent": "<i8",
        "sent_unit": "<u2",
    }.items()
}
_PASSED_ARRAYS = _VALID_ARRAYS | {"verdict": np.dtype("u1")}
_VERDICTS = np.array(list(Verdict))
_ROW_LIST = np.dtype("<i4")
_LISTS = 8192
"""Lists kept in memory after reading: those of a shard; at 50 points each, some 70 MB."""
_MARKS: dict[str, np.dtype[Any]] = {"quality": np.dtype("u1"), "reason": np.dtype("<u2")}
_PLAIN = np.array([Quality.GOOD, Quality.LATE])
_REASONS = np.array(list(Reason))
_NUMBERED = ("read_at_ms", "received_at_s", "sequence", "position")
"""Columns of a sheaf with a 64-bit number a row."""


class _BlockHead(msgspec.Struct):
    n: int
    points: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, int], ...]


class _SheafHead(msgspec.Struct):
    rows: int
    columns: int
    lists: int
    origin: int
    differences: bool
    converted: bool
    marked: bool = False


class _List(msgspec.Struct, frozen=True):
    points: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, int], ...]


_Head = TypeVar("_Head", _BlockHead, _SheafHead)


def block_bytes(block: Block) -> bytes:
    """Body of a block of today's kind."""
    head = _json_bytes(_BlockHead(len(block), block.points, block.units))
    arrays = (getattr(block, name).astype(dtype, copy=False) for name, dtype in _PASSED_ARRAYS.items())
    return head + b"".join(array.tobytes() for array in arrays)


def read_valid(body: bytes) -> Block:
    """Read a block of before verdicts travelled: all of it was accepted."""
    head, arrays = _read_arrays(body, _VALID_ARRAYS)
    return Block(points=head.points, units=head.units, verdict=np.zeros(head.n, np.uint8), **arrays)


def read_passed(body: bytes) -> Block:
    """Read a block with its verdicts."""
    head, arrays = _read_arrays(body, _PASSED_ARRAYS)
    check_codes(arrays["verdict"], _VERDICTS, "verdict")
    return Block(points=head.points, units=head.units, **arrays)


def sheaf_bytes(sheaf: Sheaf, differences: bool) -> bytes:
    """Body of a sheaf; with `differences`, each reading as the step from the row of the same list before it."""
    rows, columns = sheaf.ticks.shape
    converted = sheaf.sent is not sheaf.ticks and not np.array_equal(sheaf.sent, sheaf.ticks)
    marked = bool(sheaf.quality.any() or sheaf.reason.any())
    head = _SheafHead(rows, columns, len(sheaf.lists), sheaf.origin, differences, converted, marked)
    parts = [_json_bytes(head)]
    parts += [_json_bytes(_List(*one)) for one in zip(sheaf.lists, sheaf.units, strict=True)]
    parts.append(sheaf.row_list.astype(_ROW_LIST, copy=False).tobytes())
    parts += [getattr(sheaf, name).astype(dtype).tobytes() for name, dtype in _MARKS.items() if marked]
    together = np.argsort(sheaf.row_list, kind="stable")
    numbered = (getattr(sheaf, name)[together].reshape(rows, 1) for name in _NUMBERED)
    matrices = (sheaf.ticks[together], sheaf.sent[together]) if converted else (sheaf.ticks[together],)
    return b"".join(parts + [matrix_bytes(one, differences) for one in (*numbered, *matrices)])


def read_sheaf(body: bytes) -> Sheaf:
    """Read a sheaf; `sent` is `ticks` where nothing was converted."""
    head, reader = _open_head(body, _SheafHead)
    lists = [_read_list(_take_json(reader)) for _ in range(head.lists)]
    row_list = reader.array(_ROW_LIST, head.rows)
    _check_sheaf(head, lists, row_list)
    marks: dict[str, npt.NDArray[Any]] = {}
    for name, dtype in _MARKS.items() if head.marked else ():
        marks[name] = reader.array(dtype, head.rows)
    _check_marks(marks)
    apart = np.empty(head.rows, np.int64)
    apart[np.argsort(row_list, kind="stable")] = np.arange(head.rows)
    numbered = [take_matrix(reader, head.rows, 1, head.differences).ravel()[apart] for _ in _NUMBERED]
    ticks = take_matrix(reader, head.rows, head.columns, head.differences)[apart]
    sent = take_matrix(reader, head.rows, head.columns, head.differences)[apart] if head.converted else ticks
    reader.end()
    at, received, sequence, position = numbered
    return Sheaf(
        tuple(one.points for one in lists),
        row_list,
        at,
        received,
        sequence.view(np.uint64),
        position.view(np.uint64),
        ticks,
        sent,
        tuple(one.units for one in lists),
        Origin(head.origin),
        **marks,
    )


@lru_cache(maxsize=_LISTS)
def _read_list(text: bytes) -> _List:
    """Points and units of a list: the same few again and again, so each stands in memory once."""
    return msgspec.json.decode(text, type=_List)


def _check_sheaf(head: _SheafHead, lists: list[_List], row_list: npt.NDArray[np.int32]) -> None:
    """Refuse a sheaf whose rows do not fill lists of its own width."""
    widths = {len(points) for one in lists for points in (one.points, one.units)}
    if head.columns < 1 or widths - {head.columns}:
        raise ValueError(f"expected lists and units of {head.columns} columns, got {sorted(widths)}")
    if len(row_list) and not 0 <= int(row_list.min()) <= int(row_list.max()) < len(lists):
        raise ValueError(f"expected rows of {len(lists)} lists, got list {int(row_list.max())}")


def _check_marks(marks: dict[str, npt.NDArray[Any]]) -> None:
    for name, known in (("quality", _PLAIN), ("reason", _REASONS)):
        if name in marks:
            check_codes(marks[name], known, name)


def _json_bytes(head: _BlockHead | _SheafHead | _List) -> bytes:
    text = msgspec.json.encode(head)
    return _SIZE.pack(len(text)) + text


def _take_json(reader: Reader) -> bytes:
    (size,) = _SIZE.unpack(reader.bytes(_SIZE.size))
    return reader.bytes(size)


def _open_head(body: bytes, kind: type[_Head]) -> tuple[_Head, Reader]:
    reader = Reader(body, 0)
    return msgspec.json.decode(_take_json(reader), type=kind), reader


def _read_arrays(body: bytes, layout: dict[str, np.dtype[Any]]) -> tuple[_BlockHead, dict[str, Any]]:
    head, reader = _open_head(body, _BlockHead)
    arrays = {name: reader.array(dtype, head.n) for name, dtype in layout.items()}
    reader.end()
    return head, arrays
