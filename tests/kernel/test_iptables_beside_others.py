"""Others' rules, ipsets and tables stay byte for byte as they were, whatever comes and goes beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path as File
from typing import Final

import pytest

from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from kernel.command_line import EXAMPLES, done, nft_and_in_soak_legacy, ran
from kernel.loaded_rules import TOOLS, Rules, restore
from kernel.namespace import Namespace
from kernel.raw_tables import change, rules, send

pytestmark = [pytest.mark.kernel, nft_and_in_soak_legacy]

FILES: Final = sorted(
    file
    for file in (File(__file__).parent.parent / "scenarios" / "foreign-iptables").glob("*.rules")
    if file.stem != "everything"  # which is nobody's
)

FILTER_AND_NAT: Final = """*filter
:KUBE-FIREWALL - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -p udp -m udp --dport 9 -m comment --comment "ctpolicy, says another" -j DROP
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {source} ! -o docker0 -j MASQUERADE
COMMIT
*mangle
-A OUTPUT -p udp -m udp --dport 53 -j MARK --set-xmark 0x1/0x1
COMMIT
"""
SOURCES: Final = {Family.IPV4: "172.17.0.0/16", Family.IPV6: "fd00:17::/64"}
OTHERS_SETS: Final = "create ctpolicies hash:net family inet\nadd ctpolicies 192.0.2.0/24\n"
NATIVE: Final = (
    "table inet ovn_notrack { chain out { type filter hook output priority raw; udp dport 6081 notrack; }; }"
)

OURS: Final = re.compile(r":CTPOLICY-|.*-[AIj] CTPOLICY-|(create|add) ctpolicyn?-")
POLICY_COUNTERS: Final = re.compile(r"(:\w+ ACCEPT) \[\d+:\d+\]")


@pytest.fixture
def host(variant: Variant, namespace: Namespace) -> Iterator[Namespace]:
    """A host with everybody's rules at once, which have counted packets."""
    namespace.run("ipset", "restore", stdin=OTHERS_SETS)
    namespace.load(NATIVE)
    for file in FILES:
        found = Rules.of_file(file.read_text())
        namespace.run("ipset", "restore", stdin=found.sets)
        for family, lines in found.by_family.items():
            if lines:
                restore(namespace, variant, family, f"*raw\n{lines}COMMIT\n", "--noflush")
    for family, source in SOURCES.items():
        restore(namespace, variant, family, FILTER_AND_NAT.format(source=source), "--noflush")
    for port in (53, 4789, 9):
        for address in ("127.0.0.1", "::1"):
            send(namespace, port, 3, address)
    yield namespace


def others(host: Namespace, variant: Variant) -> list[str]:
    """Every line that is not ours, with its counters.

    But for the built-in chains' own: iptables-legacy begins to count these anew with each change of a table, and
    iptables-nft has none.
    """
    saved = [host.run(f"{TOOLS[family]}-{variant.value}-save", "-c").stdout for family in Family]
    printed = "".join(
        [*saved, host.run("ipset", "save").stdout, host.run("nft", "list", "table inet ovn_notrack").stdout]
    )
    lines = (line for line in printed.splitlines() if line and not line.startswith("#") and not OURS.match(line))
    return [POLICY_COUNTERS.sub(r"\1", line) for line in lines]


def first_rules(host: Namespace, variant: Variant) -> set[str]:
    """The first rule of each built-in chain."""
    found: dict[tuple[Family, str], str] = {}
    for family in Family:
        for line in rules(host, variant, family):
            chain = line.split()[2] if "] -A " in line else ""
            if chain in {"PREROUTING", "OUTPUT"}:
                found.setdefault((family, chain), line.partition(" ")[2])
    assert len(found) == 4
    return set(found.values())


OUR_JUMPS: Final = {
    f"-A {chain} -m comment --comment ctpolicy -j CTPOLICY-{chain}" for chain in ("PREROUTING", "OUTPUT")
}


