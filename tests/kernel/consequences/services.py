"""Services in the world's namespaces: each tells who asks it what it is called and whom it saw asking.

So a flow's answer says who got it, and from what address: enough to tell whether it was translated on its way.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from kernel.consequences.places import Places
from kernel.consequences.world import World

MUCH: Final = 30_000
"""Bytes of a large answer: more than the packets of a first flight."""

FTP_DATA: Final = 50_021
_LISTENING: Final = 64
_LONGEST: Final = 65_536


@dataclass(frozen=True, slots=True, order=True)
class Service:
    """Something that listens.

    Args:
        place: in which namespace.
        protocol: tcp, where `PASV` is understood as FTP servers do, or udp.
        port: where it listens, at all addresses.
        transparent: whether it takes connections to any address, as a proxy behind TPROXY does.
    """

    place: str
    protocol: str
    port: int
    transparent: bool = False

    def __str__(self) -> str:
        return f"{self.place}:{self.port}"


@contextmanager
def running(world: World, services: Iterable[Service]) -> Iterator[None]:
    """All these services, answered by one thread, until the block ends."""
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        told, tell = (stack.enter_context(end) for end in socket.socketpair())
        selector.register(told, selectors.EVENT_READ, None)
        for service in services:
            opened, ready = _opened(world, service, selector, stack)
            selector.register(opened, selectors.EVENT_READ, ready)
        thread = threading.Thread(target=_answer, args=(selector,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(tell.send, b".")
        yield


_Ready = Callable[[], None]


def _answer(selector: selectors.BaseSelector) -> None:
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            key.data()


def _opened(
    world: World, service: Service, selector: selectors.BaseSelector, stack: ExitStack
) -> tuple[socket.socket, _Ready]:
    if service.protocol == "udp":
        opened = stack.enter_context(_bound(world, service, socket.SOCK_DGRAM))
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        return opened, partial(_answer_datagram, opened, str(service), world.places)
    opened = stack.enter_context(_bound(world, service, socket.SOCK_STREAM))
    opened.listen(_LISTENING)
    return opened, partial(_accept, opened, service, world.places, selector, stack)


def _bound(world: World, service: Service, kind: socket.SocketKind) -> socket.socket:
    """A socket at all addresses of both families."""
    with world[service.place].entered():
        opened = socket.socket(socket.AF_INET6, kind)
    opened.setblocking(False)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MUCH)  # an answer is handed over at once
    if service.transparent:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TRANSPARENT, 1)
    opened.bind(("::", service.port))
    return opened


def _answer_datagram(opened: socket.socket, name: str, places: Places) -> None:
    """Answer from the very address that was asked."""
    try:
        _, ancillary, _, sender = opened.recvmsg(_LONGEST, 256)
        opened.sendmsg([f"{name} saw {places.name(sender[0])}".encode()], ancillary, 0, sender)
    except OSError:
        return  # an ICMP error about an earlier answer, or a firewall before ours: whoever asks sees it as no answer


def _accept(
    listening: socket.socket, service: Service, places: Places, selector: selectors.BaseSelector, stack: ExitStack
) -> None:
    try:
        opened, peer = listening.accept()
    except OSError:
        return  # gone before it was accepted
    stack.enter_context(opened).setblocking(False)
    answer = f"{service} saw {places.name(peer[0])}"
    selector.register(opened, selectors.EVENT_READ, partial(_answer_line, opened, answer, selector))


def _answer_line(opened: socket.socket, answer: str, selector: selectors.BaseSelector) -> None:
    """Answer each line; to `much`, with so much before the answer; to `PASV`, as FTP does."""
    try:
        asked = opened.recv(_LONGEST)
        if b"\n" in asked:
            opened.sendall(_reply(opened, asked, answer))
    except OSError:
        asked = b""  # reset: over
    if not asked:
        selector.unregister(opened)
        opened.close()


def _reply(opened: socket.socket, asked: bytes, answer: str) -> bytes:
    if asked.startswith(b"PASV"):
        address = opened.getsockname()[0].removeprefix("::ffff:").replace(".", ",")
        return f"227 Entering Passive Mode ({address},{FTP_DATA >> 8},{FTP_DATA & 255}).\r\n".encode()
    return b" " * (MUCH if asked.startswith(b"much") else 0) + answer.encode() + b"\n"
