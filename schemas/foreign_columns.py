"""JSON of foreign senders as columns: what a plain message says, without an object for each reading.

Plain is what machines send all day: numbers or decimal texts without exponents, every field as `schemas/messages.md`
writes it.  Such a message gives exactly the readings of `schemas.foreign.read_json`.  Any other gives nothing here and
is read there, refusals and evidence included.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, repeat
from typing import Literal, TypeAlias, cast

import msgspec
import numpy as np
import numpy.typing as npt

from nengliu.domain.quality import Origin, Quality
from nengliu.errors import ContractError
from schemas.foreign import MAX_DIGITS
from schemas.instants import instant_ms, instants_ms
from schemas.messages import MISSING, Frame

Ints = npt.NDArray[np.int64]
_Codes: TypeAlias = npt.NDArray[np.uint8]
_Numbers: TypeAlias = npt.NDArray[np.uint64]
Declared: TypeAlias = Callable[[str, int], Ints | None]
"""Decimals of the columns of an (enterprise, schema), (c,); None: the message is not to be read here."""

_Columns: TypeAlias = tuple[tuple[str, str, int], ...]
_MANY = 1000
"""Names of messages of more readings are not remembered."""
_POWER = 10 ** np.arange(MAX_DIGITS + 1, dtype=np.int64)
_LIMIT = 2**62
"""Values in declared decimals stay below it, as on the way of single readings."""
_ORIGINS = {origin.name.lower(): origin for origin in Origin}
_QUALITIES = {quality.name.lower(): quality for quality in Quality if quality is not Quality.MISSING}


@dataclass(frozen=True, slots=True)
class ForeignRows:
    """One plain message of many objects, a reading each, in the order sent.

    Attributes
    ----------
    source
        The first that is named.
    columns
        ``(point, unit, decimals)`` as sent, indexed by `column`.
    column : int32 (n,)
    read_at_ms, values, received_at_s : int64 (n,)
        A value is the digits shown as one whole number, in the decimals of its column.
    quality, origin : uint8 (n,)
    sequence : uint64 (n,)
    """

    enterprise: str
    source: str
    columns: tuple[tuple[str, str, int], ...]
    column: npt.NDArray[np.int32]
    read_at_ms: Ints
    values: Ints
    quality: npt.NDArray[np.uint8]
    origin: npt.NDArray[np.uint8]
    received_at_s: Ints
    sequence: npt.NDArray[np.uint64]


class _Matrix(msgspec.Struct):
    v: Literal[1]
    enterprise: str
    schema: int
    times: list[str]
    values: msgspec.Raw
    source: str = ""
    sequence: int | None = None
    received_at: str | None = None
    origin: str = "timed"
    quality: str = "good"


class _Bare(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A reading that says what it must, and no more."""

    v: Literal[1]
    enterprise: str
    point: str
    unit: str
    read_at: str
    value: msgspec.Raw


class _Reading(_Bare, gc=False, forbid_unknown_fields=False):
    source: str = ""
    sequence: int | None = None
    received_at: str | None = None
    origin: str = "timed"
    quality: str = "good"
    schema: msgspec.UnsetType = msgspec.UNSET  # an object that has it is of the other form


_matrix_decoder = msgspec.json.Decoder(_Matrix)
_array_decoders = msgspec.json.Decoder(list[_Bare]), msgspec.json.Decoder(list[_Reading])
_lines_decoders = msgspec.json.Decoder(_Bare), msgspec.json.Decoder(_Reading)
_any_decoder = msgspec.json.Decoder(msgspec.Raw)


def read_columns(
    value: bytes, declared: Declared, received_at_s: int, sequence: int
) -> Frame | ForeignRows | None:
    r"""Read a JSON message as columns; None: it is not plain, `schemas.foreign.read_json` reads it.

    Parameters
    ----------
    value
        Begins with ``{`` or ``[``.
    received_at_s, sequence
        What is assumed where the message does not say.

    >>> line = b'{"v":1,"enterprise":"e","point":"p","read_at":"2026-03-01T00:15:00+08:00","value":1.50,"unit":"kWh"}'
    >>> rows = read_columns(line + b"\n" + line, lambda *_: None, 0, 0)
    >>> rows.columns, rows.values.tolist()
    ((('p', 'kWh', 2),), [150, 150])
    """
    try:
        if not value.isascii():
            value.decode()
        if value[:1] == b"[":
            return _rows(_array(value), received_at_s, sequence)
        text = value.rstrip(b"\r\n")
        if b"\n" in text:
            return _rows(_lines(text), received_at_s, sequence)
        return _frame(_matrix_decoder.decode(text), declared, received_at_s, sequence)
    except (ValueError, KeyError, OverflowError, RecursionError, msgspec.MsgspecError, ContractError):
        return None


def _array(value: bytes) -> Sequence[_Bare]:
    """Objects of an array, bare if they are."""
    bare, full = _array_decoders
    try:
        return bare.decode(value)
    except msgspec.ValidationError:
        return full.decode(value)


