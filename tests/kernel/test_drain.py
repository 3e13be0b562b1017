"""`ctpolicy drain` on the real kernel: exactly the pointless entries go, whatever else is in the table."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from jsonschema import Draft202012Validator

import ctpolicy
from conntrack.printing import printed
from ctpolicy.conntrack.entry import Status
from ctpolicy.conntrack.reader import Conntrack
from ctpolicy.errors import HostError, InputError
from ctpolicy.language.schema import shipped_schema
from kernel.command_line import each_backend, ran
from kernel.hosts import HERE_V4, HERE_V6, THERE_V4, THERE_V6, Pair, pair, ping, udp
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

POLICY: Final = """
apiVersion: ctpolicy/v1
name: drained
bypass:
  - name: metrics
    host-service: tcp/9100
  - name: dns
    host-client: udp/53
  - name: vxlan
    overlay: vxlan
  - name: pings
    match: {protocol: icmp, both-ways: true}
  - name: pings-v6
    match: {protocol: icmpv6, both-ways: true}
  - name: one-device
    host-service: tcp/9300
    interfaces: [eth0]
track:
  - name: ssh
    host-service: tcp/22
"""

PACKAGE: Final = Path(ctpolicy.__file__).parent.parent

TABLE_ACTIVE: Final = "table inet active { chain input { type filter hook input priority 0; ct state new; }; }"


@pytest.fixture
def hosts() -> Iterator[Pair]:
    with pair() as joined:
        yield joined


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    written = tmp_path / "policy.yaml"
    written.write_text(POLICY)
    return written


def insert(host: Namespace, *entries: str) -> None:
    """Make entries, each by the options of `conntrack -I`."""
    for entry in entries:
        host.run("conntrack", "-I", "-t", "600", *entry.split())


def lines(host: Namespace) -> set[str]:
    """The table, entry by entry, without what changes by itself: timeouts, and what has been counted."""
    found = host.run("conntrack", "-L", "-o", "extended,id").stdout.splitlines()
    return {
        re.sub(r"(?<=\d) \d+(?= (?:[A-Z]|src))| use=\d+| packets=\d+ bytes=\d+", "", line, count=0) for line in found
    }


def drain(host: Namespace, *options: str) -> dict[str, dict[str, int]]:
    """What `ctpolicy drain --json` says: pointless entries by policy entry, and what is left alone by reason."""
    done = ran("drain", "--netns", host.path, "--json", "--yes", *options)
    assert done.status == 0, done
    found = json.loads(done.output)
    Draft202012Validator(shipped_schema("drain")).validate(found)
    return {
        "pointless": {one["name"]: one["entries"] for one in found["pointless"]},
        "left": {one["reason"]: one["entries"] for one in found["leftAlone"]},
        "drained": found["drained"] or {},
    }


def apply(host: Namespace, policy: Path, *options: str) -> None:
    done = ran("apply", "--netns", host.path, "--yes", policy, *options)
    assert done.status == 0, done


def connect(hosts: Pair, port: int, stack: ExitStack, listening: int = 0) -> None:
    """A connection from there to a port here, which stays open."""
    with hosts.here.entered():
        server = stack.enter_context(socket.socket())
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", listening or port))
    server.listen()
    with hosts.there.entered():
        client = stack.enter_context(socket.socket())
    client.settimeout(5)
    client.connect((HERE_V4, port))
    stack.enter_context(server.accept()[0])


@each_backend
def test_real_traffic_leaves_entries_and_exactly_the_pointless_ones_go(
    backend: str, hosts: Pair, policy_file: Path
) -> None:
    with ExitStack() as stack:
        for port in (22, 9100, 9200, 9300):
            connect(hosts, port, stack)
        udp(hosts.here, hosts.there, THERE_V4, 53)
        udp(hosts.here, hosts.there, THERE_V6, 53)
        udp(hosts.there, hosts.here, HERE_V4, 53)  # a resolver here is no entry of the policy
        ping(hosts.here, THERE_V4)
        ping(hosts.there, HERE_V6)
        there = hosts.there.conntrack()
        before = lines(hosts.here)
        apply(hosts.here, policy_file, "--backend", backend)
        found = drain(hosts.here, "--backend", backend)
        assert found["pointless"] == {"dns": 2, "metrics": 1, "pings": 1, "pings-v6": 1}
        assert found["left"] == {"interface": 1}
        assert found["drained"]["deleted"] + found["drained"]["gone"] == 5
        gone = before - lines(hosts.here)
        assert len(gone) == 5
        assert all(
            re.search(r"dport=9100 |src=10.1.0.1 .*dport=53 |src=fd00:1::1 .*dport=53 |icmp", line) for line in gone
        )
        assert {port for port in (22, 9200, 9300) if any(f"dport={port} " in line for line in lines(hosts.here))} == {
            22,
            9200,
            9300,
        }
        assert len(hosts.there.conntrack()) >= len(there) - 2, "another namespace's entries stay (pings time out)"
        assert drain(hosts.here, "--backend", backend)["pointless"] == {}


def test_a_translated_flow_that_looks_like_bypassed_traffic_stays_and_lives(hosts: Pair, policy_file: Path) -> None:
    """Port 9100 is redirected to 8080 here: the original tuple is that of the entry `metrics`, both ways."""
    hosts.here.load(
        "table ip nat { chain in { type nat hook prerouting priority -100; tcp dport 9100 redirect to :8080; }; }"
    )
    with ExitStack() as stack:
        connect(hosts, 9100, stack, listening=8080)
        hosts.here.run("nft", "delete", "table", "ip", "nat")
        connect(hosts, 9100, stack)
        apply(hosts.here, policy_file)
        before = lines(hosts.here)
        found = drain(hosts.here)
        assert (found["pointless"], found["left"]) == ({"metrics": 1}, {"nat": 1})
        (stays,) = [line for line in lines(hosts.here) if "dport=9100 " in line]
        assert "sport=8080 " in stays
        assert len(before - lines(hosts.here)) == 1


def test_masqueraded_flows_stay(hosts: Pair, policy_file: Path) -> None:
    hosts.here.load("table ip nat { chain out { type nat hook postrouting priority 100; udp dport 53 masquerade; }; }")
    hosts.here.ip("address add 10.1.0.77/24 dev eth0")
    udp(hosts.here, hosts.there, THERE_V4, 53, source="10.1.0.77")
    apply(hosts.here, policy_file)
    found = drain(hosts.here)
    (stays,) = [line for line in lines(hosts.here) if "dport=53 " in line]
    assert "src=10.1.0.77 " in stays and "dst=10.1.0.1 " in stays, "it was not translated"
    assert (found["pointless"], found["left"]) == ({}, {"nat": 1})


def test_what_a_helper_watches_and_expects_stays(hosts: Pair, tmp_path: Path) -> None:
    policy_file = tmp_path / "policy.yaml"
    policy_file.write_text(
        "apiVersion: ctpolicy/v1\nname: ftp\nbypass:\n"
        "  - {name: control, host-service: tcp/21}\n  - {name: data, host-service: tcp/40000-41000}\n"
    )
    hosts.here.load(
        'table inet helpers { ct helper ftp { type "ftp" protocol tcp; }\n'
        'chain in { type filter hook prerouting priority 0; tcp dport 21 ct helper set "ftp"; }; }'
    )
    with ExitStack() as stack:
        with hosts.here.entered():
            server, data = (stack.enter_context(socket.socket()) for _ in range(2))
        with hosts.there.entered():
            client, fetching = (stack.enter_context(socket.socket()) for _ in range(2))
        for listening, port in ((server, 21), (data, 40001)):
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((HERE_V4, port))
            listening.listen()
        client.settimeout(5)
        client.connect((HERE_V4, 21))
        control = stack.enter_context(server.accept()[0])
        control.sendall(b"220 hello\r\n")  # the helper reads only what follows a whole line
        assert client.recv(100) == b"220 hello\r\n"
        client.sendall(b"PASV\r\n")
        assert control.recv(100) == b"PASV\r\n"
        control.sendall(
            f"227 Entering Passive Mode ({HERE_V4.replace('.', ',')},{40001 // 256},{40001 % 256})\r\n".encode()
        )
        assert b"227" in client.recv(100)
        fetching.settimeout(5)
        fetching.connect((HERE_V4, 40001))
        entries = {one.original.destination_port: one for one in Conntrack(hosts.here.path).entries()}
        assert entries[21].helper == "ftp"
        assert entries[40001].has_master and Status.EXPECTED in entries[40001].status
        apply(hosts.here, policy_file)
        before = lines(hosts.here)
        assert drain(hosts.here) == {"pointless": {}, "left": {"helper": 2}, "drained": {}}
        assert lines(hosts.here) == before


def test_entries_made_by_hand_of_each_kind(hosts: Pair, policy_file: Path) -> None:
    established = "--state ESTABLISHED -u SEEN_REPLY,ASSURED"
    insert(
        hosts.here,
        f"-p tcp -s {THERE_V4} -d {HERE_V4} --sport 1 --dport 9100 {established}",
        f"-p tcp -s {THERE_V6} -d {HERE_V6} --sport 1 --dport 9100 {established}",
        f"-p tcp -s {THERE_V4} -d {HERE_V4} --sport 2 --dport 9100 {established} -w 7",
        f"-p tcp -s {THERE_V4} -d {HERE_V4} --sport 3 --dport 9100 {established} --dst-nat 10.9.9.9",
        f"-p tcp -s {THERE_V4} -d 10.7.7.7 --sport 4 --dport 9100 {established}",  # forwarded: no service of this host
        f"-p tcp -s 127.0.0.1 -d {HERE_V4} --sport 5 --dport 9100 {established}",
        f"-p udp -s {THERE_V4} -d {HERE_V4} --sport 6 --dport 4789",
        f"-p udp -s {HERE_V4} -d {THERE_V4} --sport 7 --dport 4789",
        f"-p udp -s {THERE_V4} -d {HERE_V4} --sport 8 --dport 4789 -u SEEN_REPLY",
        f"-p udp -s {THERE_V4} -d 10.7.7.7 --sport 9 --dport 4789",  # others' tunnels, passed on
        f"-p tcp -s {THERE_V4} -d {HERE_V4} --sport 10 --dport 22 {established}",
    )
    apply(hosts.here, policy_file)
    found = drain(hosts.here)
    assert found["pointless"] == {"metrics": 3, "vxlan": 2}
    assert found["left"] == {"nat": 1, "zone": 1}
    left = sorted(
        int(port) for line in lines(hosts.here) for port in re.findall(r"sport=(\d+) dport=(?:9100|4789|22) ", line)[:1]
    )
    assert left == [2, 3, 4, 8, 9, 10]


def test_a_dry_run_deletes_nothing_and_shows_why_what_stays_stays(hosts: Pair, policy_file: Path) -> None:
    insert(
        hosts.here,
        f"-p udp -s {THERE_V4} -d {HERE_V4} --sport 6 --dport 4789",
        f"-p udp -s {THERE_V4} -d {HERE_V4} --sport 7 --dport 4789 -w 3",
    )
    apply(hosts.here, policy_file)
    done = ran("drain", "--netns", hosts.here.path, "--dry-run")
    assert done.status == 0
    assert re.search(r"^vxlan +1$", done.output, re.MULTILINE), done
    assert "1 is in a conntrack zone" in done.output
    assert sum("dport=4789 " in line for line in lines(hosts.here)) == 2
    assert drain(hosts.here, "--dry-run")["drained"] == {}


def test_a_translated_entry_with_the_same_original_tuple_and_id_is_not_deleted(namespace: Namespace) -> None:
    """It was, when it was looked up by its original tuple: the id is the same where it lies in the same place."""
    namespace.load(TABLE_ACTIVE)
    flow = "-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 6 --dport 4789"
    table = Conntrack(namespace.path)

    for _ in range(40):
        insert(namespace, flow)
        (older,) = table.entries()
        namespace.run("conntrack", "-F")
        insert(namespace, f"{flow} --dst-nat 10.0.0.3")
        (newer,) = table.entries()
        assert newer.original == older.original
        assert table.delete([older]) == (0, 1)
        assert table.delete([newer]) == (1, 0)
        assert list(table.entries()) == []


def test_an_entry_in_a_zone_is_not_deleted_for_one_without(namespace: Namespace) -> None:
    namespace.load(TABLE_ACTIVE)
    insert(namespace, "-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 6 --dport 4789 -w 9")
    table = Conntrack(namespace.path)
    (found,) = table.entries()
    assert table.delete([found._replace(zone=0)]) == (0, 1)
    assert table.delete([found]) == (1, 0)


def test_what_is_read_is_what_conntrack_prints(hosts: Pair) -> None:
    hosts.here.write("netfilter/nf_conntrack_acct", 1)
    udp(hosts.here, hosts.there, THERE_V4, 53)
    udp(hosts.here, hosts.there, THERE_V6, 53)
    ping(hosts.here, THERE_V4)
    ping(hosts.there, HERE_V6)
    insert(
        hosts.here,
        "-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 --state TIME_WAIT -m 7",
        "-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 3 --state SYN_SENT -w 12",
        "-p sctp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 3 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
        "-p 50 -s fd00::1 -d fd00::2",
        "-p gre -s 10.0.0.1 -d 10.0.0.2 --srckey 1 --dstkey 2",
    )
    told = {
        re.sub(r" use=\d+| (CLOSED|ESTABLISHED)(?= src=10.0.0.1 dst=10.0.0.2 sport=1 dport=3)", "", line)
        for line in hosts.here.run("conntrack", "-L", "-o", "extended,id").stdout.splitlines()
    }
    read = {printed(entry) for entry in Conntrack(hosts.here.path).entries()}
    assert len(read) >= 9
    assert {_without_times(line) for line in read} == {_without_times(line) for line in told}


def _without_times(line: str) -> str:
    return re.sub(r"^(\S+ +\d+ \S+ +\d+) \d+", r"\1", line)


def test_a_large_table_is_read_in_little_memory_and_deleted(namespace: Namespace) -> None:
    namespace.load(TABLE_ACTIVE)
    count = 60_000
    made = "".join(
        f"-A -p udp -s 10.{at >> 16}.{at >> 8 & 255}.{at & 255} -d 192.0.2.1 --sport 5 --dport 4789 -t 600\n"
        for at in range(count)
    )
    namespace.run("conntrack", "-R", "-", stdin=made)
    code = (
        "import sys\nfrom pathlib import Path\nfrom ctpolicy.conntrack.reader import Conntrack\n"
        "print(sum(1 for _ in Conntrack(Path(sys.argv[1])).entries()))\n"
        "status = Path('/proc/self/status').read_text()\n"  # ru_maxrss is that of whoever started us, if larger
        "print(status.partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(namespace.path)], capture_output=True, text=True, timeout=100, check=True
    )
    read, kilobytes = map(int, done.stdout.split())
    assert read == count
    assert kilobytes < 40_000
    table = Conntrack(namespace.path)
    assert table.delete(list(table.entries())) == (count, 0)
    assert list(table.entries()) == []


def test_apply_with_drain_deletes_what_its_change_makes_pointless_and_no_more(hosts: Pair, tmp_path: Path) -> None:
    tunnels, both = tmp_path / "tunnels.yaml", tmp_path / "both.yaml"
    tunnels.write_text("apiVersion: ctpolicy/v1\nname: one\nbypass:\n  - {name: vxlan, overlay: vxlan}\n")
    both.write_text(tunnels.read_text() + "  - {name: metrics, host-service: tcp/9100}\n")
    tunnel = f"-p udp -s {THERE_V4} -d {HERE_V4} --sport 6 --dport 4789"
    insert(
        hosts.here,
        tunnel,
        f"-p tcp -s {THERE_V4} -d {HERE_V4} --sport 1 --dport 9100 --state ESTABLISHED -u SEEN_REPLY",
    )
    apply(hosts.here, tunnels, "--drain")
    assert [port for port in (4789, 9100) if any(f"dport={port} " in line for line in lines(hosts.here))] == [9100]
    insert(hosts.here, tunnel)  # pointless already before the next change
    apply(hosts.here, both, "--drain")
    assert [port for port in (4789, 9100) if any(f"dport={port} " in line for line in lines(hosts.here))] == [4789]


def test_a_deadline_that_is_over_ends_with_its_status(hosts: Pair, policy_file: Path) -> None:
    insert(hosts.here, f"-p udp -s {THERE_V4} -d {HERE_V4} --sport 6 --dport 4789")
    apply(hosts.here, policy_file)
    done = ran("drain", "--netns", hosts.here.path, "--yes", "--deadline", "0")
    assert done.status == 6
    assert "about 1 pointless entries are left" in done.errors
    assert any("dport=4789 " in line for line in lines(hosts.here))


def test_where_nothing_is_live_or_in_force_nothing_is_deleted(hosts: Pair, policy_file: Path) -> None:
    insert(hosts.here, f"-p udp -s {THERE_V4} -d {HERE_V4} --sport 6 --dport 4789")
    done = ran("drain", "--netns", hosts.here.path, "--yes")
    assert (done.status, "apply a policy first" in done.errors) == (5, True)
    apply(hosts.here, policy_file)
    hosts.here.run("nft", "flush", "chain", "inet", "ctpolicy", "prerouting")
    hosts.here.run("nft", "delete", "chain", "inet", "ctpolicy", "prerouting")
    hosts.here.run("nft", "add", "chain", "inet", "ctpolicy", "prerouting")  # and hangs on no hook
    done = ran("drain", "--netns", hosts.here.path, "--yes")
    assert (done.status, "not in force" in done.errors) == (5, True), done
    assert any("dport=4789 " in line for line in lines(hosts.here))


def test_where_conntrack_is_not_in_use_there_are_no_entries(namespace: Namespace) -> None:
    assert list(Conntrack(namespace.path).entries()) == []
    assert Conntrack(namespace.path).delete([]) == (0, 0)


def test_addresses_are_those_that_the_kernel_calls_local(hosts: Pair) -> None:
    hosts.here.ip(
        "route add local 10.77.0.0/16 dev lo",
        "link add dummy type veth peer name other",
        "address add 10.88.0.1/24 dev dummy",
        "link set dummy up",
        "route del table local local 10.88.0.1 dev dummy",  # as a VRF takes it away; not every kernel has those
    )
    addresses = Conntrack(hosts.here.path).addresses()
    family = next(one for one in addresses.local if one.value == "ipv4")
    as_number = {
        text: int.from_bytes(socket.inet_aton(text))
        for text in (HERE_V4, THERE_V4, "10.1.0.255", "10.77.3.4", "10.88.0.1", "127.0.0.2")
    }
    assert {text for text, value in as_number.items() if value in addresses.local[family]} == {
        HERE_V4,
        "10.77.3.4",
        "127.0.0.2",
    }
    assert {text for text, value in as_number.items() if value in addresses.taken[family]} == {
        HERE_V4,
        "10.77.3.4",
        "127.0.0.2",
        "10.1.0.255",
    }
    assert {text for text, value in as_number.items() if value in addresses.elsewhere[family]} == {"10.88.0.1"}


def test_our_process_stays_where_it_is(namespace: Namespace) -> None:
    before = Path("/proc/self/ns/net").readlink()
    list(Conntrack(namespace.path).entries())
    Conntrack(namespace.path).addresses()
    assert Path("/proc/self/ns/net").readlink() == before


def test_without_privilege_it_says_what_is_needed(namespace: Namespace) -> None:
    namespace.load(TABLE_ACTIVE)
    code = (
        f"import sys\nsys.path.insert(0, {str(PACKAGE)!r})\n"
        "from ctpolicy.conntrack.reader import Conntrack\nprint(list(Conntrack().entries()))"
    )
    done = namespace.run("setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code, check=False)
    assert "HostError" in done.stderr and "CAP_NET_ADMIN" in done.stderr, done


def test_what_is_no_namespace_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises((InputError, HostError), match="not a network namespace"):
            list(Conntrack(path).entries())
