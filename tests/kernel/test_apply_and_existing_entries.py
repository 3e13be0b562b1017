"""What apply says of entries that were there before, and what it does to them with --drain; and a quiet apply."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from kernel.command_line import done, ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

POLICY: Final = "apiVersion: ctpolicy/v1\nname: dns\nbypass: [{name: dns, host-client: udp/53}]\n"
TRACKS: Final = "table inet filter { chain input { type filter hook input priority 0; ct state new accept; }; }"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def entries(host: Namespace) -> list[str]:
    return [line for line in host.conntrack("-p", "udp") if "dport=53" in line]


@pytest.fixture
def host(namespace: Namespace) -> Namespace:
    """A host that has asked its resolver, on the same host, three times."""
    namespace.load(TRACKS)
    for _ in range(3):
        namespace.run("bash", "-c", "echo question > /dev/udp/127.0.0.1/53")
    assert len(entries(namespace)) == 3
    return namespace


def test_apply_counts_the_entries_that_it_makes_pointless(host: Namespace, policy: Path) -> None:
    printed = done("apply", "--yes", "--netns", host.path, policy)
    assert "dns             3" in printed
    assert "`ctpolicy drain` deletes them" in printed
    assert len(entries(host)) == 3


def test_apply_deletes_them_if_it_is_told_to(host: Namespace, policy: Path) -> None:
    printed = done("apply", "--yes", "--drain", "--netns", host.path, policy)
    assert "Deleted 3 entries; the table was read again, and none is left." in printed
    assert entries(host) == []


def test_what_may_be_taken_back_deletes_nothing(host: Namespace, policy: Path) -> None:
    assert ran("apply", "--yes", "--drain", "--confirm", "9", "--netns", host.path, policy).status == 2
    assert len(entries(host)) == 3


def test_an_apply_that_has_nothing_to_do_can_be_silent(namespace: Namespace, policy: Path) -> None:
    assert "Applied" in done("apply", "--if-changed", "--netns", namespace.path, policy)
    assert done("apply", "--if-changed", "--netns", namespace.path, policy) == ""
    namespace.run("nft", "delete", "table", "inet", "ctpolicy")
    assert "Applied" in done("apply", "--if-changed", "--netns", namespace.path, policy)
