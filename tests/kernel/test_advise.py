"""`ctpolicy advise`, and what `plan` says of the entries that are there, on tables that real traffic has made."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

import ctpolicy
from ctpolicy.language.schema import shipped_schema
from kernel.command_line import ran
from kernel.hosts import HERE_V4, THERE_V4, Pair, give_addresses, pair, ping, tcp, udp
from kernel.namespace import Namespace, join, make_namespace

pytestmark = pytest.mark.kernel

PACKAGE: Final = Path(ctpolicy.__file__).parent.parent

WORKER, PEER = "192.168.7.71", "192.168.7.72"
INNER_WORKER, INNER_PEER = "10.128.0.1", "10.128.2.1"
CONTAINER, BRIDGE = "172.17.0.2", "172.17.0.1"

Json = dict[str, Any]


def advised(host: Namespace, *options: str | Path) -> Json:
    """What `advise --json` says of a running host."""
    return advice("--netns", host.path, *options)


def advice(*arguments: str | Path) -> Json:
    done = ran("advise", "--json", *arguments)
    assert done.status == 0, done
    found: Json = json.loads(done.output)
    Draft202012Validator(shipped_schema("advise")).validate(found)
    return found


def by_name(found: Json) -> dict[str, Json]:
    return {one["name"]: one for one in found["candidates"]}


def safe(found: Json) -> list[str]:
    return [one["name"] for one in found["candidates"] if one["verdict"] == "safe"]


def planned(host: Namespace, policy: Path, *options: str) -> Json:
    """What `plan --json` says of the entries that are there."""
    done = ran("plan", "--json", "--netns", host.path, policy, *options)
    assert done.status == 0, done
    found = json.loads(done.output)
    Draft202012Validator(shipped_schema("plan")).validate(found)
    existing: Json = found["existing"]
    return existing


def apply(host: Namespace, policy: Path, *options: str) -> None:
    done = ran("apply", "--netns", host.path, "--yes", policy, *options)
    assert done.status == 0, done


@pytest.fixture
def hosts() -> Iterator[Pair]:
    with pair() as joined:
        yield joined


@pytest.fixture
def nodes() -> Iterator[Pair]:
    """Two nodes with a VXLAN device between them."""
    with pair([f"{WORKER}/24"], [f"{PEER}/24"]) as joined:
        for host, remote, inner in ((joined.here, PEER, INNER_WORKER), (joined.there, WORKER, INNER_PEER)):
            host.ip(f"link add vxlan0 type vxlan id 7 remote {remote} dstport 4789 dev eth0")
            give_addresses(host, "vxlan0", f"{inner}/14")
        yield joined


def through_the_tunnel(nodes: Pair) -> None:
    ping(nodes.here, INNER_PEER)
    for port in range(4001, 4031):
        udp(nodes.here, nodes.there, INNER_PEER, port)


def outer_flows(host: Namespace) -> list[str]:
    return host.conntrack("-p", "udp", "--orig-port-dst", "4789")


TIMEOUT: Final = 12
"""Seconds of an unanswered UDP entry, so that a machine that is busy gets to its plan before they are over."""


def test_vxlan_is_first_on_its_node_and_the_table_drains_as_forecast(nodes: Pair, tmp_path: Path) -> None:
    nodes.here.write("netfilter/nf_conntrack_udp_timeout", TIMEOUT)
    through_the_tunnel(nodes)
    udp(nodes.there, nodes.here, WORKER, 9999)
    found = advised(nodes.here)
    first = found["candidates"][0]
    assert (first["name"], first["verdict"], first["bothDirections"]) == ("vxlan", "safe", True)
    assert first["yaml"] == f"  - name: vxlan\n    overlay: vxlan\n    peers: {PEER}\n"
    assert first["entries"] == len(outer_flows(nodes.here)) > 30
    assert first["percent"] == round(100 * first["entries"] / found["total"], 1)
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"apiVersion: ctpolicy/v1\nname: pasted\nbypass:\n{first['yaml']}")
    existing = planned(nodes.here, policy)["counted"]
    (pointless,) = existing["pointless"]
    assert pointless["name"] == "vxlan" and first["entries"] - 2 <= pointless["entries"] <= first["entries"]
    told = ran("plan", "--netns", nodes.here.path, policy).output
    assert "become pointless: vxlan" in told and "90 % after" in told
    begun, gone = time.monotonic(), existing["goneAfter"]
    assert 0 < gone["half"] <= gone["most"] <= gone["all"] <= TIMEOUT
    apply(nodes.here, policy)
    applied = time.monotonic()
    through_the_tunnel(nodes)  # refreshes nothing
    _wait(begun + gone["half"] - 1.5)
    if time.monotonic() < begun + gone["half"] - 1:
        assert 2 * len(outer_flows(nodes.here)) >= first["entries"], "they are gone before half of them should be"
    _wait(begun + gone["all"] + 1)
    assert len(outer_flows(nodes.here)) <= 2, "but for what the hosts sent by themselves before the policy was applied"
    _wait(applied + TIMEOUT + 1)
    assert outer_flows(nodes.here) == []
    assert planned(nodes.here, policy)["note"] == "nothing changes"
    assert "vxlan" not in by_name(advised(nodes.here))


def _wait(until: float) -> None:
    time.sleep(max(until - time.monotonic(), 0))


def test_what_is_bypassed_already_is_told_and_not_advised(nodes: Pair, tmp_path: Path) -> None:
    through_the_tunnel(nodes)
    policy = tmp_path / "policy.yaml"
    done = ran("advise", "--netns", nodes.here.path, "--write", policy)
    assert done.status == 0 and "vxlan" in policy.read_text(), done
    assert ran("validate", policy).status == 0
    flows = len(outer_flows(nodes.here))
    by_policy = advised(nodes.here, "--policy", policy)
    assert {"name": "vxlan", "entries": flows} in by_policy["bypassed"]
    assert "vxlan" not in by_name(by_policy)
    apply(nodes.here, policy)
    live = advised(nodes.here)
    assert {"name": "vxlan", "entries": flows} in live["bypassed"]
    assert "vxlan" not in by_name(live)
    again = ran("advise", "--netns", nodes.here.path, "--write", policy)
    assert (again.status, "--force" in again.errors) == (2, True)


def test_saved_tables_give_the_same_advice_in_every_form(nodes: Pair, tmp_path: Path) -> None:
    through_the_tunnel(nodes)
    nodes.here.run("conntrack", "-D", "-p", "icmp")
    for name, options in (("plain", []), ("extended", ["-o", "extended,id,timestamp"]), ("xml", ["-o", "xml"])):
        (tmp_path / name).write_text(nodes.here.run("conntrack", "-L", *options).stdout)
    (tmp_path / "proc").write_text(nodes.here.run("cat", "/proc/net/nf_conntrack").stdout)
    found = [advice(tmp_path / name) for name in ("plain", "extended", "xml", "proc")]
    assert all(one == found[0] for one in found[1:])
    assert set(found[0]["guessedAddresses"]) <= {WORKER, PEER, INNER_WORKER, INNER_PEER}
    told = advice(tmp_path / "plain", "--local", f"{WORKER},{INNER_WORKER}")
    assert told["guessedAddresses"] is None
    assert told["candidates"] == advised(nodes.here)["candidates"]


@pytest.fixture
def docker(hosts: Pair) -> Iterator[tuple[Pair, Namespace]]:
    """A host with a container behind a bridge's address, which `there` reaches by a published port."""
    with make_namespace() as container:
        join(container, hosts.here, ("eth0", "docker0"))
        give_addresses(container, "eth0", f"{CONTAINER}/16")
        give_addresses(hosts.here, "docker0", f"{BRIDGE}/16")
        container.ip(f"route add default via {BRIDGE}")
        hosts.here.write("ipv4/ip_forward", 1)
        yield hosts, container


