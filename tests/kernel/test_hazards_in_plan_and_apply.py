"""A stateful host firewall: the plan tells what breaks, apply refuses it, and the remedy lets it go."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.command_line import done, ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

FIREWALL = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname "lo" accept
    tcp dport 9100 ct state new accept
  }
}
"""
BY_IPTABLES = """*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 9100 -m conntrack --ctstate NEW -j ACCEPT
COMMIT
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "apiVersion: ctpolicy/v1\nname: tested\nbypass:\n"
        "  - {name: dns, host-client: udp/53, peers: [192.168.7.53]}\n"
        "  - {name: metrics, host-service: tcp/9100, peers: [10.0.8.0/24]}\n"
    )
    return path


def test_certain_hazards_refuse_until_the_remedy_is_there(namespace: Namespace, policy: Path, tmp_path: Path) -> None:
    namespace.load(FIREWALL)
    before = namespace.ruleset()
    here, script = ("--netns", namespace.path), tmp_path / "remedies.sh"
    told = done("plan", *here, "--remedies", script, policy)
    assert all(f"certain error {code}" in told for code in ("HZ001", "HZ002", "HZ003"))
    refused = ran("apply", "--yes", *here, policy)
    assert refused.status == 8, refused
    assert "(HZ001, HZ002, HZ003)" in refused.errors
    assert namespace.ruleset() == before, "something was written"
    namespace.run("sh", script)
    assert "Hazards\n  none found" in done("apply", "--yes", *here, policy)
    assert done("apply", "--yes", *here, policy).startswith("Nothing to do")


def test_accepted_hazards_are_applied_and_asked_about_no_more(namespace: Namespace, policy: Path) -> None:
    namespace.load(FIREWALL)
    here = ("--netns", namespace.path)
    assert "certain error HZ001" in done("apply", "--accept-hazards", *here, policy)
    assert done("apply", "--if-changed", *here, policy) == ""
    done("remove", "--yes", *here)
    done("rollback", "--yes", *here)  # goes back to what somebody has accepted, and asks nothing
    assert done("apply", *here, policy).startswith("Nothing to do")


def test_a_saved_plan_is_refused_for_what_is_certain_now(namespace: Namespace, policy: Path, tmp_path: Path) -> None:
    here, saved = ("--netns", namespace.path), tmp_path / "plan.json"
    done("plan", "--out", saved, *here, policy)
    namespace.load(FIREWALL)
    assert ran("apply", "--yes", *here, saved).status == 8
    done("apply", "--yes", "--accept-hazards", *here, saved)


@pytest.mark.parametrize("tool", ["iptables-nft", "iptables-legacy"])
def test_rules_of_iptables_are_seen_by_their_own_tool(tool: str, namespace: Namespace, policy: Path) -> None:
    namespace.run(f"{tool}-restore", stdin=BY_IPTABLES)
    found = ran("apply", "--yes", "--netns", namespace.path, policy)
    assert found.status == 8, found
    assert f"by `policy drop` in {tool} table filter, chain INPUT" in found.output
