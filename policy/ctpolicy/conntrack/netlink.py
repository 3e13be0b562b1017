"""Netlink messages and their attributes as bytes (linux/netlink.h). Nothing here knows what they are about."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, pack
from typing import Final, NamedTuple

from ctpolicy.errors import HostError

Bytes = bytes | bytearray | memoryview

REQUEST: Final = 0x1
ACKNOWLEDGE: Final = 0x4
DUMP: Final = 0x300
NESTED: Final = 0x8000

_MESSAGE: Final = Struct("=IHHII")
_ATTRIBUTE: Final = Struct("=HH")
_ERROR_CODE: Final = Struct("=i")
_KIND_MASK: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

ERROR: Final = 2
DONE: Final = 3


class Message(NamedTuple):
    """Where one message stands in a buffer.

    Args:
        kind: its type.
        sequence: of the request that it answers.
        start: where its payload begins.
        end: where it ends.
    """

    kind: int
    sequence: int
    start: int
    end: int


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """One message for the kernel."""
    return _MESSAGE.pack(_MESSAGE.size + len(payload), kind, flags | REQUEST, sequence, 0) + payload


def messages(buffer: Bytes, size: int) -> Iterator[Message]:
    """The messages of what was received in one go.

    Raises:
        HostError: they are cut.
    """
    at = 0
    while at < size:
        if size - at < _MESSAGE.size:
            raise malformed()
        length, kind, _, sequence, _ = _MESSAGE.unpack_from(buffer, at)
        if not _MESSAGE.size <= length <= size - at:
            raise malformed()
        yield Message(kind, sequence, at + _MESSAGE.size, at + length)
        at += _aligned(length)


def error_code(buffer: Bytes, found: Message) -> int:
    """What an ERROR or a DONE says: an errno, or 0 for success."""
    if found.end - found.start < _ERROR_CODE.size:
        return 0
    (code,) = _ERROR_CODE.unpack_from(buffer, found.start)
    return -int(code)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, filled up to four bytes."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def attributes(buffer: Bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """For each attribute its kind, and where its value begins and ends.

    Raises:
        HostError: they are cut.
    """
    while at < end:
        if end - at < 4:
            raise malformed()
        length, kind = _ATTRIBUTE.unpack_from(buffer, at)
        if not 4 <= length <= end - at:
            raise malformed()
        yield kind & _KIND_MASK, at + 4, at + length
        at += length + 3 & ~3


def values(buffer: Bytes, at: int, end: int) -> dict[int, bytes]:
    """The attributes by their kind."""
    return {kind: bytes(buffer[start:stop]) for kind, start, stop in attributes(buffer, at, end)}


def header(kind: int, length: int) -> int:
    """An attribute's header as a big-endian number, whatever this machine's order is."""
    return int.from_bytes(pack("=HH", length, kind))


def malformed() -> HostError:
    """What is said of an answer that is not as the kernel's headers say."""
    return HostError("The kernel's answer over netlink is cut, or of a form that ctpolicy does not know.")


def _aligned(length: int) -> int:
    return length + 3 & ~3
