"""Connections that do not wait for ever, neither for the header of a request nor for the reader of an answer.

uvicorn limits only how long a connection may stay idle between requests.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0
# Without a byte being taken of what waits to be sent.
READER_SECONDS = 30.0


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with three time limits.

    A header that is not whole ``HEADER_SECONDS`` after its first byte, or after the connection, ends the
    connection; so does a body that is not whole this long after its answer, and somebody who reads nothing
    of an answer for ``READER_SECONDS``.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._header, self._rest, self._reader = _Limit(self), _Limit(self), _Limit(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first header."""
        super().connection_made(transport)
        self._header.begin(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a header, or of a body, until it is there."""
        super().data_received(data)
        if self.conn.their_state is not h11.SEND_BODY:
            self._rest.end()
        if self.conn.their_state is h11.IDLE:
            self._header.begin(HEADER_SECONDS)
        else:
            self._header.end()

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that nobody has read, such as that of a form that is too large."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._rest.begin(HEADER_SECONDS)

    def pause_writing(self) -> None:
        """Wait for the reader of an answer."""
        super().pause_writing()
        self._reader.begin(READER_SECONDS)

    def resume_writing(self) -> None:
        """Go on: the reader has taken something."""
        super().resume_writing()
        self._reader.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limits."""
        for limit in (self._header, self._rest, self._reader):
            limit.end()
        super().connection_lost(exc)


class _Limit:
    """Ends a connection after a time, unless it is ended itself before."""

    def __init__(self, protocol: H11Protocol) -> None:
        self._protocol = protocol
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """Start the time, once: bytes that drip in do not start it anew."""
        if self._timer is None:
            self._timer = self._protocol.loop.call_later(seconds, self._protocol.transport.abort)

    def end(self) -> None:
        """Stop the time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
