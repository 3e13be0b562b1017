"""A change that the real tools refuse in its midst leaves the host as it was, and says so."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from ctpolicy.apply.protocol import ONLY_TRIED
from ctpolicy.cli import host as cli_host
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ours import set_prefix
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from kernel.command_line import EXAMPLES, done, ran
from kernel.namespace import Namespace
from kernel.raw_tables import ipset, restore, rules, send

pytestmark = pytest.mark.kernel

each_variant = pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)

EXAMPLE = EXAMPLES / "dns-resolver.yaml"
WITH_SETS = EXAMPLES / "openshift-worker.yaml"
WITH_MORE = """
apiVersion: ctpolicy/v1
name: more
groups: {nodes: [10.0.0.0/24, 10.0.2.0/24, "fd00:7::/64", "fd00:9::1"]}
bypass: [{name: vxlan, overlay: vxlan, peers: nodes}]
track: [{name: ssh, host-service: tcp/22, peers: nodes}]
"""
AS_BEFORE = "The host was read again and is as it was before."


def where(host: Namespace, variant: Variant) -> tuple[str | Path, ...]:
    """How to say which host, and that nobody is to be asked."""
    return ("--backend", f"iptables-{variant.value}", "--netns", host.path, "--yes")


def seen(host: Namespace, variant: Variant) -> list[str]:
    """Everything that is there, with counters, but for the built-in chains' own.

    And but for those of IPv6 with nft: ip6tables-nft-restore takes counters and forgets them (1.8.9).
    """
    v4, v6 = (rules(host, variant, family) for family in Family)
    if variant is Variant.NFT:
        v6 = [line.partition("] ")[2] or line for line in v6]
    sets = [line for line in host.run("ipset", "save").stdout.splitlines() if not line.startswith("create")]
    return [line.partition(" [")[0] if line.startswith(":") else line for line in [*v4, *v6]] + sorted(sets)


@each_variant
def test_a_chain_that_somebody_else_jumps_to_is_put_back(variant: Variant, namespace: Namespace) -> None:
    """The rules of IPv4 are gone by the time that those of IPv6 are refused."""
    done("apply", EXAMPLE, *where(namespace, variant))
    restore(namespace, variant, ":OTHERS - [0:0]", "-A OTHERS -j CTPOLICY-OUTPUT", family=Family.IPV6)
    send(namespace, 53, 3)
    before = seen(namespace, variant)
    ended = ran("remove", *where(namespace, variant))
    assert (ended.status, AS_BEFORE in ended.errors) == (3, True), ended
    assert seen(namespace, variant) == before
    assert any("[3:" in line for line in before)
    restore(namespace, variant, "-F OTHERS", family=Family.IPV6)
    done("remove", *where(namespace, variant))


@each_variant
def test_an_ipset_that_somebody_else_asks_is_put_back_with_the_rules(
    variant: Variant, namespace: Namespace, tmp_path: Path
) -> None:
    """By then all rules of ours are gone, and some of the ipsets."""
    policy = tmp_path / "more.yaml"
    policy.write_text(WITH_MORE)
    done("apply", policy, *where(namespace, variant))
    sets = namespace.run("ipset", "list", "-n").stdout.split()
    assert len(sets) > 2
    restore(namespace, variant, f"-A OUTPUT -m set --match-set {sorted(sets)[-1]} src", family=Family.IPV6)
    send(namespace, 4789, 3)
    before = seen(namespace, variant)
    ended = ran("remove", *where(namespace, variant))
    assert (ended.status, AS_BEFORE in ended.errors) == (3, True), ended
    assert "in use" in ended.errors
    assert seen(namespace, variant) == before


@each_variant
def test_an_ipset_that_cannot_be_made_again_leaves_the_host_inconsistent(
    variant: Variant, namespace: Namespace
) -> None:
    """It goes first, and the next one is refused. What to run by hand is told, and works."""
    done("apply", WITH_SETS, *where(namespace, variant))
    ipset(namespace, f"create {set_prefix(variant)}aaa hash:net,iface timeout 60")
    restore(namespace, variant, f"-A OUTPUT -m set --match-set {set_prefix(variant)}b4-monitoring dst")
    ended = ran("remove", *where(namespace, variant))
    assert ended.status == 4, ended
    assert f"{set_prefix(variant)}aaa cannot be made again as it was" in ended.errors
    assert AS_BEFORE not in ended.errors
    assert f"ctpolicy remove --backend iptables-{variant.value}" in ended.errors
    restore(namespace, variant, f"-D OUTPUT -m set --match-set {set_prefix(variant)}b4-monitoring dst")
    done("remove", *where(namespace, variant))
    done("apply", WITH_SETS, *where(namespace, variant))


def test_a_lock_that_another_holds_is_told_and_nothing_is_made(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_host, "IptablesTools", partial(IptablesTools, lock_wait=1))
    with held(Path("/run/xtables.lock") if os.access("/run", os.W_OK) else namespace.path):
        ended = ran("apply", WITH_SETS, *where(namespace, Variant.LEGACY))
    assert ended.status == 6, ended
    assert f"Try again. {ONLY_TRIED}" in ended.errors
    assert namespace.run("ipset", "save").stdout == ""
    assert not [line for line in seen(namespace, Variant.LEGACY) if "CTPOLICY" in line]
    monkeypatch.undo()  # somebody else on this machine may have the lock for a moment
    done("apply", WITH_SETS, *where(namespace, Variant.LEGACY))


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """A lock that another has."""
    descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
