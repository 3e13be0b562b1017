"""What the iptables backend takes for granted about ipset alone, each fact as a test."""

from __future__ import annotations

import pytest

from kernel.namespace import Namespace
from kernel.raw_tables import ipset

pytestmark = pytest.mark.kernel


def saved(host: Namespace) -> list[str]:
    return host.run("ipset", "save").stdout.splitlines()


def test_a_set_of_another_type_cannot_take_its_place(namespace: Namespace) -> None:
    ipset(
        namespace, "create peers hash:net", "create others hash:net family inet6", "create ports bitmap:port range 0-9"
    )
    for other in ("others", "ports"):
        assert "their type does not match" in ipset(namespace, f"swap peers {other}", check=False)


def test_ipset_stops_at_the_line_that_it_refuses_and_keeps_those_before(namespace: Namespace) -> None:
    said = ipset(
        namespace, "create one hash:net", "add one 10.0.0.0/8", "add one 10.0.0.0/8", "create two hash:net", check=False
    )
    assert "Error in line 3" in said
    kept = namespace.run("ipset", "save").stdout.splitlines()
    assert [line.split()[:3] for line in kept] == [["create", "one", "hash:net"], ["add", "one", "10.0.0.0/8"]]


def test_an_element_twice_and_a_set_twice_are_errors(namespace: Namespace) -> None:
    """Without `-exist`, which would hide that the sets are not as they were thought to be."""
    ipset(namespace, "create one hash:net", "add one 10.0.0.0/8")
    for line in ("create one hash:net", "add one 10.0.0.0/8", "del one 10.0.0.0/9", "destroy two"):
        assert "Error in line 1" in ipset(namespace, line, check=False)
    assert len(saved(namespace)) == 2


def test_a_set_that_is_full_says_so(namespace: Namespace) -> None:
    assert "Hash is full" in ipset(
        namespace, "create one hash:net maxelem 1", "add one 10.0.0.0/8", "add one 11.0.0.0/8", check=False
    )


def test_no_prefix_of_length_0_stands_in_a_set_of_nets(namespace: Namespace) -> None:
    ipset(namespace, "create one hash:net", "create six hash:net family inet6")
    assert "CIDR" in ipset(namespace, "add one 0.0.0.0/0", check=False)
    assert "CIDR" in ipset(namespace, "add six ::/0", check=False)
    ipset(namespace, "add one 0.0.0.0/1", "add one 128.0.0.0/1", "add six ::/1", "add six 8000::/1")


def test_sets_are_saved_with_ranges_expanded_and_a_random_number(namespace: Namespace) -> None:
    ipset(namespace, "create ports bitmap:port range 0-65535", "add ports 53-55", "create one hash:net")
    assert saved(namespace)[:4] == [
        "create ports bitmap:port range 0-65535",
        "add ports 53",
        "add ports 54",
        "add ports 55",
    ]
    assert "initval 0x" in saved(namespace)[4]


def test_sets_of_both_families_and_variants_share_one_space_of_names(namespace: Namespace) -> None:
    ipset(namespace, "create one hash:net")
    assert "same name already exists" in ipset(namespace, "create one hash:net family inet6", check=False)


def test_a_name_of_32_characters_is_too_long(namespace: Namespace) -> None:
    ipset(namespace, f"create {'a' * 31} hash:net")
    assert ipset(namespace, f"create {'a' * 32} hash:net", check=False)
