"""What iptables-nft-save makes of native rules in its raw table: told, and never read as what it prints."""

from __future__ import annotations

from pathlib import Path as File
from typing import Final

import pytest

from ctpolicy.errors import HostError, InputError
from ctpolicy.iptables.native import check_printable
from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from kernel.loaded_rules import Rules, loaded, save
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

FILES: Final = sorted((File(__file__).parent.parent / "scenarios" / "foreign-iptables").glob("*.rules"))

LEFT_OUT: Final = {
    "ip saddr { 192.0.2.1, 192.0.2.3 } accept": "-j ACCEPT",
    "ip saddr @some accept": "-j ACCEPT",
    "udp dport { 53, 54 } accept": "-p udp -j ACCEPT",
}
"""Native rules, and what iptables-nft-save 1.8.9 makes of them."""


@pytest.mark.parametrize("rule", LEFT_OUT)
def test_a_question_that_iptables_leaves_out_is_found(namespace: Namespace, rule: str) -> None:
    make(namespace, rule)
    assert f"-A PREROUTING {LEFT_OUT[rule]}\n" in namespace.run("iptables-nft-save", "-t", "raw").stdout
    with pytest.raises(HostError, match="table ip raw, chain PREROUTING"):
        check_printable(listed(namespace))


@pytest.mark.parametrize("rule", ["udp dport 53 notrack", "fib daddr type local accept"])
def test_what_iptables_calls_incompatible_is_never_read_as_nothing(namespace: Namespace, rule: str) -> None:
    make(namespace, rule)
    with pytest.raises(HostError, match="unknown, not nothing"):
        read_raw_table(save(namespace, Variant.NFT, Family.IPV4), Family.IPV4)
    with pytest.raises(HostError, match="table ip raw"):
        check_printable(listed(namespace))


def make(namespace: Namespace, rule: str) -> None:
    namespace.run("iptables-nft", "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "-j", "ACCEPT")
    namespace.load(f"add set ip raw some {{ type ipv4_addr; }}\nadd rule ip raw PREROUTING {rule}\n")


def listed(namespace: Namespace) -> str:
    return namespace.run("nft", "-j", "list", "ruleset").stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_iptables_itself_has_made_is_printable(namespace: Namespace, file: File) -> None:
    with loaded(namespace, Variant.NFT, Rules.of_file(file.read_text())):
        check_printable(listed(namespace))


def test_what_is_no_listing_of_nft_is_told() -> None:
    for text in ("", "[]", '{"nftables": 5}', "*raw"):
        with pytest.raises(InputError, match="nftables"):
            check_printable(text)
