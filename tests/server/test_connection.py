"""Who sends a header or body drop by drop, or reads no answer, loses the connection; others are served."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import uvicorn
from uvicorn.server import ServerState

from batch_scoring.server import connection
from batch_scoring.server.connection import BoundedProtocol

LARGE = 20_000_000
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab"


async def answer(scope, receive, send):
    """Answer at once; with a large body where it is asked for."""
    while (await receive()).get("more_body"):
        pass
    body = b"x" * (LARGE if scope["path"] == "/large" else 2)
    head = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def answer_without_reading(scope, receive, send):
    """Answer before the body is there."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"xx"})


@pytest.fixture
def server(monkeypatch) -> Iterator[uvicorn.Server]:
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(connection, "READER_SECONDS", 0.2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(answer, http=BoundedProtocol, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield server
        server.should_exit = True
        thread.join()


def connect_to(server: uvicorn.Server) -> closing[socket.socket]:
    address = server.servers[0].sockets[0].getsockname()
    return closing(socket.create_connection(address, timeout=60))


def read_to_the_end(client: socket.socket) -> int:
    """Read until the server ends the connection; how many bytes."""
    n = 0
    with suppress(ConnectionResetError):
        while part := client.recv(1 << 20):
            n += len(part)
    return n


@pytest.mark.slow
@pytest.mark.parametrize("part", [b"", b"GET / HTTP/1.1\r\nHost:"])
def test_a_header_that_does_not_come_whole_is_not_waited_for(server, part):
    with connect_to(server) as client:
        client.sendall(part)
        assert read_to_the_end(client) == 0


@pytest.mark.slow
def test_bytes_that_drip_in_do_not_begin_the_time_anew(server):
    with connect_to(server) as client, pytest.raises(OSError):
        for _ in range(600):
            client.sendall(b"G")
            time.sleep(0.1)


@pytest.mark.slow
def test_who_reads_nothing_of_an_answer_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(connection, "HEADER_SECONDS", 1000)
    with connect_to(server) as client:
        client.sendall(WHOLE.replace(b"/ ", b"/large ", 1))
        assert client.recv(1) == b"H"
        while server.server_state.connections:
            time.sleep(0.01)
        assert read_to_the_end(client) < LARGE


class Transport(asyncio.Transport):
    """Takes what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.is_aborted = bytearray(), False

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return False

    def abort(self):
        self.is_aborted = True

    def resume_reading(self):
        pass

    def close(self):
        pass


async def connect(monkeypatch, seconds):
    monkeypatch.setattr(connection, "HEADER_SECONDS", seconds)
    monkeypatch.setattr(connection, "READER_SECONDS", seconds)
    protocol, transport = BoundedProtocol(uvicorn.Config(answer), ServerState(), {}), Transport()
    protocol.connection_made(transport)
    return protocol, transport


async def waited() -> None:
    """Let all timers of no time run."""
    for _ in range(3):
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("whole", [WHOLE, BODY])
def test_a_header_that_is_there_ends_its_time_and_the_next_one_has_its_own(monkeypatch, whole):
    async def converse():
        protocol, transport = await connect(monkeypatch, 1000)
        protocol.data_received(whole[:10])
        monkeypatch.setattr(connection, "HEADER_SECONDS", 0)
        protocol.data_received(whole[10:15])  # the time goes on as it began
        protocol.data_received(whole[15:])
        if whole is BODY:
            await waited()
            protocol.data_received(b"cd")
        async with asyncio.timeout(60):
            while not transport.sent.endswith(b"xx"):
                await waited()
        assert not transport.is_aborted
        protocol.data_received(WHOLE[:20])
        await waited()
        assert transport.is_aborted
        protocol.connection_lost(None)

    asyncio.run(converse())


def test_who_reads_on_is_waited_for(monkeypatch):
    async def converse():
        protocol, transport = await connect(monkeypatch, 1000)
        protocol.data_received(WHOLE)
        monkeypatch.setattr(connection, "READER_SECONDS", 0)
        protocol.pause_writing()
        protocol.resume_writing()
        await waited()
        assert not transport.is_aborted
        protocol.pause_writing()
        await waited()
        assert transport.is_aborted

    asyncio.run(converse())


@pytest.mark.slow
def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(connection, "HEADER_SECONDS", 2.0)  # the header itself is to come in time
    server.config.loaded_app = answer_without_reading
    with connect_to(server) as client:
        client.sendall(BODY.replace(b" 4", b" 100000", 1))
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        with pytest.raises(OSError):
            for _ in range(600):
                client.sendall(b"c")
                time.sleep(0.1)


def test_a_body_that_comes_after_its_answer_ends_its_time(monkeypatch):
    async def converse():
        protocol, transport = await connect(monkeypatch, 1000)
        protocol.app = answer_without_reading
        protocol.data_received(BODY)
        async with asyncio.timeout(60):
            while not transport.sent.endswith(b"xx"):
                await waited()
        protocol.data_received(b"cd")
        monkeypatch.setattr(connection, "HEADER_SECONDS", 0)
        await waited()
        assert not transport.is_aborted
        # The next body has its own time.
        protocol.data_received(BODY)
        async with asyncio.timeout(60):
            while not transport.is_aborted:
                await waited()
        protocol.connection_lost(None)

    asyncio.run(converse())
