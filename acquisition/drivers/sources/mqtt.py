"""Messages of a broker as a feed: taken with QoS 1, acknowledged when they are on the disk.

What was not acknowledged comes again after a break, and what had been stored already is told by
its content and passed over.  A retained message without a stamp of its own is old news.
Source: MQTT 3.1.1 sections 3.3.1 and 4.3.2 (the flag of a repetition, QoS 1); the memory is ours.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from acquisition.drivers.clock import Clock
from acquisition.drivers.sources.feed import FeedDesk, FeedLink, Source, hand_in
from acquisition.drivers.sources.payload import Cell, Shape, cells_of
from acquisition.drivers.sources.plans import KEY, RECEIVED, VALUE, FeedPlan, MqttTable
from acquisition.files.reader import Cells, Chunk
from acquisition.files.rows import Interpreter
from nengliu.domain.quality import Reason
from nengliu.errors import ContractError, InputError, LinkError
from schemas.messages import RejectedRow

if TYPE_CHECKING:
    from acquisition.drivers.sources.broker import Message, Session

REMEMBERED = 512
"""Messages a repetition is known by; brokers have 20 to 100 on the way at a time."""
DIGEST = 8
LOOK_S = 1.0
"""How often the silence of a source is looked at."""
MOST_STRANGE = 1000
"""Topics without a wanted value that are told; each once."""


class MqttFeed:
    """Listens to topics, for ever.

    Raises
    ------
    InputError
        The extra ``nengliu[mqtt]`` is not installed, or password or certificates cannot be read.
    """

    def __init__(self, plan: FeedPlan, clock: Clock) -> None:
        assert isinstance(plan.told, MqttTable)
        try:
            from acquisition.drivers.sources.broker import Session
        except ImportError as error:
            told = f"feed {plan.name}: kind mqtt: expected the extra nengliu[mqtt], got: {error}; install it"
            raise InputError(told) from error
        self._plan, self._told, self._clock, self._new_session = plan, plan.told, clock, Session
        self._source = Source(plan.name, plan.schema.schema, plan.points)
        keys = frozenset(series.source for series in plan.map.series)
        stamps = plan.map.time.stamp.columns
        self._shape = Shape(plan.told.records, plan.told.device, stamps, keys)
        self._stamped = RECEIVED not in stamps
        self._known: dict[bytes, None] = {}
        self._strange: set[str] = set()

    @property
    def name(self) -> str:
        """Name of the feed."""
        return self._plan.name

    async def run(self, desk: FeedDesk) -> None:
        """Hand in what comes, for ever: until cancelled."""
        kept = desk.state(f"feed/{self.name}")
        digests = base64.b85decode(kept[0]) if kept else b""
        self._known = {digests[n : n + DIGEST]: None for n in range(0, len(digests), DIGEST)}
        link = FeedLink(self.name, self._clock, desk, self._told.silent_s)
        while True:
            session = self._new_session(self._plan)
            try:
                await session.begin()
                link.up()
                await self._listen(session, desk, link)
            except LinkError as error:
                link.down(error)
            finally:
                await session.end()
            link.watch()
            await self._clock.sleep_until(self._clock.now_ms() + max(link.retry_ms, 1000))

    async def sample(self, desk: FeedDesk, within_s: float) -> None:
        """Hand in the first messages, for the eye; they are not acknowledged, and the session is another one."""
        session = self._new_session(self._plan, is_trial=True)
        try:
            await session.begin()
            self.take(await session.next(within_s), desk)
        finally:
            await session.end()

    async def _listen(self, session: Session, desk: FeedDesk, link: FeedLink) -> None:
        """Take messages until the connection is lost (LinkError)."""
        while True:
            messages = await session.next(LOOK_S)
            if messages:
                self.take(messages, desk)
                link.heard()
                await desk.durable()
                session.acknowledge(messages)
            link.watch()

    def take(self, messages: Sequence[Message], desk: FeedDesk) -> None:
        """Hand in what messages say, each once, and remember them."""
        now_ms = self._clock.now_ms()
        cells: list[Cell] = []
        rejected: list[RejectedRow] = []
        for message in messages:
            digest = blake2b(f"{message.topic}\0".encode() + message.payload, digest_size=DIGEST).digest()
            if self._is_old(message, digest):
                continue
            self._known.pop(digest, None)
            self._known[digest] = None
            try:
                cells += cells_of(message.topic, message.payload, self._shape, now_ms)
            except ContractError as error:
                rejected += self._refused(message, error)
        if rejected:
            desk.reject(self.name, tuple(rejected))
        if cells:
            self._hand_in(cells, desk, now_ms)
        self._known = dict.fromkeys(list(self._known)[-REMEMBERED:])
        kept = base64.b85encode(b"".join(self._known)).decode()
        desk.put_state(f"feed/{self.name}", kept, now_ms)

    def _is_old(self, message: Message, digest: bytes) -> bool:
        """Whether a message was stored before, or is old news without a time.

        The same words twice without a stamp are two readings, unless the broker says that it repeats itself.
        """
        repeated = message.again or message.retained or self._stamped
        return (digest in self._known and repeated) or (message.retained and not self._stamped)

    def _refused(self, message: Message, error: ContractError) -> list[RejectedRow]:
        """A message that says nothing wanted is told once per topic; a broken one always."""
        if error.reason == "UNKNOWN_POINT":
            if message.topic in self._strange or len(self._strange) >= MOST_STRANGE:
                return []
            self._strange.add(message.topic)
        text = message.payload[:200].decode(errors="replace")
        return [
            RejectedRow(0, int(Reason[error.reason]), "", text, error.parameters | {"topic": message.topic})
        ]

    def _hand_in(self, cells: Sequence[Cell], desk: FeedDesk, now_ms: int) -> None:
        columns: dict[str, Cells] = {
            name: [cell.stamps[n] for cell in cells] for n, name in enumerate(self._shape.stamps)
        }
        columns |= {KEY: [cell.key for cell in cells], VALUE: [cell.value for cell in cells]}
        interpreter = Interpreter(self._plan.map, -(-now_ms // 1000))
        parts = [interpreter.add(Chunk(np.arange(1, len(cells) + 1), columns)), interpreter.finish()]
        hand_in(desk, self._plan, self._source, parts)
