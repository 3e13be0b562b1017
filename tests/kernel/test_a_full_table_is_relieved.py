"""Before and after, on a conntrack table that is really full: the kernel's own maximum, filled by real packets.

A network namespace counts its own entries, but holds them against the machine's nf_conntrack_max, which it cannot set
(Linux 6.18; the first test). So that maximum is what is filled, in a scratch namespace: 262,144 entries on a machine
with 4 GB and more, about 100 MB of the kernel's memory, in four seconds, and gone with the namespace. No other
namespace has an entry less for it.

What a full table does depends on what is in it. For each new flow the kernel looks through eight buckets for an entry
that is not assured, and takes that out (an early drop). So entries that nobody answers, as those of VXLAN, do not have
packets dropped by themselves: they cost others, that wait for an answer, their entries. Connections that were answered
are assured; the fewer others there are, the more packets are dropped. The tests have each case.
"""

from __future__ import annotations

import json
import re
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from ctpolicy.conntrack.facts import Statistics
from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.doctor.facts import Log
from ctpolicy.doctor.kernel_log import table_full
from ctpolicy.doctor.this_machine import ThisMachine
from kernel.command_line import done, ran
from kernel.flood import CLIENTS, NODE, SERVERS, VXLAN_PEERS, Flood, flood
from kernel.hosts import HERE_V4, Pair, pair, ping, states
from kernel.namespace import Namespace, skip_but_for_ci

pytestmark = pytest.mark.kernel

LARGEST: Final = 1 << 19
"""Entries that these tests make at most; of more, on a machine with so large a table, they are not run."""

ENTRY_BYTES: Final = 512
SMALL: Final = 1 << 14
MEMCACHED: Final = 11211
OTHER: Final = 443
FLOWS: Final = 2000
RESOLVER: Final = "198.51.100.53"

POLICY: Final = f"""
apiVersion: ctpolicy/v1
name: relief
bypass:
  - name: vxlan
    overlay: vxlan
    peers: {VXLAN_PEERS}
  - name: memcached
    forward: tcp/{MEMCACHED}
    clients: {CLIENTS}
    servers: {SERVERS}
"""


@pytest.fixture
def hosts() -> Iterator[Pair]:
    with pair() as joined:
        ping(joined.there, HERE_V4, 1)  # so that both know where the other is
        yield joined


@pytest.fixture
def uplink(hosts: Pair) -> Iterator[Flood]:
    with flood(hosts.here) as opened:
        yield opened


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    written = tmp_path / "policy.yaml"
    written.write_text(POLICY)
    return written


def maximum(host: Namespace) -> int:
    """How many entries the host may have: a few, if it may be told so; else as many as the machine has set."""
    try:
        host.write("netfilter/nf_conntrack_max", SMALL)
    except OSError:
        found = KernelFacts(host.path).facts().maximum
        assert found
        free = int(re.findall(r"^MemAvailable: +(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)[0]) << 10
        if found > LARGEST or found * ENTRY_BYTES > free // 4:
            skip_but_for_ci(f"to fill a table of {found} entries would take too much of this machine")
        return found
    return SMALL


def counted(host: Namespace) -> Statistics:
    found = KernelFacts(host.path).facts().statistics
    assert found is not None
    return found


def entries(host: Namespace) -> int:
    found = KernelFacts(host.path).facts().entries
    assert found is not None
    return found


def assert_full(host: Namespace, most: int) -> None:
    """At the maximum, but for what goes by itself meanwhile."""
    assert most - 20 <= entries(host) <= most + 1


def connected(hosts: Pair, number: int = 50) -> int:
    """How many of so many connections to port 22 of this host are made with the first packet."""
    with ExitStack() as stack:
        with hosts.here.entered():
            server = stack.enter_context(socket.socket())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HERE_V4, 22))
        server.listen(number)
        waiting = select.poll()
        clients = {}
        for _ in range(number):
            with hosts.there.entered():
                client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((HERE_V4, 22))
            waiting.register(client, select.POLLOUT)
            clients[client.fileno()] = client
        made = 0
        while ready := waiting.poll(600):  # a second packet would come after 1000
            for descriptor, _ in ready:
                made += clients[descriptor].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
                waiting.unregister(descriptor)
        return made


def findings(host: Namespace, status: int) -> dict[str, dict[str, str]]:
    """What the doctor says, by the finding's code."""
    ended = ran("doctor", "--netns", host.path, "--no-trial", "--json")
    assert ended.status == status, ended
    return {finding["code"]: finding for finding in json.loads(ended.output)["findings"]}


def test_the_maximum_is_the_machines_and_each_namespace_counts_for_itself(hosts: Pair) -> None:
    """Where a kernel lets a namespace set its own, these tests fill that, and what the doctor says is to change."""
    with pytest.raises(PermissionError):
        hosts.here.write("netfilter/nf_conntrack_max", SMALL)
    assert KernelFacts(hosts.here.path).facts().maximum == KernelFacts().facts().maximum
    before = entries(hosts.there)
    hosts.here.run("conntrack", "-I", "-p", "udp", "-s", "1.1.1.1", "-d", "2.2.2.2", "--sport", "1", "--dport", "2",
                   "-t", "60")  # fmt: skip
    assert entries(hosts.there) == before


