"""A host moves from one backend to another: no packet changes, and nothing is left behind."""

from __future__ import annotations

import time
from itertools import pairwise, permutations
from pathlib import Path
from typing import Final

import pytest

from kernel.command_line import EXAMPLES, ctpolicy
from kernel.namespace import Namespace
from kernel.under_load import load, receive, seen

pytestmark = pytest.mark.kernel

BACKENDS: Final = ("nftables", "iptables-legacy", "iptables-nft")
EXAMPLE: Final = EXAMPLES / "openshift-worker.yaml"
FOREIGN: Final = "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP"


@pytest.mark.parametrize(
    ("source", "target"),
    [pytest.param(*move, marks=[] if "nftables" in move else [pytest.mark.soak]) for move in permutations(BACKENDS, 2)],
)
def test_a_host_moves_and_no_packet_changes(namespace: Namespace, source: str, target: str) -> None:
    namespace.run("iptables-legacy-restore", "--noflush", stdin=f"*raw\n{FOREIGN}\nCOMMIT\n")
    ctpolicy("apply", "--yes", "--backend", source, "--netns", namespace.path, EXAMPLE)
    told = ctpolicy("migrate", "--yes", "--from", source, "--to", target, "--netns", namespace.path, EXAMPLE)
    first, then = told.split("\nThen: ")
    for part in (first, then):
        assert "no packet changes, only rules do" in part
    assert "Nothing to do" in ctpolicy("plan", "--backend", target, "--netns", namespace.path, EXAMPLE)
    assert ours(namespace) == {target}
    assert FOREIGN in namespace.run("iptables-legacy-save", "-t", "raw").stdout


def test_no_packet_is_tracked_while_a_host_moves(namespace: Namespace) -> None:
    receive(namespace)
    ctpolicy("apply", "--yes", "--backend", BACKENDS[0], "--netns", namespace.path, EXAMPLE)
    with load(namespace):
        time.sleep(0.1)
        for source, target in pairwise((*BACKENDS, BACKENDS[0])):
            ctpolicy("migrate", "--yes", "--from", source, "--to", target, "--netns", namespace.path, EXAMPLE)
    found = seen(namespace)
    assert found["untracked"] > 50_000
    assert found["tracked"] == 0


def ours(namespace: Namespace) -> set[str]:
    """The backends that have anything of ours."""
    found = set()
    for backend in BACKENDS:
        told = ctpolicy("remove", "--yes", "--backend", backend, "--netns", namespace.path)
        if "Nothing to do" not in told:
            found.add(backend)
    listing = "".join(
        namespace.run(*command).stdout
        for command in (("iptables-legacy-save",), ("iptables-nft-save",), ("ip6tables-legacy-save",),
                        ("ip6tables-nft-save",), ("ipset", "save"), ("nft", "list", "ruleset"))
    )  # fmt: skip
    assert "ctpolicy" not in listing.lower()
    return found


def test_where_there_is_nothing_to_move_nothing_is_moved(namespace: Namespace) -> None:
    with pytest.raises(AssertionError, match="There is nothing of ctpolicy's in iptables-nft to move"):
        ctpolicy("migrate", "--yes", "--from", "iptables-nft", "--to", "nftables", "--netns", namespace.path, EXAMPLE)


def test_with_both_variants_in_use_apply_wants_to_know(namespace: Namespace, tmp_path: Path) -> None:
    for variant in ("legacy", "nft"):
        namespace.run(f"iptables-{variant}-restore", "--noflush", stdin=f"*raw\n{FOREIGN}\nCOMMIT\n")
    assert "Both variants of iptables are in use" in ctpolicy("plan", "--netns", namespace.path, EXAMPLE)
    with pytest.raises(AssertionError, match="say with --backend"):
        ctpolicy("apply", "--yes", "--netns", namespace.path, EXAMPLE)
    ctpolicy("apply", "--yes", "--backend", "nftables", "--netns", namespace.path, EXAMPLE)
