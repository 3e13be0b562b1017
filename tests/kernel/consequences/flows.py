"""Flows that are tried through a host, and what became of them, in words.

A flow is written `KIND FROM -> TO:PORT`. All flows of a host are tried at once, and who sends much learns what a path
takes once for all its flows: a host's downloads to one client share their fate. What becomes of a flow is one of

    PLACE:PORT saw NAME   it was answered, by this service, which saw it come from this address
    answered              a ping was
    N of M answered       of connections at once
    refused, reset        a port unreachable, or a TCP reset
    unreachable           another ICMP error
    not permitted         the sender's own host did not let it out
    lost                  nothing came back in time
    stalled               it began, and then nothing came
"""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from kernel.consequences.services import MUCH
from kernel.consequences.world import World

PATIENCE: Final = 3.0
"""Seconds until an answer that is expected is given up; one comes in a few thousandths of a second."""

IMPATIENCE: Final = 0.2
"""Seconds that are waited for an answer that is not expected."""

NO_ANSWER: Final = frozenset({"lost", "stalled"})

_WRITTEN: Final = re.compile(
    r"(?P<kind>[a-z]+?)(?P<six>6?) (?P<source>[a-z-]+) -> (?P<to>\[.*\]|[^:\s]+)(:(?P<port>\d+))?"
)
_AT_ONCE: Final = 5
_APART: Final = 0.03


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow as it is sent.

    Args:
        kind: tcp, udp, ping, download, upload, ftp, or `many`: several TCP connections at once.
        version: 4 or 6.
        source: the name of the address that it is sent from.
        target: the name of the address that it is sent to, or an address.
        port: of the target; 0 if there is none.
    """

    kind: str
    version: int
    source: str
    target: str
    port: int

    @staticmethod
    def parse(written: str) -> Flow:
        """A flow from its written form, such as `tcp6 client -> host:80`."""
        found = _WRITTEN.fullmatch(written)
        assert found and found["kind"] in _KINDS, f"not a flow: {written}"
        target = found["to"].strip("[]")
        return Flow(found["kind"], 6 if found["six"] else 4, found["source"], target, int(found["port"] or 0))


@dataclass(slots=True)
class Trial:
    """Flows in one world. Those that are kept go on, later, in the connection that they have.

    Args:
        world: where.
    """

    world: World
    _kept: dict[str, socket.socket] = field(default_factory=dict)

    def outcomes(self, flows: Mapping[str, Flow], expected: Mapping[str, str], kept: frozenset[str]) -> dict[str, str]:
        """What becomes of each flow, all at once.

        Args:
            flows: by name.
            expected: what should become of each, which decides how long an answer is waited for.
            kept: the flows that go on in an earlier connection, if there is one, and keep theirs.
        """

        def outcome(name: str) -> str:
            patience = IMPATIENCE if expected[name] in NO_ANSWER else PATIENCE
            if name in self._kept:
                return _told(lambda: _ask(self._patient(self._kept[name], patience), b"ask\n"))
            with ExitStack() as stack:
                sending = _Sending(self.world, flows[name], patience, stack)
                told = _told(lambda: _KINDS[flows[name].kind](sending))
                if name in kept and sending.opened:
                    self._kept[name] = sending.opened
                    stack.pop_all()
                return told

        with ThreadPoolExecutor(max_workers=len(flows)) as pool:
            return dict(zip(flows, pool.map(outcome, flows), strict=True))

    @staticmethod
    def _patient(opened: socket.socket, patience: float) -> socket.socket:
        opened.settimeout(patience)
        return opened

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._kept.values():
            opened.close()


class _StalledError(Exception):
    """An answer began and did not go on."""


@dataclass(slots=True)
class _Sending:
    """A flow that is being sent: `opened` is its connection, once it has one."""

    world: World
    flow: Flow
    patience: float
    stack: ExitStack
    opened: socket.socket | None = None

    def connected(self, kind: socket.SocketKind, port: int, protocol: int = 0, target: str = "") -> socket.socket:
        """A socket from the flow's source to its target, or to another one."""
        version, places = self.flow.version, self.world.places
        with self.world[self.flow.source].entered():
            opened = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, kind, protocol)
        self.opened = self.stack.enter_context(opened)
        opened.settimeout(self.patience)
        opened.bind((places.address(self.flow.source, version), 0))
        opened.connect((target or places.address(self.flow.target, version), port))
        return opened


def _told(exchange: Callable[[], str]) -> str:
    try:
        return exchange()
    except TimeoutError:
        return "lost"
    except _StalledError:
        return "stalled"
    except OSError as error:
        return _ERRORS[error.errno or 0]


_ERRORS: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "unreachable",  # so IPv6 tells "administratively prohibited"
    errno.ETIMEDOUT: "lost",
    errno.EPERM: "not permitted",
}


def _ask(opened: socket.socket, question: bytes) -> str:
    opened.sendall(question)
    answer = opened.recv(MUCH)
    try:
        while answer and not answer.endswith(b"\n"):
            answer += opened.recv(MUCH)
    except TimeoutError:
        raise _StalledError from None
    return answer.decode().strip() or "reset"


def _tcp(sending: _Sending) -> str:
    return _ask(sending.connected(socket.SOCK_STREAM, sending.flow.port), b"ask\n")


def _download(sending: _Sending) -> str:
    """Much is sent by who is asked: nothing at all comes if the first packets are too large for the path."""
    opened = sending.connected(socket.SOCK_STREAM, sending.flow.port)
    try:
        return _ask(opened, b"much\n")
    except TimeoutError:
        raise _StalledError from None


def _upload(sending: _Sending) -> str:
    opened = sending.connected(socket.SOCK_STREAM, sending.flow.port)
    try:
        return _ask(opened, b" " * MUCH + b"\n")
    except TimeoutError:
        raise _StalledError from None


def _udp(sending: _Sending) -> str:
    opened = sending.connected(socket.SOCK_DGRAM, sending.flow.port)
    opened.send(b"ask")
    return opened.recv(MUCH).decode()


def _ping(sending: _Sending) -> str:
    six = sending.flow.version == 6
    opened = sending.connected(socket.SOCK_DGRAM, 0, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    opened.send(bytes([128 if six else 8, 0, 0, 0, 0, 0, 0, 1]))
    assert opened.recv(100)[0] == (129 if six else 0)
    return "answered"


def _ftp(sending: _Sending) -> str:
    """A control connection, and the data connection that its server asks for."""
    control = sending.connected(socket.SOCK_STREAM, sending.flow.port)
    _ask(control, b"ask\n")  # the kernel's helper reads an answer only after a line that it has seen the end of
    answer = _ask(control, b"PASV\r\n")
    numbers = re.findall(r"\d+", answer.partition("(")[2])
    port = int(numbers[4]) << 8 | int(numbers[5])
    return _ask(sending.connected(socket.SOCK_STREAM, port, target=".".join(numbers[:4])), b"ask\n")


def _many(sending: _Sending) -> str:
    """Connections, all open at once, a few jiffies apart: what has been counted is looked over once a jiffy at most."""
    outcomes = []
    for _ in range(_AT_ONCE):
        outcomes.append(_told(lambda: _tcp(sending)))
        time.sleep(_APART)
    return f"{sum(' saw ' in outcome for outcome in outcomes)} of {_AT_ONCE} answered"


_KINDS: Final[dict[str, Callable[[_Sending], str]]] = {
    "tcp": _tcp,
    "udp": _udp,
    "ping": _ping,
    "download": _download,
    "upload": _upload,
    "ftp": _ftp,
    "many": _many,
}