def test_others_lines_stay_as_they_were(variant: Variant, host: Namespace) -> None:
    where = ("--backend", f"iptables-{variant.value}", "--netns", host.path)
    before = others(host, variant)
    assert len([line for line in before if re.match(r"\[[1-9]", line)]) > 10, "nothing has been counted"
    for example, options in (("openshift-worker", ()), ("kubernetes-node", ()), ("web-front-end", ("--no-ipset",))):
        done("apply", EXAMPLES / f"{example}.yaml", *where, "--yes", *options)
        assert first_rules(host, variant) == OUR_JUMPS
        assert others(host, variant) == before
        assert "bypass in force" in done("status", *where)
    done("remove", *where, "--yes")
    assert others(host, variant) == before
    assert "ctpolicy" not in host.run("ipset", "save").stdout
    for family in Family:
        assert not [line for line in rules(host, variant, family) if "CTPOLICY" in line]


def test_rules_that_others_put_before_our_jump_are_seen_and_mended_and_stay(variant: Variant, host: Namespace) -> None:
    example = EXAMPLES / "dns-resolver.yaml"
    where = ("--backend", f"iptables-{variant.value}", "--netns", host.path)
    # Answers of DNS over TLS to port 9 were established, and meet kube-proxy's drop of that port now.
    done("apply", example, *where, "--yes", "--accept-hazards")
    jump = '-m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING'
    for family in Family:  # as Calico does when it finds its jump behind another's
        restore(host, variant, family, change(f"-D PREROUTING {jump}", f"-I PREROUTING 1 {jump}"), "--noflush")
    before = others(host, variant)
    asked = ran("status", example, *where, "--detailed-exitcode")
    assert asked.status == 10
    assert "others' rules come before the jump from PREROUTING to CTPOLICY-PREROUTING" in asked.output
    planned = ran("plan", example, *where, "--detailed-exitcode")
    assert planned.status == 10
    assert f"Not in force now: iptables-{variant.value}: others' rules come before the jump from PREROUTING" in (
        planned.output
    )
    done("apply", example, *where, "--yes")
    assert others(host, variant) == before
    assert first_rules(host, variant) == OUR_JUMPS
    assert ran("status", example, *where, "--detailed-exitcode").status == 0
    assert ran("plan", example, *where, "--detailed-exitcode").status == 0


def test_what_the_tools_save_of_all_tables_says_the_same_as_the_host(
    variant: Variant, host: Namespace, tmp_path: File
) -> None:
    """Without -c and -t raw, as people save it."""
    backend = ("--backend", f"iptables-{variant.value}")
    example = EXAMPLES / "openshift-worker.yaml"
    done("apply", example, *backend, "--netns", host.path, "--yes")
    saves = [host.run(f"{TOOLS[family]}-{variant.value}-save").stdout for family in Family]
    dump = tmp_path / "saved"
    dump.write_text("".join([*saves, host.run("ipset", "save").stdout]))
    assert "*filter" in dump.read_text()
    assert "*nat" in dump.read_text()
    assert ran("plan", example, *backend, "--live", dump, "--detailed-exitcode").status == 0
    assert ran("status", example, *backend, "--live", dump, "--detailed-exitcode").status == 0
    for packet in ("in udp 192.168.7.72:40000 -> 192.168.7.71:4789", "out tcp [fd00::1]:22 -> [fd00::5]:4000"):
        live = done("explain", packet, *backend, "--netns", host.path)
        assert done("explain", packet, *backend, "--live", dump) == live
    assert "vxlan" in done("explain", "in udp 192.168.7.72:40000 -> 192.168.7.71:4789", *backend, "--live", dump)
    other = EXAMPLES / "dns-resolver.yaml"
    planned = json.loads(done("plan", other, *backend, "--netns", host.path, "--json"))
    from_dump = json.loads(done("plan", other, *backend, "--live", dump, "--json"))
    counted = re.compile(r"\[\d+:\d+\] ")
    for plan in (planned, from_dump):
        for step in plan["transaction"]["steps"]:
            step["text"] = counted.sub("", step["text"])
    assert from_dump["entries"] == planned["entries"]
    assert from_dump["transaction"] == planned["transaction"]
