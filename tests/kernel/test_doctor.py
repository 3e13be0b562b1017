"""`ctpolicy doctor` on the real kernel: what it says of a host is what the host is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.language.schema import shipped_schema
from kernel.command_line import EXAMPLES, done, ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

_INPUT: Final = "table inet t {{ chain c {{ type filter hook input priority 0; {}; }}; }}"
_EARLY: Final = "table inet t {{ chain c {{ type filter hook prerouting priority -300; {}; }}; }}"
_NAT: Final = "table ip t {{ chain c {{ type nat hook {} priority 100; {} }}; }}"

NFTABLES: Final = {
    "ct state": (_INPUT.format("ct state new"), True),
    "ct mark set": (_INPUT.format("ct mark set 1"), True),
    "ct state in a map": (_INPUT.format("ct state vmap { new : accept }"), True),
    "ct count": (_INPUT.format("ct count over 20 drop"), True),
    "ct zone": (_EARLY.format("ct zone set 1"), True),
    "synproxy": (_INPUT.format("tcp dport 80 synproxy mss 1460 wscale 7"), True),
    "a chain that nothing leads to": ("table inet t { chain c { ct state new; }; }", True),
    "a helper that no rule uses": ('table inet t { ct helper ftp { type "ftp" protocol tcp; }; }', True),
    "a timeout that no rule uses": (
        "table inet t { ct timeout t { protocol tcp; policy = { established : 100 }; }; }",
        True,
    ),
    "an expectation that no rule uses": (
        "table inet t { ct expectation e { protocol udp; dport 9876; timeout 2m; size 12; l3proto ip; }; }",
        True,
    ),
    "a synproxy that no rule uses": ("table inet t { synproxy s { mss 1460; wscale 7; }; }", True),
    "masquerade": (_NAT.format("postrouting", 'oifname "x" masquerade;'), True),
    "dnat": (_NAT.format("prerouting", "tcp dport 99 dnat to 192.0.2.1;"), True),
    "a chain of nat without rules": (_NAT.format("prerouting", ""), False),
    "notrack": (_EARLY.format("udp dport 53 notrack"), False),
    "no conntrack": (_INPUT.format("tcp dport 22 accept"), False),
}
IPTABLES: Final = {
    "-A INPUT -m conntrack --ctstate NEW": True,
    "-A INPUT -m state --state NEW": True,
    "-A INPUT -m connmark --mark 1": True,
    "-A INPUT -m connlimit --connlimit-above 5": True,
    "-A INPUT -m connbytes --connbytes 10 --connbytes-dir both --connbytes-mode bytes": True,
    "-A INPUT -m connlabel --label 1": True,
    "-A INPUT -m helper --helper ftp": True,
    "-A INPUT -p tcp -j SYNPROXY --mss 1460": True,
    "-t mangle -A INPUT -j CONNMARK --save-mark": True,
    "-t mangle -A INPUT -j CONNSECMARK --save": True,
    "-t nat -A POSTROUTING -o x -j MASQUERADE": True,
    "-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 99": True,
    "-t nat -A PREROUTING -p tcp -j DNAT --to 192.0.2.1": True,
    "-t nat -A PREROUTING -d 192.0.2.0/24 -j NETMAP --to 192.0.2.0/24": True,
    "-t raw -A PREROUTING -j CT --zone 1": True,
    "-t raw -A PREROUTING -p tcp -j CT --helper ftp": True,
    "-t raw -A PREROUTING -p udp -j CT --notrack": False,
    "-t nat -A PREROUTING -j RETURN": False,
    "-t nat -N UNUSED": False,
    "-A INPUT -m socket": False,
    "-t mangle -A PREROUTING -p tcp -j TPROXY --on-port 9": False,
}


def examined(host: Namespace, *options: str, status: int = 0) -> dict[str, dict[str, Any]]:
    """What the doctor says of a host, by the finding's code."""
    ended = ran("doctor", "--netns", host.path, "--json", *options)
    assert ended.status == status, ended
    found = json.loads(ended.output)
    Draft202012Validator(shipped_schema("doctor")).validate(found)
    return {finding["code"]: finding for finding in found["findings"]}


def makes_entries(host: Namespace) -> bool:
    """Whether conntrack is at work: the kernel's own answer, for packets of either family."""
    for address in ("127.0.0.1", "::1"):
        host.run("ping", "-q", "-c", "1", "-W", "1", address)
    return host.run("conntrack", "-C").stdout.strip() != "0"


def assert_told(host: Namespace, is_used: bool) -> None:
    """The doctor says before a packet came what the kernel does with the first."""
    message = examined(host, "--no-trial")["conntrack-active"]["message"]
    assert makes_entries(host) is is_used, "this kernel does otherwise"
    assert message.startswith("conntrack is at work here" if is_used else "conntrack is not at work here"), message


@pytest.mark.parametrize("name", NFTABLES)
def test_rules_of_nftables_that_have_conntrack_at_work_are_named(name: str, namespace: Namespace) -> None:
    ruleset, is_used = NFTABLES[name]
    namespace.load(ruleset)
    assert_told(namespace, is_used)


