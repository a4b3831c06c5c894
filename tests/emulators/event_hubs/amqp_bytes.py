"""Just enough of AMQP 1.0's encoding to take a message apart, annotate it and pad a frame, undecoded.

Section, type and frame layouts are those of the OASIS standard (amqp-core-types, -transport, -messaging).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, DATA = 0x70, 0x71, 0x72, 0x75
FIRST_SECTION, LAST_SECTION = 0x70, 0x78

# Fields of each performative: open, begin, attach, flow, transfer, disposition, detach, end, close.
PERFORMATIVE_FIELDS = {
    0x10: 10, 0x11: 8, 0x12: 14, 0x13: 11, 0x14: 11, 0x15: 6, 0x16: 3, 0x17: 1, 0x18: 1,
}  # fmt: skip

_FIXED_WIDTH = (0, 1, 2, 4, 8, 16)


class Section(NamedTuple):
    """A section of a message: its descriptor, and where it, its value and its end lie."""

    descriptor: int
    start: int
    value: int
    end: int


def skip_value(data: bytes, at: int) -> int:
    """Where the value that begins at ``at`` ends."""
    kind = data[at] >> 4
    if kind == 0x0:  # a descriptor, then the described value
        return skip_value(data, skip_value(data, at + 1))
    if kind <= 0x9:
        return at + 1 + _FIXED_WIDTH[kind - 4]
    if kind in (0xA, 0xC, 0xE):
        return at + 2 + data[at + 1]
    return at + 5 + struct.unpack_from(">I", data, at + 1)[0]


def sections(message: bytes) -> Iterator[Section]:
    """The sections of an encoded message, in order."""
    start = 0
    while start < len(message):
        value = skip_value(message, start + 1)
        is_small = message[start + 1] == 0x53
        descriptor = message[start + 2] if is_small else struct.unpack_from(">Q", message, start + 2)[0]
        end = skip_value(message, value)
        yield Section(descriptor, start, value, end)
        start = end


def map_items(message: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """The encoded keys and values of the map at ``at``."""
    if message[at] == 0xC1:
        position, count = at + 3, message[at + 2]
    else:
        position, count = at + 9, struct.unpack_from(">I", message, at + 5)[0]
    for _ in range(count // 2):
        middle = skip_value(message, position)
        end = skip_value(message, middle)
        yield message[position:middle], message[middle:end]
        position = end


def text_of(value: bytes) -> bytes:
    """The content of an encoded string, symbol or binary."""
    return value[2:] if value[0] in (0xA0, 0xA1, 0xA3) else value[5:]


def symbol(name: bytes) -> bytes:
    """A name as an encoded symbol."""
    return b"\xa3" + bytes([len(name)]) + name


def string(text: bytes) -> bytes:
    """UTF-8 text as an encoded string."""
    if len(text) < 256:
        return b"\xa1" + bytes([len(text)]) + text
    return b"\xb1" + struct.pack(">I", len(text)) + text


def long(number: int) -> bytes:
    """An integer as an encoded long."""
    return b"\x81" + struct.pack(">q", number)


def timestamp(milliseconds: int) -> bytes:
    """Milliseconds since 1970 as an encoded timestamp."""
    return b"\x83" + struct.pack(">q", milliseconds)


def map_section(descriptor: int, items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A section that is a map of encoded keys and values."""
    flat = [part for item in items for part in item]
    body = b"".join(flat)
    return b"\x00\x53" + bytes([descriptor]) + b"\xd1" + struct.pack(">II", len(body) + 4, len(flat)) + body


def is_message(data: bytes) -> bool:
    """Whether some bytes begin like an encoded message."""
    return len(data) > 2 and data[:2] == b"\x00\x53" and FIRST_SECTION <= data[2] <= LAST_SECTION


def pad_frame(frame: bytes) -> bytes:
    """A frame with all fields of its performative.

    Proton leaves trailing null fields out, as the standard allows; the SDK's own AMQP stack reads
    them by position.
    """
    body = frame[4] * 4
    if frame[5] != 0 or len(frame) <= body or frame[body + 2] not in PERFORMATIVE_FIELDS:
        return frame
    value = body + 3
    end = skip_value(frame, value)
    count, fields = _list_at(frame, value, end)
    missing = max(0, PERFORMATIVE_FIELDS[frame[body + 2]] - count)
    fields += b"\x40" * missing
    padded = (
        frame[4:value] + b"\xd0" + struct.pack(">II", len(fields) + 4, count + missing) + fields + frame[end:]
    )
    return struct.pack(">I", len(padded) + 4) + padded


def _list_at(frame: bytes, value: int, end: int) -> tuple[int, bytes]:
    """How many fields a list has, and these, encoded."""
    if frame[value] == 0x45:
        return 0, b""
    if frame[value] == 0xC0:
        return frame[value + 2], frame[value + 3 : end]
    return struct.unpack_from(">I", frame, value + 5)[0], frame[value + 9 : end]
