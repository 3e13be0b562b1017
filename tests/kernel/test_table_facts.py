"""What a network namespace sees of its conntrack table, held against the tools and files of this kernel."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from ctpolicy.conntrack import kernel_facts
from ctpolicy.conntrack.counted import Totals
from ctpolicy.conntrack.facts import STATISTICS, TableFacts
from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.errors import InputError
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel


def insert(host: Namespace, first: int, last: int) -> None:
    for port in range(first, last):
        host.run(*f"conntrack -I -t 600 -p udp -s 10.0.0.1 -d 10.0.0.2 --sport {port} --dport 53".split())


def facts(host: Namespace) -> TableFacts:
    return KernelFacts(host.path).facts()


def test_a_namespace_sees_its_own_count_and_the_maximum_of_all(
    namespace: Namespace, other_namespace: Namespace
) -> None:
    assert facts(namespace).shows_no_use
    insert(namespace, 1, 4)
    here, elsewhere = facts(namespace), facts(other_namespace)
    assert (here.is_loaded, here.entries, elsewhere.entries) == (True, 3, 0)
    shared = {
        name: int(Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").read_text()) for name in ("max", "buckets")
    }
    assert (here.maximum, here.buckets) == (elsewhere.maximum, elsewhere.buckets) == (shared["max"], shared["buckets"])
    assert not here.shows_no_use
    assert elsewhere.shows_no_use


def test_timeouts_and_settings_are_those_of_the_namespace(namespace: Namespace, other_namespace: Namespace) -> None:
    namespace.write("netfilter/nf_conntrack_udp_timeout_stream", 77)
    namespace.write("netfilter/nf_conntrack_acct", 1)
    here, elsewhere = facts(namespace), facts(other_namespace)
    assert (here.timeouts["udp_stream"], here.settings["acct"]) == (77, 1)
    assert elsewhere.timeouts["udp_stream"] != 77
    assert here.timeouts["tcp_established"] == elsewhere.timeouts["tcp_established"] > 1000


def test_statistics_are_those_that_conntrack_prints(namespace: Namespace) -> None:
    namespace.load("table inet t { chain c { type filter hook input priority 0; ct state invalid counter; }; }")
    insert(namespace, 1, 6)
    # ICMP errors about nothing are invalid.
    namespace.run("ping", "-c", "1", "-W", "1", "127.0.0.1", check=False)
    printed: Counter[str] = Counter()
    for name, number in re.findall(r"(\w+)=(\d+)", namespace.run("conntrack", "-S").stdout):
        printed[name.replace("chaintoolong", "chain_too_long")] += int(number)
    statistics = facts(namespace).statistics
    assert statistics is not None
    assert {name: getattr(statistics, name) for name in STATISTICS} == {name: printed[name] for name in STATISTICS}
    assert statistics.insert == 5


def test_statistics_are_the_same_by_the_file(namespace: Namespace) -> None:
    insert(namespace, 1, 3)
    by_netlink = facts(namespace).statistics
    with namespace.entered():
        assert kernel_facts._statistics_by_file() == by_netlink


def test_without_sysctls_netlink_tells_the_totals(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    insert(namespace, 1, 3)
    with_sysctls = facts(namespace)
    monkeypatch.setattr(kernel_facts, "_SYSCTLS", Path("/nonexistent"))
    without = facts(namespace)
    assert Totals(without.entries, without.maximum) == Totals(with_sysctls.entries, with_sysctls.maximum)
    assert (without.buckets, dict(without.timeouts)) == (None, {})


def test_without_conntrack_in_the_kernel_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_facts, "is_loaded", lambda: False)
    assert KernelFacts().facts() == TableFacts(False)


def test_what_is_no_namespace_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a network namespace"):
        KernelFacts(tmp_path).facts()


def test_an_entrys_bytes_are_known_to_root() -> None:
    told = KernelFacts().facts()
    assert told.is_measured
    assert 200 <= told.entry_bytes <= 512