NAT_BY_NFT: Final = f"""
table ip nat {{
  chain docker {{ iifname != "docker0" tcp dport 8080 counter dnat to {CONTAINER}:80; }}
  chain prerouting {{ type nat hook prerouting priority -100; fib daddr type local counter jump docker; }}
  chain output {{ type nat hook output priority -100; ip daddr != 127.0.0.0/8 fib daddr type local jump docker; }}
  chain postrouting {{
    type nat hook postrouting priority 100; ip saddr 172.17.0.0/16 oifname != "docker0" counter masquerade;
  }}
}}
"""
NAT_BY_IPTABLES: Final = f"""*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination {CONTAINER}:80
COMMIT
"""


def translate(host: Namespace, how: str) -> None:
    if how == "nft":
        host.load(NAT_BY_NFT)
    else:
        host.run(f"{how}-restore", stdin=NAT_BY_IPTABLES)


def published(client: Namespace, container: Namespace, address: str, stack: ExitStack) -> None:
    """A connection to the published port, answered by the container, which stays open."""
    with container.entered():
        server = stack.enter_context(socket.socket())
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", 80))
    server.listen()
    with client.entered():
        asking = stack.enter_context(socket.socket())
    asking.settimeout(5)
    asking.connect((address, 8080))
    answering, (peer, _) = server.accept()
    stack.enter_context(answering)
    answering.sendall(b"hello")
    assert asking.recv(10) == b"hello"
    assert peer != address