def test_a_dormant_table_has_conntrack_at_work_too_and_is_never_called_nothing(namespace: Namespace) -> None:
    """libnftables 1.0.6 prints what is in its memory for a table's flags, so that its JSON is none at times."""
    namespace.load("table inet t { flags dormant; chain c { type filter hook input priority 0; ct state new; }; }")
    found = examined(namespace, "--no-trial")
    assert makes_entries(namespace), "this kernel does otherwise"
    if "rules-unread" in found:
        assert "libnftables printed no JSON" in found["rules-unread"]["details"][0]
        assert found["conntrack-active"]["severity"] == "unknown"
    else:
        assert found["conntrack-active"]["message"].startswith("conntrack is at work here")


@pytest.mark.parametrize("variant", ["legacy", "nft"])
@pytest.mark.parametrize("rule", IPTABLES)
def test_rules_of_iptables_that_have_conntrack_at_work_are_named(rule: str, variant: str, namespace: Namespace) -> None:
    namespace.run(f"iptables-{variant}", *rule.split())
    assert_told(namespace, IPTABLES[rule])


def test_a_rule_is_told_by_table_chain_text_and_owner_and_cannot_write_to_the_terminal(namespace: Namespace) -> None:
    namespace.load('table inet fw { chain input { type filter hook input priority 0; ct state new comment "a"; }; }')
    namespace.run(
        *("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-s", "10.0.0.0/8", "-m", "comment"),
        *("--comment", "cali:\x1b[31mred", "-j", "MASQUERADE"),
    )
    details = examined(namespace, "--no-trial")["conntrack-active"]["details"]
    assert 'table inet fw, chain input: ct state new comment "a"  (asks conntrack)' in details
    assert any(
        line.startswith("iptables-legacy, ipv4, table nat (Calico): -A POSTROUTING -s 10.0.0.0/8") for line in details
    )
    shown = ran("doctor", "--netns", namespace.path, "--no-trial").output
    assert "cali:" in shown and "\x1b" not in shown


def test_what_this_kernel_can_is_tried_and_leaves_nothing(namespace: Namespace) -> None:
    before = namespace.ruleset()
    found = examined(namespace)
    tried = {code: finding["severity"] for code, finding in found.items() if code.startswith("kernel-")}
    assert tried == dict.fromkeys(tried, "fine") and len(tried) == 11
    assert namespace.ruleset() == before
    assert namespace.run("ipset", "list", "-n").stdout == ""


def test_both_variants_in_use_are_a_warning(namespace: Namespace) -> None:
    namespace.run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "-j", "ACCEPT")
    assert examined(namespace, "--no-trial")["iptables-variants"]["message"] == "Only iptables-legacy has rules."
    namespace.run("ip6tables-nft", "-A", "INPUT", "-p", "tcp", "-j", "ACCEPT")
    assert examined(namespace, "--no-trial")["iptables-variants"]["severity"] == "warning"


def test_to_look_makes_no_table_of_iptables(namespace: Namespace) -> None:
    examined(namespace)
    assert namespace.run("cat", "/proc/net/ip_tables_names", check=False).stdout == ""
    assert namespace.ruleset() == ""


def test_others_who_bypass_are_named(namespace: Namespace) -> None:
    namespace.load(
        "table inet ovn_notrack { chain prerouting { type filter hook prerouting priority -300; "
        "udp dport 6081 notrack; }; }"
    )
    found = examined(namespace, "--no-trial")["others-notrack"]
    assert found["details"] == ["table inet ovn_notrack, chain prerouting (OpenShift OVN-Kubernetes)"]


def test_a_namespace_where_conntrack_counts_is_found_among_those_of_the_machine(namespace: Namespace) -> None:
    namespace.load(NFTABLES["ct state"][0])
    assert makes_entries(namespace)
    found = examined(namespace, "--no-trial")
    assert any(line.endswith("2 entries") for line in found["namespaces"]["details"]), found["namespaces"]
    assert "not the machine's own" in found["namespace"]["message"]


def test_what_ctpolicy_has_there_is_told_and_when_it_is_gone(namespace: Namespace, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path))
    assert "nothing has been applied here" in examined(namespace, "--no-trial", *state)["state"]["message"]
    done("apply", "--netns", namespace.path, "--yes", *state, EXAMPLES / "openshift-worker.yaml")
    found = examined(namespace, "--no-trial", *state)
    assert found["in-force"]["message"] == "A bypass is in force with nftables."
    assert found["state"]["severity"] == "fine"
    namespace.run("nft", "delete", "table", "inet", "ctpolicy")
    gone = examined(namespace, "--no-trial", *state, status=8)["gone"]
    assert (gone["severity"], gone["commands"]) == ("fault", [f"ctpolicy restore --netns {namespace.path}"])
    done("restore", "--netns", namespace.path, *state)
    assert "gone" not in examined(namespace, "--no-trial", *state)
    namespace.load("table inet ctpolicy { flags dormant; }")
    assert examined(namespace, "--no-trial", *state, status=8)["in-force"]["severity"] == "fault"
    (kept,) = [path for path in tmp_path.iterdir() if path.name.startswith("netns-")]
    kept.chmod(0o777)
    assert examined(namespace, "--no-trial", *state, status=8)["state"]["severity"] == "fault"