@pytest.mark.soak
def test_answered_connections_fill_the_table_and_new_ones_are_dropped(
    hosts: Pair, uplink: Flood, policy_file: Path
) -> None:
    """Every entry is assured, so nothing makes room: packets are dropped, until the policy and a drain."""
    here, most = hosts.here, maximum(hosts.here)
    assert connected(hosts) == 50
    here.run("conntrack", "-F")  # or their entries, which end, would make room
    uplink.handshakes(0, most, MEMCACHED)
    assert_full(here, most)
    before = counted(here)
    uplink.handshakes(most, FLOWS, MEMCACHED)
    assert (counted(here) - before).drop == 3 * FLOWS, "each packet of each new flow is dropped"
    assert connected(hosts) == 0, "nobody can come in by ssh"
    assert_log_tells(here)
    sick = findings(here, status=8)
    assert sick["table-fill"]["severity"] == "fault"
    assert sick["table-drops"]["severity"] == "warning"
    assert sick["log-table-full"]["severity"] in {"fault", "unknown"}

    done("apply", "--netns", here.path, "--yes", policy_file)
    before, passed = counted(here), states(here)["untracked"]
    uplink.handshakes(most, FLOWS, MEMCACHED)
    assert states(here)["untracked"] - passed == 3 * FLOWS, "the same traffic goes through a table that is still full"
    assert (counted(here) - before).drop == 0
    assert_full(here, most)
    assert connected(hosts) == 0, "what is tracked still finds no room"

    done("drain", "--netns", here.path, "--yes", "--deadline", "90")
    assert entries(here) < 200
    before, passed = counted(here), states(here)["untracked"]
    assert connected(hosts) == 50
    uplink.handshakes(0, 10 * FLOWS, MEMCACHED)
    assert states(here)["untracked"] - passed == 30 * FLOWS
    assert (counted(here) - before) == Statistics()
    assert entries(here) < 200
    well = findings(here, status=0)
    assert well["table-fill"]["severity"] == "fine"
    assert well["log-table-full"]["severity"] in {"warning", "unknown"}, "what was is still told"


def assert_log_tells(host: Namespace) -> None:
    """The kernel's log, where it can be read, says that the table of this namespace was full."""
    log = ThisMachine(host.path).kernel_log()
    if isinstance(log, Log):
        full = table_full(log.lines)
        assert full is not None and full.times
        assert not full.namespaces or host.path.stat().st_ino in full.namespaces
    else:
        assert "/dev/kmsg" in log.why


@pytest.mark.soak
def test_vxlan_in_the_last_places_has_ordinary_connections_fail(hosts: Pair, uplink: Flood, policy_file: Path) -> None:
    """Most entries are assured and stay; what VXLAN takes of the rest is what others lack."""
    here, most = hosts.here, maximum(hosts.here)
    assured = most - most // 50
    uplink.handshakes(0, assured, OTHER)
    assert connected(hosts) == 50
    uplink.vxlan(most // 50 + 10_000)
    assert_full(here, most)
    before = counted(here)
    uplink.vxlan(10_000)
    lost = counted(here) - before
    assert lost.drop > 3000 and lost.early_drop > 1000, lost
    assert lost.drop + lost.early_drop >= 10_000, "of each packet something is lost: itself, or an entry"
    assert connected(hosts) < 35, "of ordinary connections, most do not come in"

    done("apply", "--netns", here.path, "--yes", "--drain", policy_file)
    assert assured - 200 <= entries(here) <= assured + 200, "what is not bypassed is left alone"
    before = counted(here)
    assert connected(hosts) == 50
    uplink.vxlan(20_000)
    assert connected(hosts) == 50
    assert counted(here) - before == Statistics()
    assert entries(here) <= assured + 300


def ask(host: Namespace, stack: ExitStack, number: int) -> list[int]:
    """Questions to a resolver that takes its time; the ports that wait for an answer."""
    ports = []
    for _ in range(number):
        with host.entered():
            asking = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        asking.bind((NODE, 0))
        asking.sendto(b"?", (RESOLVER, 53))
        ports.append(asking.getsockname()[1])
    return ports


def answered(uplink: Flood, ports: list[int]) -> dict[str, int]:
    """The resolver's answers, by what the firewall of this host takes them for."""
    before = states(uplink.host)
    for port in ports:
        uplink.answer(RESOLVER, 53, port)
    after = states(uplink.host)
    return {state: after[state] - before[state] for state in ("new", "established")}


@pytest.mark.soak
def test_vxlan_alone_fills_the_table_and_takes_the_entries_of_who_waits(
    hosts: Pair, uplink: Flood, policy_file: Path
) -> None:
    """Nothing is dropped, since entries that nobody answered make room; among them are those that wait for answers."""
    here, most = hosts.here, maximum(hosts.here)
    with ExitStack() as stack:
        uplink.vxlan(most)
        ports = ask(here, stack, 300)
        before = counted(here)
        uplink.vxlan(most)
        assert_full(here, most)
        lost = counted(here) - before
        assert lost.early_drop >= most - 100
        assert lost.drop < most // 1000
        told = answered(uplink, ports)
        assert sum(told.values()) == 300
        assert told["new"] > 150, "of most questions nobody knows any longer when the answer comes"
        assert connected(hosts) >= 48, "connections find room: each takes an entry of VXLAN"

    done("apply", "--netns", here.path, "--yes", "--drain", policy_file)
    assert entries(here) < 1000
    with ExitStack() as stack:
        ports = ask(here, stack, 300)
        before = counted(here)
        uplink.vxlan(50_000)
        assert counted(here) - before == Statistics()
        assert answered(uplink, ports) == {"new": 0, "established": 300}
    assert entries(here) < 1000
    assert connected(hosts) == 50
