"""Published frames: each is read to its stated meaning whole, byte by byte and amid garbage."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from vectors import Vector, alike, instant_ms, read, spelled, vectors

from acquisition.codecs import cjt188, dlt645
from acquisition.codecs.exchange import Answer, Exchange
from nengliu.errors import LinkError

FRAMES = [*vectors("dlt645"), *vectors("cjt188")]
REPLIES = [one for one in FRAMES if one.is_reply]
REQUESTS = [one for one in FRAMES if one.told.get("request")]
REJECTED = [one for one in FRAMES if one.told.get("rejected")]


def said(exchange: Exchange, pieces: list[bytes]) -> Answer | LinkError | None:
    """What the exchange is decided to, or nothing."""
    try:
        for piece in pieces:
            found = exchange.feed(piece)
            if isinstance(found, Answer):
                return found
    except LinkError as error:
        return error
    return None


def assert_means(vector: Vector, found: Answer | LinkError | None) -> None:
    """Hold what was read against what the frame is known to mean."""
    if "error" in vector.told:
        assert isinstance(found, LinkError)
        assert found.reason == vector.told["error"]
        assert found.parameters["meaning"] == vector.told["error_meaning"]
        return
    assert isinstance(found, Answer)
    got = spelled(found, vector.block())
    assert got.keys() == vector.values.keys()
    for name, told in vector.values.items():
        wanted = told.lstrip("0") if name == "address" else told
        assert alike(got[name], wanted), (name, got[name], wanted)
    assert found.raw == vector.frame


def decoder_of(vector: Vector) -> dlt645.Decoder | cjt188.Decoder:
    return dlt645.Decoder() if vector.is_dlt645 else cjt188.Decoder()


def test_every_frame_of_the_reference_is_here() -> None:
    """Frames 1 to 32, W1 to W8 and H1 to H5 of protocols.md, and those constructed there."""
    ids = {one.id for one in FRAMES} | {one["id"] for one in read("dlt645")["dialogues"]}

    assert {str(n) for n in range(1, 33)} | {f"s{n}" for n in range(1, 9)} <= ids
    assert {f"W{n}" for n in range(1, 9)} | {f"H{n}" for n in range(1, 6)} <= ids


@pytest.mark.parametrize("vector", REPLIES, ids=lambda one: one.id)
def test_frame_whole_is_read_to_its_meaning(vector: Vector) -> None:
    """A reply that comes in one piece says what the reference says."""
    assert_means(vector, said(vector.exchange(), [vector.frame]))


@pytest.mark.parametrize("vector", REPLIES, ids=lambda one: one.id)
@pytest.mark.parametrize("wakes", [0, 1, 4, 9])
def test_frame_byte_by_byte_is_read_to_its_meaning(vector: Vector, wakes: int) -> None:
    """Neither pieces nor the number of wake-up bytes change what a reply says."""
    stream = b"\xfe" * wakes + vector.frame

    assert_means(vector, said(vector.exchange(), [bytes([one]) for one in stream]))


@pytest.mark.parametrize("vector", REPLIES, ids=lambda one: one.id)
@pytest.mark.parametrize("seed", range(20))
def test_frame_amid_garbage_is_read_to_its_meaning(vector: Vector, seed: int) -> None:
    """Noise, the own echo, a foreign meter's frame and a cut one before it take nothing from a reply."""
    rng, exchange = random.Random(seed), vector.exchange()
    other = next(one for one in REPLIES if one.told["address"] != vector.told["address"])
    dirt = [
        rng.randbytes(rng.randrange(40)),
        exchange.request,
        other.frame if "error" not in other.told else b"",
        vector.frame[: rng.randrange(8, 12)],
    ]
    rng.shuffle(dirt)
    stream = b"".join(dirt) + vector.frame + rng.randbytes(9)
    cuts = sorted(rng.sample(range(len(stream)), 5))

    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert_means(vector, said(exchange, pieces))


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda one: one.id)
def test_request_is_laid_as_published(vector: Vector) -> None:
    """What we send is what others were seen to send."""
    told, edition = vector.told, dlt645.EDITIONS.get(vector.told["protocol"])
    identifier = bytes.fromhex(told.get("identifier", ""))[::-1]
    if edition is None:
        laid = vector.exchange().request
    elif told["request"] == "read_address":
        laid = dlt645.read_address()
    elif told["request"] == "set_time":
        laid = dlt645.set_time(instant_ms(told["at"]))
    elif told["request"] == "read_following":
        laid = dlt645.read_following(edition, told["address"], identifier, told["number"])
    else:
        laid = vector.exchange().request

    assert laid == b"\xfe\xfe\xfe\xfe" + vector.frame


@pytest.mark.parametrize("vector", FRAMES, ids=lambda one: one.id)
def test_decoder_finds_the_frame_byte_by_byte(vector: Vector) -> None:
    """A frame comes out once, with its last byte; a wrong sum never comes out."""
    decoder = decoder_of(vector)
    found = [frame for one in vector.frame for frame in decoder.feed(bytes([one]))]

    assert [frame.raw for frame in found] == ([] if vector.told.get("rejected") else [vector.frame])


@pytest.mark.parametrize("vector", REJECTED, ids=lambda one: one.id)
def test_frame_with_a_wrong_sum_is_damage(vector: Vector) -> None:
    """A frame whose sum is wrong decides nothing; the silence after it is damage."""
    exchange = vector.exchange()

    assert exchange.feed(vector.frame) is None
    assert exchange.silence().reason == "DAMAGED"


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
def test_dialogue_in_two_frames_is_joined(pieces: str) -> None:
    """After a reply that says that more follows, the next frame is asked for by number, and both are one answer."""
    (told,) = read("dlt645")["dialogues"]
    vector = Vector(told)
    exchange, block = vector.exchange(), vector.block()
    sent: list[bytes] = []
    answer = None
    for text in told["answers"]:
        data = bytes.fromhex(text)
        for piece in [data] if pieces == "whole" else [bytes([one]) for one in data]:
            found = exchange.feed(piece)
            if isinstance(found, bytes):
                sent.append(found)
            answer = found if isinstance(found, Answer) else answer

    assert [one[4:] for one in sent] == [bytes.fromhex(one) for one in told["requests"]]
    assert answer is not None
    got = spelled(answer, block)
    assert {name: got[name] for name in told["values"]} == told["values"]
    assert {name: got[name] for name in got if name not in told["values"]} == dict.fromkeys(
        ("energy_t2", "energy_t3", "energy_t4"), "NO_DATA"
    )
    assert answer.raw == b"".join(bytes.fromhex(one) for one in told["answers"])


def test_values_are_exact_decimals() -> None:
    """Ticks are whole numbers of the meter's last digit, never floats."""
    for vector in REPLIES:
        found = said(vector.exchange(), [vector.frame])
        if isinstance(found, Answer):
            assert all(type(value) is int for value in found.values.values())
            for item in vector.block().items:
                if item.name in found.values and item.decimals and "T" not in vector.values[item.name]:
                    assert Decimal(found.values[item.name]).scaleb(-item.decimals) == Decimal(
                        vector.values[item.name]
                    )