def nat_traffic(hosts: Pair, container: Namespace, stack: ExitStack) -> None:
    published(hosts.there, container, HERE_V4, stack)
    udp(container, hosts.there, THERE_V4, 53)


@pytest.mark.parametrize("how", ["nft", "iptables-nft", "iptables-legacy"])
def test_nothing_unsafe_is_advised_on_a_host_that_translates(
    how: str, docker: tuple[Pair, Namespace], tmp_path: Path
) -> None:
    hosts, container = docker
    translate(hosts.here, how)
    with ExitStack() as stack:
        nat_traffic(hosts, container, stack)
    udp(hosts.here, hosts.there, THERE_V4, 53)  # the host's own questions, answered where those of containers are
    for _ in range(5):
        udp(hosts.there, hosts.here, HERE_V4, 9100)
    found = advised(hosts.here)
    verdicts = {name: one["verdict"] for name, one in by_name(found).items()}
    assert verdicts["tcp-8080"] == verdicts["clients-udp-53"] == verdicts["forward-udp-53"] == "refused", found
    assert safe(found) == ["udp-9100"], found
    assert all(one["reasons"] for one in found["candidates"] if one["verdict"] == "refused")
    policy = tmp_path / "policy.yaml"
    assert ran("advise", "--netns", hosts.here.path, "--write", policy).status == 0
    apply(hosts.here, policy)
    hosts.here.run("conntrack", "-F")
    with ExitStack() as stack:
        nat_traffic(hosts, container, stack)
    udp(hosts.there, hosts.here, HERE_V4, 9100)
    udp(hosts.here, hosts.there, THERE_V4, 53)
    assert hosts.here.conntrack("-p", "udp", "--orig-port-dst", "9100") == []


@pytest.mark.parametrize("how", ["nft", "iptables-nft", "iptables-legacy"])
def test_what_rules_translate_is_refused_though_the_table_has_no_such_entry(
    how: str, docker: tuple[Pair, Namespace]
) -> None:
    hosts, _ = docker
    udp(hosts.here, hosts.there, THERE_V4, 53)
    tcp(hosts.there, hosts.here, HERE_V4, 8080)
    assert {"clients-udp-53", "tcp-8080"} <= set(safe(advised(hosts.here)))
    translate(hosts.here, how)
    found = by_name(advised(hosts.here))
    assert any("asquerade" in why.lower() for why in found["clients-udp-53"]["reasons"]), found
    assert any(CONTAINER in why for why in found["tcp-8080"]["reasons"]), found
    assert {found[name]["verdict"] for name in ("clients-udp-53", "tcp-8080")} == {"refused"}


