"""What `ctpolicy compile` writes for iptables is loaded by the tools alone, and is what apply would have made."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from ctpolicy.iptables.ruleset import Variant
from kernel.command_line import EXAMPLES, ctpolicy
from kernel.namespace import Namespace

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)]

# As OpenShift SDN's hosts list it.
OPENSHIFT: Final = """\
-A PREROUTING -m comment --comment "disable conntrack for vxlan" -j OPENSHIFT-NOTRACK
-A OUTPUT -m comment --comment "disable conntrack for vxlan" -j OPENSHIFT-NOTRACK
-A OPENSHIFT-NOTRACK -p udp -m udp --dport 4789 -j NOTRACK
"""
OPENSHIFT_POLICY: Final = """\
apiVersion: ctpolicy/v1
name: openshift-sdn
bypass:
  - name: vxlan
    overlay: vxlan
    paths: [in, forward, out]
"""


def rules(namespace: Namespace, variant: Variant, tool: str = "iptables") -> str:
    """The rules of a raw table as the tool prints them."""
    listing = namespace.run(f"{tool}-{variant.value}-save", "-t", "raw").stdout
    return "".join(f"{line}\n" for line in listing.splitlines() if line.startswith("-A "))


@pytest.mark.parametrize(
    ("example", "plain"),
    [("openshift-worker", ()), ("dns-resolver", ()), ("kubernetes-node", ()), ("dns-resolver", ("--no-ipset",))],
)
def test_files_make_what_apply_makes_and_can_be_loaded_twice(
    namespace: Namespace, variant: Variant, example: str, plain: tuple[str, ...], tmp_path: Path
) -> None:
    backend = ("--backend", f"iptables-{variant.value}", *plain)
    ctpolicy("compile", *backend, "--output", tmp_path / "files", EXAMPLES / f"{example}.yaml")
    for _ in range(2):
        namespace.run("sh", tmp_path / "files" / "load")
        plan = ctpolicy("plan", *backend, "--netns", namespace.path, EXAMPLES / f"{example}.yaml")
        assert plan.startswith("Nothing to do: what is live is what the policy means."), plan


def test_files_of_one_policy_take_the_place_of_another(namespace: Namespace, variant: Variant, tmp_path: Path) -> None:
    backend = ("--backend", f"iptables-{variant.value}")
    for example in ("openshift-worker", "dns-resolver"):
        ctpolicy("compile", *backend, "--output", tmp_path / example, EXAMPLES / f"{example}.yaml")
        namespace.run("sh", tmp_path / example / "load")
    plan = ctpolicy("plan", *backend, "--netns", namespace.path, EXAMPLES / "dns-resolver.yaml")
    assert "Rules" not in plan or "no packet changes, only rules do" in plan, "at most things that nobody asks are left"


def test_openshifts_style_is_openshifts_listing_line_for_line(
    namespace: Namespace, variant: Variant, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(OPENSHIFT_POLICY)
    backend = ("--backend", f"iptables-{variant.value}", "--style", "openshift")
    ctpolicy("compile", *backend, "--output", tmp_path / "files", tmp_path / "policy.yaml")
    for _ in range(2):
        namespace.run("sh", tmp_path / "files" / "load")
        # iptables-nft keeps no other spelling than its own.
        expected = OPENSHIFT if variant is Variant.LEGACY else OPENSHIFT.replace("-j NOTRACK", "-j CT --notrack")
        assert rules(namespace, variant) in (OPENSHIFT, expected)
        assert rules(namespace, variant, "ip6tables") in (OPENSHIFT, expected)
    imported = ctpolicy("import", "--netns", namespace.path)
    assert "overlay: vxlan" in imported
    explained = ctpolicy("explain", "--netns", namespace.path, "in udp 192.0.2.1:40000 -> 192.0.2.2:4789")
    assert f"iptables-{variant.value} raw, chain OPENSHIFT-NOTRACK (OpenShift SDN)" in explained
