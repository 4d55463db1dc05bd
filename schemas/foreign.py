"""JSON for foreign senders: one reading per object, or a schema id with a matrix (schemas/messages.md).

Values are exact: a JSON number or decimal string becomes an integer with as many decimals
as it shows.  Unknown fields are ignored; a broken object becomes a refusal with a reason,
and its neighbours in the same message are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from nengliu.domain.quality import Origin, Quality
from nengliu.errors import ContractError
from schemas.instants import instant_ms

VERSION = 1
MAX_DIGITS = 18


def _number(text: str) -> Decimal | str:
    """Keep a number digit by digit; one that is no Decimal stays text and is refused where it is used."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


_decoder = msgspec.json.Decoder(float_hook=_number)


@dataclass(frozen=True, slots=True)
class ForeignReading:
    """One reading as a foreign sender gave it; `column` is set in the schema form, else point and unit."""

    enterprise: str
    point: str
    unit: str
    schema: int
    column: int
    read_at_ms: int
    value: int
    decimals: int
    source: str
    sequence: int | None
    received_at_s: int | None
    origin: Origin
    quality: Quality


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a message that is no reading, with the closed reason and the evidence."""

    reason: str
    text: str
    evidence: dict[str, str]


def read_json(value: bytes) -> tuple[list[ForeignReading], list[Refusal], str]:
    """Read a JSON message (object, array or lines); say also which source it names.

    Raises
    ------
    ContractError
        Reason NOT_A_MESSAGE: it is no JSON at all, or nested beyond all reason.
    """
    try:
        return _read(value)
    except RecursionError as error:
        raise ContractError("NOT_A_MESSAGE", "expected a few levels of nesting", got=_shown(value)) from error


def _read(value: bytes) -> tuple[list[ForeignReading], list[Refusal], str]:
    readings: list[ForeignReading] = []
    refusals: list[Refusal] = []
    source = ""
    for entry in _objects(value):
        try:
            if isinstance(entry, bytes):
                raise ContractError("NOT_A_MESSAGE", "expected one JSON object a line", got=_shown(entry))
            found = _matrix(entry) if "schema" in entry else [_single(entry)]
            readings.extend(found)
            source = source or (found[0].source if found else "")
        except ContractError as error:
            refusals.append(Refusal(error.reason, _text(entry), error.parameters or {"error": str(error)}))
    return readings, refusals, source


def exact(value: object) -> tuple[int, int]:
    """Integer and decimals of a JSON number or decimal text.

    >>> exact("12.50")
    (1250, 2)

    Raises
    ------
    ContractError
        NOT_A_NUMBER, NOT_FINITE or OUT_OF_INT64.
    """
    if value is None or value == "":
        raise ContractError("EMPTY_VALUE", "expected a number, got nothing")
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int | float):
        raise ContractError("NOT_A_NUMBER", f"expected a number, got {value!r}", got=value)
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as error:
        raise ContractError("NOT_A_NUMBER", f"expected a number, got {value!r}", got=value) from error
    if not number.is_finite():
        raise ContractError("NOT_FINITE", f"expected a finite number, got {value!r}", got=value)
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or len(digits) + max(exponent, 0) > MAX_DIGITS or exponent < -MAX_DIGITS:
        raise ContractError("OUT_OF_INT64", f"expected at most {MAX_DIGITS} digits, got {value!r}", got=value)
    decimals = max(-exponent, 0)
    return int(number.scaleb(decimals)), decimals


def _objects(value: bytes) -> list[dict[str, object] | bytes]:
    """Objects of a message; of lines, a broken one stays as its bytes."""
    try:
        found = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        lines = [line for line in value.splitlines() if line.strip()]
        if len(lines) < 2:
            raise ContractError("NOT_A_MESSAGE", f"expected JSON: {error}", got=_shown(value)) from error
        return [_line(line) for line in lines]
    entries = found if isinstance(found, list) else [found]
    return [entry if isinstance(entry, dict) else {"": entry} for entry in entries]


def _line(line: bytes) -> dict[str, object] | bytes:
    try:
        found = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return line
    return found if isinstance(found, dict) else line


def _shown(value: bytes) -> str:
    return value[:80].decode(errors="replace")


def _single(entry: dict[str, object]) -> ForeignReading:
    _check_version(entry)
    number, decimals = exact(_need(entry, "value"))
    return ForeignReading(
        point=_string(entry, "point"),
        unit=_string(entry, "unit"),
        schema=0,
        column=-1,
        read_at_ms=instant_ms(_need(entry, "read_at")),
        value=number,
        decimals=decimals,
        **_common(entry),
    )


def _matrix(entry: dict[str, object]) -> list[ForeignReading]:
    _check_version(entry)
    times: Any = _need(entry, "times")
    values: Any = _need(entry, "values")
    schema: Any = _need(entry, "schema")
    shaped = isinstance(schema, int) and isinstance(times, list) and isinstance(values, list)
    if not shaped or len(times) != len(values):
        msg = "expected an integer schema and as many rows of values as times"
        raise ContractError("BAD_FIELD", msg, field="values", got=f"{values!r}"[:80])
    common = _common(entry)
    found = []
    for time, row in zip(times, values, strict=True):
        at = instant_ms(time)
        for column, value in enumerate(row if isinstance(row, list) else [row]):
            if value is not None:
                found.append(_cell(schema, column, at, value, common))
    return found


def _cell(schema: int, column: int, at_ms: int, value: object, common: dict[str, Any]) -> ForeignReading:
    number, decimals = exact(value)
    return ForeignReading(
        point="",
        unit="",
        schema=schema,
        column=column,
        read_at_ms=at_ms,
        value=number,
        decimals=decimals,
        **common,
    )


def _common(entry: dict[str, object]) -> dict[str, Any]:
    received, sequence = entry.get("received_at"), entry.get("sequence")
    if sequence is not None and (not isinstance(sequence, int) or not 0 <= sequence < 2**64):
        raise ContractError("BAD_FIELD", "expected a whole number below 2^64", field="sequence", got=sequence)
    return {
        "enterprise": _string(entry, "enterprise"),
        "source": _string(entry, "source") if entry.get("source", "") != "" else "",
        "sequence": sequence,
        "received_at_s": None if received is None else instant_ms(received) // 1000,
        "origin": _member(Origin, entry.get("origin", "timed")),
        "quality": _member(Quality, entry.get("quality", "good")),
    }


def _check_version(entry: dict[str, object]) -> None:
    if entry.get("v") != VERSION:
        raise ContractError("WRONG_VERSION", f"expected v = {VERSION}", expected=VERSION, got=entry.get("v"))


def _need(entry: dict[str, object], name: str) -> object:
    if name not in entry:
        raise ContractError("MISSING_FIELD", f"expected field {name!r}", field=name)
    return entry[name]


def _string(entry: dict[str, object], name: str) -> str:
    found = _need(entry, name)
    if not isinstance(found, str) or not found:
        raise ContractError("BAD_FIELD", f"{name}: expected text, got {found!r}", field=name, got=found)
    return found


def _member(kind: type[Origin] | type[Quality], value: object) -> Origin | Quality:
    try:
        found = kind[str(value).upper()]
        if found is Quality.MISSING:
            raise KeyError(value)
        return found
    except KeyError as error:
        known = ", ".join(member.name.lower() for member in kind)
        raise ContractError(
            "BAD_FIELD", f"expected one of {known}, got {value!r}", field=kind.__name__, got=value
        ) from error


def _text(entry: dict[str, object] | bytes) -> str:
    if isinstance(entry, bytes):
        return entry[:2000].decode(errors="replace")
    return msgspec.json.encode(entry, enc_hook=str).decode()[:2000]