def test_dns_is_first_on_a_resolver(hosts: Pair, tmp_path: Path) -> None:
    for _ in range(20):
        udp(hosts.there, hosts.here, HERE_V4, 53)
        udp(hosts.here, hosts.there, THERE_V4, 53)
    tcp(hosts.there, hosts.here, HERE_V4, 22)
    found = advised(hosts.here)
    assert [one["name"] for one in found["candidates"]] == ["clients-udp-53", "udp-53", "tcp-22"], found
    assert [one["verdict"] for one in found["candidates"]] == ["safe", "safe", "refused"]
    assert "protected" in found["candidates"][2]["reasons"][0]
    policy = tmp_path / "policy.yaml"
    assert ran("advise", "--netns", hosts.here.path, "--write", policy).status == 0
    apply(hosts.here, policy)
    hosts.here.run("conntrack", "-F")
    udp(hosts.there, hosts.here, HERE_V4, 53)
    udp(hosts.here, hosts.there, THERE_V4, 53)
    assert hosts.here.conntrack("-p", "udp") == []


STATEFUL: Final = {
    "nft": """table inet strict {
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    ct state new tcp dport 80 accept
    meta l4proto { icmp, icmpv6 } accept
  }
}
""",
    "iptables": """*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m conntrack --ctstate NEW -m tcp --dport 80 -j ACCEPT
-A INPUT -p icmp -j ACCEPT
COMMIT
""",
}


@contextmanager
def connected(hosts: Pair, port: int) -> Iterator[None]:
    """A connection from there to a port here."""
    with hosts.here.entered():
        server = socket.socket()
    with hosts.there.entered():
        client = socket.socket()
    with server, client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", port))
        server.listen()
        client.settimeout(1)
        client.connect((HERE_V4, port))
        with server.accept()[0]:
            yield


@pytest.mark.parametrize("how", ["nft", "iptables-nft", "iptables-legacy"])
def test_behind_a_stateful_firewall_a_web_server_needs_an_accept_rule(how: str, hosts: Pair, tmp_path: Path) -> None:
    if how == "nft":
        hosts.here.load(STATEFUL["nft"])
    else:
        hosts.here.run(f"{how}-restore", stdin=STATEFUL["iptables"])
    for _ in range(5):
        tcp(hosts.there, hosts.here, HERE_V4, 80)
    found = advised(hosts.here)
    web = by_name(found)["tcp-80"]
    assert (web["verdict"], safe(found)) == ("needs-accept", []), found
    assert "stablished" in web["reasons"][0].lower() and "policy drop" in web["reasons"][0], web
    assert any("conntrack's states" in note for note in web["notes"])
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"apiVersion: ctpolicy/v1\nname: web\nbypass:\n{web['yaml']}")
    apply(hosts.here, policy, "--accept-hazards")  # it is right: the accept rule comes next
    with pytest.raises(TimeoutError), connected(hosts, 80):
        pass  # what the advice has said: the firewall drops it now
    if how == "nft":
        hosts.here.run("nft", "add", "rule", "inet", "strict", "input", "tcp", "dport", "80", "accept")
    else:
        hosts.here.run(how, "-A", "INPUT", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")
    with connected(hosts, 80):
        pass
    ran("remove", "--netns", hosts.here.path, "--yes")
    assert safe(advised(hosts.here)) == ["tcp-80"]


def test_a_connection_mark_is_a_reason(hosts: Pair) -> None:
    udp(hosts.there, hosts.here, HERE_V4, 53)
    hosts.here.load(
        "table ip marks { chain out { type filter hook output priority -150; udp sport 53 meta mark set ct mark; }; }"
    )
    (dns,) = advised(hosts.here)["candidates"]
    assert dns["verdict"] == "refused"
    assert "mark" in dns["reasons"][0] and "table ip marks, chain out" in dns["reasons"][0]


def test_what_a_policy_tracks_or_protects_is_not_advised(hosts: Pair, tmp_path: Path) -> None:
    udp(hosts.there, hosts.here, HERE_V4, 53)
    udp(hosts.there, hosts.here, HERE_V4, 123)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: ctpolicy/v1\nname: there\nprotect: [udp/123]\ntrack:\n  - {name: dns, host-service: udp/53}\n"
    )
    found = by_name(advised(hosts.here, "--policy", policy))
    assert found["udp-53"]["reasons"] == ["the policy tracks it: track dns"]
    assert found["udp-123"]["reasons"] == ["it bypasses udp/123, which is protected"]


