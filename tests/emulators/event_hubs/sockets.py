"""Proton's socket handler, sending whole padded frames, and able to break a connection off."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

from proton.handlers import IOHandler

from tests.emulators.event_hubs.amqp_bytes import pad_frame

SEND_SECONDS = 10.0


class PaddingIO(IOHandler):
    """Writes each frame with all its fields; see :func:`pad_frame`."""

    def on_selectable_writable(self, event: Any) -> None:
        selectable = event.selectable
        transport = selectable._transport
        if not transport:
            return
        waiting = selectable.__dict__.setdefault("_unsent", bytearray())
        pending = transport.pending()
        if pending > 0:
            waiting += transport.peek(pending)
            transport.pop(pending)
        try:
            # A reader that is slow makes the stand-in wait, but not for ever.
            selectable._delegate.settimeout(SEND_SECONDS)
            selectable._delegate.sendall(_take_frames(waiting))
        except OSError:
            transport.close_head()
        finally:
            selectable._delegate.setblocking(False)
        self.update(transport, selectable, selectable._reactor.now)


def break_off(connection: Any) -> None:
    """End a connection as a failing network does: without a word."""
    transport = connection.transport
    if transport is not None and transport._selectable is not None:
        with contextlib.suppress(OSError):
            transport._selectable._delegate.shutdown(socket.SHUT_RDWR)


def _take_frames(waiting: bytearray) -> bytes:
    """Cut the whole frames off the front of what is to be sent, padded."""
    frames, at = bytearray(), 0
    while len(waiting) - at >= 8:
        is_protocol_header = waiting[at : at + 4] == b"AMQP"
        size = 8 if is_protocol_header else struct.unpack_from(">I", waiting, at)[0]
        if len(waiting) - at < size:
            break
        frame = bytes(waiting[at : at + size])
        frames += frame if is_protocol_header else pad_frame(frame)
        at += size
    del waiting[:at]
    return bytes(frames)
