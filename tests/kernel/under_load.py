"""A host under load: frames that come by a cable, counted behind the raw tables by whether they are tracked.

Those to port 4789 are what policies leave untracked. Those to port 4999 are what they have no entry for.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from benchmarks.sending import Sender
from ctpolicy.oracle.wire import frame
from ctpolicy.packetspace.packet import parse_packet
from kernel.namespace import Namespace

MOST_BATCHES: Final = 400_000
"""Of 256 packets: a test that hangs does not send for ever."""

PACKETS: Final = (
    "in udp 10.0.0.5:40000 -> 10.255.255.1:4789",
    "in udp 10.0.0.200:40001 -> 10.255.255.1:4789",
    "in udp [fd00:7::5]:40000 -> [fd00:ff::1]:4789",
    "in udp [fd00:7::9]:40001 -> [fd00:ff::1]:4789",
)

NEVER_BYPASSED: Final = (
    "in udp 10.0.0.5:40002 -> 10.255.255.1:4999",
    "in udp [fd00:7::5]:40002 -> [fd00:ff::1]:4999",
)

_COUNTERS: Final = """
table inet seen {
  counter untracked { }
  counter tracked { }
  counter strayed { }
  chain prerouting {
    type filter hook prerouting priority -250;
    iifname "eth0" udp dport 4789 ct state untracked counter name untracked drop
    iifname "eth0" udp dport 4789 counter name tracked drop
    iifname "eth0" udp dport 4999 ct state untracked counter name strayed drop
    iifname "eth0" udp dport 4999 drop
  }
}
"""


def receive(namespace: Namespace) -> None:
    """Give a host a cable to `wire`, where frames are put, and count what comes by it."""
    receiver = "02:00:00:00:00:01"
    namespace.write("ipv6/conf/default/accept_dad", 0)
    namespace.ip(
        f"link add eth0 address {receiver} type veth peer name wire",
        "link set eth0 up",
        "link set wire up",
        "address add 10.255.255.1/32 dev eth0",
        "address add fd00:ff::1/128 dev eth0",
    )
    namespace.load(_COUNTERS)


@contextmanager
def load(namespace: Namespace, packets: Sequence[str] = PACKETS) -> Iterator[None]:
    """As many packets as one thread can send, while something else is done."""
    frames = [frame(parse_packet(text), 1, b"\x02\0\0\0\0\x01") for text in packets]
    sender = Sender(namespace, "wire", frames)
    ended = threading.Event()

    def keep_sending() -> None:
        with suppress(PermissionError):  # an ordinary user's load is as high as others leave room for
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -5)
        for _ in range(MOST_BATCHES):
            if ended.is_set():
                return
            sender.send(1, time.perf_counter_ns)

    thread = threading.Thread(target=keep_sending)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def seen(namespace: Namespace) -> dict[str, int]:
    """Packets by whether they were tracked."""
    listing = json.loads(namespace.run("nft", "-j", "list", "counters").stdout)
    counters = (item["counter"] for item in listing["nftables"] if "counter" in item)
    return {counter["name"]: counter["packets"] for counter in counters}