@pytest.mark.parametrize("how", ["nft", "iptables-nft", "iptables-legacy"])
def test_advice_and_plans_change_nothing(how: str, namespace: Namespace, tmp_path: Path) -> None:
    """Of iptables all tables are listed that there are, and listing one makes it."""

    def there() -> list[str]:
        legacy = [f"/proc/net/ip{six}_tables_names" for six in ("", "6")]
        return [namespace.ruleset(), *(namespace.run("cat", name, check=False).stdout for name in legacy)]

    before = there()
    advised(namespace)
    assert there() == before
    translate(namespace, how)
    before = there()
    advised(namespace)
    policy = tmp_path / "policy.yaml"
    policy.write_text("apiVersion: ctpolicy/v1\nname: p\nbypass:\n  - {name: vxlan, overlay: vxlan}\n")
    planned(namespace, policy)
    assert there() == before


def test_without_privilege_a_saved_table_is_advised_on_and_a_live_one_is_not(hosts: Pair, tmp_path: Path) -> None:
    udp(hosts.there, hosts.here, HERE_V4, 53)
    table = hosts.here.run("conntrack", "-L").stdout
    code = (
        f"import sys\nsys.path.insert(0, {str(PACKAGE)!r})\n"
        "from ctpolicy.cli.main import run\nsys.exit(run(['advise', *sys.argv[1:]]))"
    )
    without = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code)
    done = hosts.here.run(*without, "-", "--local", HERE_V4, stdin=table)
    assert "udp-53: 1 entry, 100.0 %  (safe)" in done.stdout
    done = hosts.here.run(*without, check=False)
    assert done.returncode == 5 and "CAP_NET_ADMIN" in done.stderr, done


def test_where_conntrack_is_not_in_use_there_is_nothing_to_say(namespace: Namespace, tmp_path: Path) -> None:
    assert advised(namespace)["candidates"] == []
    policy = tmp_path / "policy.yaml"
    policy.write_text("apiVersion: ctpolicy/v1\nname: p\nbypass:\n  - {name: vxlan, overlay: vxlan}\n")
    existing = planned(namespace, policy)
    assert existing["counted"] is None and "not in use" in existing["note"]
    assert "none: the conntrack table is empty" in ran("plan", "--netns", namespace.path, policy).output


def test_what_is_left_alone_is_said_by_the_plan(hosts: Pair, tmp_path: Path) -> None:
    hosts.here.load(
        "table ip nat { chain in { type nat hook prerouting priority -100; udp dport 53 redirect to :5353; }; }"
    )
    with hosts.here.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with hosts.there.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.bind(("", 5353))
        server.settimeout(5)
        client.sendto(b"ask", (HERE_V4, 53))
        server.recvfrom(10)
    policy = tmp_path / "policy.yaml"
    # Both directions, as they meet the rules: the answer is not translated yet when it does.
    policy.write_text("apiVersion: ctpolicy/v1\nname: p\nbypass:\n  - {name: dns, host-service: [udp/53, udp/5353]}\n")
    existing = planned(hosts.here, policy)["counted"]
    assert (existing["pointless"], existing["leftAlone"]) == ([], [{"reason": "nat", "entries": 1}])
    assert existing["goneAfter"] is None
