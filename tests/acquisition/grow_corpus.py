"""Grow the corpus of the fuzz: inputs that reach lines or verdicts of the codecs which none before them reached.

    PYTHONPATH=tests/acquisition python tests/acquisition/grow_corpus.py --seconds 60 --seed 1

Mutates what is known, watches which lines of `acquisition.codecs` follow which, and keeps what shows
something new.  An input that raises anything but a verdict ends the run, and is told.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from types import FrameType

from frames import bcd, closed, low_first, reply645, rtu
from targets import METER, TARGETS, told
from vectors import CORPUS, read, vectors

ROOM = "acquisition/codecs"


class Watch:
    """Pairs of lines of the codecs that were seen to follow one another."""

    def __init__(self) -> None:
        self.seen: set[tuple[object, ...]] = set()
        self._fresh = False
        self._last = ("", 0)

    def runs(self, data: bytes) -> bool:
        """Whether any target shows something new with this input; all of them are run."""
        return sum(self.run(target, data) for target in TARGETS) > 0

    def run(self, target: str, data: bytes) -> bool:
        """Whether a target shows something new with this input."""
        self._fresh = False
        sys.settrace(self._enter)
        try:
            found = told(target, [data]) + told(target, [bytes([one]) for one in data])
        except Exception as error:
            error.add_note(f"{target}: {data.hex()}")
            raise
        finally:
            sys.settrace(None)
        verdict = tuple(one if isinstance(one, str) else type(one).__name__ for one in found)
        self._note((target, *verdict))
        return self._fresh

    def _note(self, what: tuple[object, ...]) -> None:
        if what not in self.seen:
            self.seen.add(what)
            self._fresh = True

    def _enter(self, frame: FrameType, event: str, argument: object) -> object:
        return self._line if ROOM in frame.f_code.co_filename.replace("\\", "/") else None

    def _line(self, frame: FrameType, event: str, argument: object) -> object:
        here = (frame.f_code.co_filename, frame.f_lineno)
        self._note((*self._last, *here))
        self._last = here
        return self._line


def _in_steps() -> list[bytes]:
    """Answers to the questions of one exchange, one after another."""
    stamp, value = shown("05040001", "2411151100"), shown("05040101", "12345678")
    date, midnight, noon = (
        shown("04000101", "24111505"),
        *(shown("04000102", f"{h}0000") for h in ("00", "12")),
    )
    return [stamp + value + stamp, stamp + value, date + noon, date + midnight + date]


def shown(identifier: str, digits: str) -> bytes:
    """A meter's answer."""
    return reply645(METER, 0x91, low_first(identifier) + bcd(digits))


def mutated(rng: random.Random, known: list[bytes]) -> bytes:
    """A known input with some bytes changed; mostly with its sum put right again."""
    data = bytearray(rng.choice(known))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = rng.choice([rng.randbytes(rng.randrange(3)), b"\xff" * 4, b"\x68"])
    if rng.random() < 0.2:
        data += rng.choice(known)
    ends = rng.random()
    if ends < 0.6:
        return closed(bytes(data[:-2]))
    return rtu(bytes(data[:-2])) if ends < 0.7 else bytes(data)


def main() -> None:
    """Grow for a time, then write what is new beside what is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    rng, watch = random.Random(wanted.seed), Watch()
    dialogues = [bytes.fromhex(one) for told in read("dlt645")["dialogues"] for one in told["answers"]]
    known = [one.frame for one in [*vectors("dlt645"), *vectors("cjt188")]] + dialogues
    known += [rtu(b"\x01\x03\x0e" + bytes(14)), rtu(b"\x01\x83\x02"), b"".join(dialogues), *_in_steps()]
    known += [bytes.fromhex(one) for file in sorted(CORPUS.glob("*.hex")) for one in file.read_text().split()]
    kept = [one for one in known if watch.runs(one)]
    until, tried = time.monotonic() + wanted.seconds, 0
    while time.monotonic() < until:
        data, tried = mutated(rng, known), tried + 1
        if len(data) <= 120 and watch.runs(data):
            known.append(data)
            kept.append(data)
    CORPUS.mkdir(parents=True, exist_ok=True)
    (CORPUS / "codecs.hex").write_text("\n".join(sorted({one.hex() for one in kept})) + "\n")
    sys.stdout.write(f"{tried} inputs tried, {len(set(kept))} kept, {len(watch.seen)} things seen\n")


if __name__ == "__main__":
    main()
