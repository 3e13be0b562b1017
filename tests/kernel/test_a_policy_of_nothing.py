"""A policy that covers nothing is applied, leaves nothing behind, and is then in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.command_line import ctpolicy
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("backend", ["nftables", "iptables-legacy", "iptables-nft"])
def test_a_policy_of_no_entries_follows_one_of_some(namespace: Namespace, backend: str, tmp_path: Path) -> None:
    some, none = tmp_path / "some.yaml", tmp_path / "none.yaml"
    some.write_text("apiVersion: ctpolicy/v1\nname: some\nbypass: [{name: vxlan, overlay: vxlan}]\n")
    none.write_text("apiVersion: ctpolicy/v1\nname: none\nbypass: []\n")
    on_host = ("--backend", backend, "--netns", namespace.path)
    ctpolicy("apply", "--yes", *on_host, none)
    ctpolicy("apply", "--yes", *on_host, some)
    ctpolicy("apply", "--yes", *on_host, none)
    assert "Nothing to do" in ctpolicy("plan", *on_host, none)
