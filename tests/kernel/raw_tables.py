"""The raw tables and ipsets of a scratch namespace, through the tools themselves: what tests of iptables share."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ctpolicy.iptables.ruleset import Variant
from ctpolicy.oracle.namespace import Namespace
from ctpolicy.packetspace.fields import Family

PREFIX: Final = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def change(*lines: str) -> str:
    """A change to a raw table, as iptables-restore takes it."""
    return "\n".join(["*raw", *lines, "COMMIT", ""])


def restore(host: Namespace, variant: Variant, *lines: str, family: Family = Family.IPV4, check: bool = True) -> str:
    """Make a change, with the tool and no more around it than the door has; what it said."""
    options = ("-w", "10") if variant is Variant.LEGACY else ()
    tool = f"{PREFIX[family]}-{variant.value}-restore"
    return host.run(tool, "--noflush", "--counters", *options, stdin=change(*lines), check=check).stderr


def rules(host: Namespace, variant: Variant, family: Family = Family.IPV4) -> list[str]:
    """What iptables-save prints of the raw table with counters, without remarks."""
    printed = host.run(f"{PREFIX[family]}-{variant.value}-save", "-c", "-t", "raw").stdout
    return [line for line in printed.splitlines() if line and not line.startswith("#")]


def counted(host: Namespace, variant: Variant, ending: str) -> int:
    """Packets that the one rule of which the saved line ends so has counted."""
    (found,) = (line for line in rules(host, variant) if line.endswith(ending))
    matched = re.match(r"\[(\d+):\d+\] ", found)
    assert matched, found
    return int(matched[1])


def ipset(host: Namespace, *lines: str, check: bool = True) -> str:
    """Run lines through `ipset restore`; what it said."""
    return host.run("ipset", "restore", stdin="\n".join(lines) + "\n", check=check).stderr


def send(host: Namespace, port: int, packets: int = 1, address: str = "127.0.0.1") -> None:
    """Datagrams from the host to itself, which nobody answers but by ICMP."""
    with host.entered():
        sending = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with sending:
        for _ in range(packets):
            sending.sendto(b"load", (address, port))


@contextmanager
def load(host: Namespace, port: int) -> Iterator[None]:
    """Datagrams from the host to itself, as many as one thread can send, while something else is done."""
    with host.entered():
        sending, taking = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    ended = threading.Event()

    def keep_sending() -> None:
        while not ended.is_set():
            sending.sendto(b"load", ("127.0.0.1", port))

    with sending, taking:
        taking.bind(("127.0.0.1", port))  # so that no ICMP errors are made, nor tracked
        thread = threading.Thread(target=keep_sending)
        thread.start()
        try:
            time.sleep(0.2)
            yield
        finally:
            ended.set()
            thread.join()
