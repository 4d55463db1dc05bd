"""The proxy of the tests does what it says: proofs rest on it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from proxy import Proxy


@pytest.fixture
def server() -> Iterator[int]:
    """Port of a server that echoes."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones = [listener]

    def echo(one: socket.socket) -> None:
        try:
            while chunk := one.recv(4096):
                one.sendall(chunk)
        except OSError:
            pass
        one.close()

    def serve() -> None:
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            open_ones.append(one)
            threading.Thread(target=echo, args=(one,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    for one in open_ones:
        one.close()


@pytest.fixture
def proxy(server: int) -> Iterator[Proxy]:
    """A proxy before it."""
    with Proxy("127.0.0.1", server) as one:
        yield one


def said(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(4096)


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=1)


def test_proxy_passes_bytes_both_ways(proxy: Proxy) -> None:
    """Without orders nobody notices it."""
    with connect(proxy) as client:
        assert said(client, b"hello") == b"hello"
        assert said(client, b"again") == b"again"


def test_proxy_that_refuses_keeps_open_connections_and_comes_back_on_its_port(proxy: Proxy) -> None:
    """Refused means that nobody listens; what is open goes on."""
    with connect(proxy) as client:
        assert said(client, b"hello") == b"hello"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert said(client, b"still") == b"still"
    proxy.accept()
    with connect(proxy) as client:
        assert said(client, b"back") == b"back"


def test_proxy_that_cuts_resets_the_connection(proxy: Proxy) -> None:
    """The client sees RST, not an orderly end; a new connection works."""
    with connect(proxy) as client:
        assert said(client, b"hello") == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert proxy.open == 0
    with connect(proxy) as client:
        assert said(client, b"back") == b"back"


def test_proxy_that_swallows_is_silent_and_keeps_the_connection_dead_after_healing(proxy: Proxy) -> None:
    """Half-open: sending works, nothing comes, no end is told; only a new connection lives again."""
    with connect(proxy) as old:
        assert said(old, b"hello") == b"hello"
        proxy.swallow()
        with connect(proxy) as client:
            for one in (old, client):
                one.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    said(one, b"anybody?")
        proxy.heal()
        with pytest.raises(TimeoutError):
            said(old, b"now?")
        with connect(proxy) as client:
            assert said(client, b"back") == b"back"


def test_proxy_drops_every_nth_packet_of_the_client(proxy: Proxy) -> None:
    """Of six packets the third and the sixth vanish."""
    proxy.drop_every = 3
    came = []
    with connect(proxy) as client:
        client.settimeout(0.1)
        for number in range(6):
            try:
                came.append(said(client, b"%d" % number))
            except TimeoutError:
                came.append(b"")

    assert came == [b"0", b"1", b"", b"3", b"4", b""]


def test_proxy_delays_each_packet_either_way(proxy: Proxy) -> None:
    """There and back takes twice the delay."""
    proxy.delay_s = 0.1
    with connect(proxy) as client:
        began = time.monotonic()
        assert said(client, b"hello") == b"hello"
        assert time.monotonic() - began >= 0.2


def test_proxy_tells_a_client_that_the_server_closed(proxy: Proxy, server: int) -> None:
    """An orderly end is passed on as one."""
    with connect(proxy) as client:
        assert said(client, b"hello") == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