def _lines(text: bytes) -> Sequence[_Bare]:
    """Objects one to a line: every line break stands between two of them, and only there."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    characters = np.frombuffer(text, np.uint8)
    breaks = (characters == ord("\n")).nonzero()[0]
    between = (characters[breaks - 1] == ord("}")) & (characters[breaks + 1] == ord("{"))
    if b"\r" in text or not between.all():
        return []
    bare, full = _lines_decoders
    try:
        found: Sequence[_Bare] = bare.decode_lines(text)
    except msgspec.ValidationError:
        found = full.decode_lines(text)
    return found if len(found) == len(breaks) + 1 else []


def _frame(entry: _Matrix, declared: Declared, received_at_s: int, sequence: int) -> Frame | None:
    rows = _cells(bytes(entry.values))
    found = _digits(b",".join(rows))
    decimals = declared(entry.enterprise, entry.schema)
    if found is None or decimals is None or len(rows) != len(entry.times):
        return None
    shape = len(rows), len(decimals)
    if len(found.values) != shape[0] * shape[1]:
        return None
    values = found.scaled(shape, decimals)
    given, number, quality = entry.received_at, entry.sequence, _QUALITIES[entry.quality]
    if values is None or not entry.enterprise or not 0 <= (number or 0) < 2**64:
        return None
    return Frame(
        entry.enterprise,
        entry.schema,
        entry.source,
        sequence if number is None else number,
        received_at_s if given is None else instant_ms(given) // 1000,
        instants_ms(entry.times),
        values,
        None if quality is Quality.GOOD else np.full(shape, quality, np.uint8),
        _ORIGINS[entry.origin],
    )


def _cells(values: bytes) -> list[bytes]:
    """Rows of a matrix as their cells, separated by commas; none if they are not of one width."""
    text = values.replace(b", ", b",") if b" " in values else values
    if text[:2] != b"[[" or text[-2:] != b"]]":
        return []
    inner = text[2:-2]
    if b"[" not in inner:
        return [inner]
    rows = inner.split(b"],[")
    return rows if all(rows) and len({row.count(b",") for row in rows}) == 1 else []


@dataclass(frozen=True, slots=True)
class _Digits:
    """Numbers as shown: whole numbers, decimals, (n,) each, the largest amount, and which of them are null."""

    values: Ints
    decimals: Ints
    largest: int
    null: npt.NDArray[np.bool_] | None = None

    def scaled(self, shape: tuple[int, int], declared: Ints) -> Ints | None:
        """Matrix in the decimals declared for its columns; None if one shows more, is too large, or all are null."""
        if self.null is not None and self.null.all():
            return None
        more = declared - self.decimals.reshape(shape)
        most = int(more.view(np.uint64).max())  # too few declared: a very large number
        if most > MAX_DIGITS or self.largest * 10**most >= _LIMIT:
            return None
        values = self.values.reshape(shape)
        if most:
            values = values * _POWER[more]
        return values if self.null is None else np.where(self.null.reshape(shape), MISSING, values)


def _digits(cells: bytes) -> _Digits | None:
    """Read numbers, decimal texts or nulls, separated by commas, digit by digit.

    None: one of them is no plain number of at most `MAX_DIGITS` digits.
    """
    if b'"' in cells:
        cells = _unquoted(cells)
    null = None
    if b"n" in cells:
        null = _nulls(cells)
        cells = cells.replace(b"null", b"0.0")  # most others have a point too
    decimals = _decimals(cells) if cells else None
    if decimals is None:
        return None
    if null is not None:
        decimals[null] = 0
    # A number beyond int64 is read as the largest there is, and refused with those of more than 18 digits.
    values = np.fromstring(cells.translate(None, b"."), np.int64, len(decimals), sep=",")
    largest = int(values.max())
    if b"-" in cells:
        largest = max(largest, -int(values.min()))
    return _Digits(values, decimals, largest, null) if largest < 10**MAX_DIGITS else None


def _decimals_of_fractions(cells: bytes) -> Ints | None:
    """Decimals shown by numbers that all have a point and no sign, the common case; None for any other."""
    text = np.frombuffer(cells + b",", np.uint8)
    marks = (text < ord("0")).nonzero()[0]
    if int(text.max()) > ord("9") or text[marks].tobytes() != b".," * (len(marks) // 2):
        return None
    return marks[1::2] - marks[::2] - 1


def _decimals(cells: bytes) -> Ints | None:
    """Decimals shown by each number; None if one has an exponent, or is none."""
    fractions = _decimals_of_fractions(cells)
    if fractions is not None:
        return fractions
    if cells.translate(None, b"0123456789.,-"):
        return None
    text = np.frombuffer(cells + b",", np.uint8)
    ends, points = (text == ord(",")).nonzero()[0], (text == ord(".")).nonzero()[0]
    number = np.searchsorted(ends, points)
    decimals = np.zeros(len(ends), np.int64)
    decimals[number] = ends[number] - points - 1
    return decimals


def _nulls(cells: bytes) -> npt.NDArray[np.bool_]:
    """Which of some JSON numbers and nulls, separated by commas, are null."""
    text = np.frombuffer(cells + b",", np.uint8)
    ends = (text == ord(",")).nonzero()[0]
    null = np.zeros(len(ends), bool)
    null[np.searchsorted(ends, (text == ord("n")).nonzero()[0])] = True
    return null


def _unquoted(cells: bytes) -> bytes:
    """Take the quotes off decimal texts; empty unless each text is a JSON number, and each cell a text or null.

    A text with a comma in it is told by the count: more cells than pairs of quotes.
    """
    nulls = cells.count(b"null") if b"n" in cells else 0
    if cells.count(b'"') != 2 * (cells.count(b",") + 1 - nulls) or (nulls and b'"null' in cells):
        return b""
    bare = cells.translate(None, b'"')
    _any_decoder.decode(b"[" + bare + b"]")
    return bare


def _rows(readings: Sequence[_Bare], received_at_s: int, sequence: int) -> ForeignRows | None:
    if not readings:
        return None
    enterprise = readings[0].enterprise
    found = _digits(b",".join([r.value for r in readings]))
    if found is None or found.null is not None or not _one([r.enterprise for r in readings]):
        return None
    if len(found.values) != len(readings) or int(found.decimals.max()) > MAX_DIGITS:
        return None
    columns, column = _columns(readings, found.decimals)
    if not enterprise or not columns:
        return None
    more = cast(Sequence[_Reading], readings) if isinstance(readings[0], _Reading) else ()  # as one, so all
    return ForeignRows(
        enterprise,
        next((r.source for r in more if r.source), ""),
        columns,
        column,
        instants_ms([r.read_at for r in readings]),
        found.values,
        *(_said(more, received_at_s, sequence) if more else _assumed(len(readings), received_at_s, sequence)),
    )


def _said(
    readings: Sequence[_Reading], received_at_s: int, sequence: int
) -> tuple[_Codes, _Codes, Ints, _Numbers]:
    """Quality, origin, receipt and sequence of readings that name them or some of them."""
    return (
        _words(_QUALITIES, [r.quality for r in readings]),
        _words(_ORIGINS, [r.origin for r in readings]),
        _receipts([r.received_at for r in readings], received_at_s),
        _sequences([r.sequence for r in readings], sequence),
    )


def _assumed(n: int, received_at_s: int, sequence: int) -> tuple[_Codes, _Codes, Ints, _Numbers]:
    """Quality, origin, receipt and sequence of readings that name none of them."""
    good, timed = np.full(n, Quality.GOOD, np.uint8), np.full(n, Origin.TIMED, np.uint8)
    return good, timed, np.full(n, received_at_s), np.full(n, sequence, np.uint64)


def _columns(readings: Sequence[_Bare], decimals: Ints) -> tuple[_Columns, npt.NDArray[np.int32]]:
    """Distinct ``(point, unit, decimals)`` of readings, none if a name is empty, and which of them each has."""
    points, units = tuple([r.point for r in readings]), tuple([r.unit for r in readings])
    shown = int(decimals[0])
    if len(points) <= _MANY and (decimals == shown).all():
        return _columns_seen(points, units, shown)
    return _numbered(zip(points, units, decimals.tolist(), strict=True))


@lru_cache(maxsize=256)
def _columns_seen(
    points: tuple[str, ...], units: tuple[str, ...], decimals: int
) -> tuple[_Columns, npt.NDArray[np.int32]]:
    """As `_columns`: senders name the same points in the same order all day."""
    return _numbered(zip(points, units, repeat(decimals)))


def _numbered(names: Iterable[tuple[str, str, int]]) -> tuple[_Columns, npt.NDArray[np.int32]]:
    numbers: dict[tuple[str, str, int], int] = defaultdict(count().__next__)
    column = np.array([numbers[name] for name in names], np.int32)
    column.flags.writeable = False
    return (tuple(numbers), column) if all(point and unit for point, unit, _ in numbers) else ((), column)


def _one(words: Sequence[object]) -> bool:
    """Whether all are the same."""
    return words.count(words[0]) == len(words)


def _words(known: Mapping[str, Origin | Quality], words: list[str]) -> _Codes:
    if _one(words):
        return np.full(len(words), known[words[0]], np.uint8)
    return np.array([known[word] for word in words], np.uint8)


def _receipts(texts: list[str | None], assumed_s: int) -> Ints:
    if _one(texts):  # as a rule: not said, or one receipt of all
        return np.full(len(texts), assumed_s if texts[0] is None else instant_ms(texts[0]) // 1000)
    found = np.full(len(texts), assumed_s)
    found[[text is not None for text in texts]] = instants_ms([t for t in texts if t is not None]) // 1000
    return found


def _sequences(numbers: list[int | None], assumed: int) -> _Numbers:
    """Order of the source; one outside of uint64 is an OverflowError."""
    if None in numbers:
        numbers = [assumed if number is None else number for number in numbers]
    return np.array(numbers, np.uint64)
