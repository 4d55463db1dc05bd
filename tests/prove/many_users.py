"""Many readers at once: how long until each has the first view of a page, over the wire as a browser speaks it.

Each reader opens a websocket of his own with the cookie of a log-in, asks for the page, and waits until the script has
finished and the page's foot has come.  Every reader arrives at his own moment, evenly spread over some seconds.

    python -m tests.prove.many_users http://localhost:8600 ops PASSWORD
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.dashboards.serving import logged_in

PAGE = "gov-overview"
PATIENCE_S = 60.0
_DRAWN = b'class="nl-foot"'  # the style sheet names it, too


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where and when one reader comes."""

    address: str
    cookie: str
    page: str
    after_s: float


def first_views(
    address: str, cookie: str, users: int = 50, seconds: float = 5.0, page: str = PAGE
) -> list[float]:
    """Measure how long each of many readers waits for his first view [s].

    Parameters
    ----------
    address
        Of a running server, without a path.
    cookie
        Value of the ``Cookie`` header of somebody logged in (`tests.dashboards.serving.logged_in`).
    users, seconds
        How many come, evenly spread over how long.
    page
        Path of the page, parameters included.

    Raises
    ------
    RuntimeError
        The page was not drawn for somebody: the script ended without its foot.
    """
    arrivals = [Arrival(address, cookie, page, seconds * n / users) for n in range(users)]
    return asyncio.run(_all(arrivals))


async def _all(arrivals: list[Arrival]) -> list[float]:
    return list(await asyncio.gather(*(_view(arrival) for arrival in arrivals)))


async def _view(arrival: Arrival) -> float:
    await asyncio.sleep(arrival.after_s)
    stream = arrival.address.replace("http", "ws", 1) + "/_stcore/stream"
    begin = time.monotonic()
    async with websockets.connect(
        stream,
        subprotocols=[websockets.Subprotocol("streamlit")],
        additional_headers={"Cookie": arrival.cookie},
        max_size=None,
        proxy=None,
    ) as socket:
        await socket.send(_asked(arrival))
        drawn = False
        async with asyncio.timeout(PATIENCE_S):
            async for sent in socket:
                assert isinstance(sent, bytes)
                drawn = drawn or _DRAWN in sent
                if _is_over(ForwardMsg.FromString(sent)):
                    break
        passed = time.monotonic() - begin
    if not drawn:
        raise RuntimeError(f"{arrival.page}: ended without having been drawn")
    return passed


def _is_over(message: ForwardMsg) -> bool:
    """Say whether a message ends a view; a run that was broken off to begin anew does not."""
    ended = message.WhichOneof("type") == "script_finished"
    return ended and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN


def _asked(arrival: Arrival) -> bytes:
    path, _, query = arrival.page.partition("?")
    message = BackMsg()
    message.rerun_script.page_name = path
    message.rerun_script.query_string = query
    message.rerun_script.context_info.url = f"{arrival.address}/{path}"
    message.rerun_script.context_info.timezone = "Asia/Shanghai"
    return message.SerializeToString()


def quantile(found: list[float], share: float) -> float:
    """Give the smallest of some figures that at least a share of them do not exceed."""
    return sorted(found)[max(0, -(-int(share * 100) * len(found) // 100) - 1)]


def main(address: str, login: str, password: str) -> None:
    """Print the figures: one reader on a warm page first, then fifty within five seconds, three times."""
    cookie = logged_in(address, login, password)
    print(f"cold, 1 reader: {first_views(address, cookie, 1, 0)[0] * 1000:.0f} ms")
    print(f"warm, 1 reader: {first_views(address, cookie, 1, 0)[0] * 1000:.0f} ms")
    for _ in range(3):
        found = first_views(address, cookie)
        p50, p95, most = (1000 * quantile(found, share) for share in (0.5, 0.95, 1.0))
        print(f"{len(found)} readers in 5 s: p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {most:.0f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:4])
