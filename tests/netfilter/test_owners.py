"""Rules as they are found in the field, and whose they are."""

from __future__ import annotations

import pytest

from ctpolicy.netfilter import owners
from ctpolicy.netfilter.owners import Owner, owner
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME


@pytest.mark.parametrize(
    ("family", "table", "chain", "comment", "expected"),
    [
        (TABLE_FAMILY, TABLE_NAME, "prerouting", None, owners.CTPOLICY),
        ("inet", "ovn_notrack", "output", None, owners.OPENSHIFT_OVN),
        ("ip", "raw", "OPENSHIFT-NOTRACK", None, owners.OPENSHIFT_SDN),
        ("ip", "raw", "PREROUTING", "disable conntrack for vxlan", owners.OPENSHIFT_SDN),
        ("ip", "raw", "cali-PREROUTING", None, owners.CALICO),
        ("ip", "raw", "PREROUTING", "cali:6gwbT8clXdHdC1b1", owners.CALICO),
        ("ip6", "calico", "raw-PREROUTING", None, owners.CALICO),
        ("ip", "raw", "CILIUM_PRE_raw", None, owners.CILIUM),
        ("ip", "raw", "PREROUTING", "cilium-feeder: CILIUM_PRE_raw", owners.CILIUM),
        ("ip", "raw", "ANTREA-PREROUTING", None, owners.ANTREA),
        ("ip", "raw", "PREROUTING", "Antrea: jump to Antrea prerouting rules", owners.ANTREA),
        ("ip", "kube-proxy", "services", None, owners.KUBE_PROXY),
        ("ip", "nat", "KUBE-SERVICES", None, owners.KUBE_PROXY),
        ("ip", "filter", "DOCKER-USER", None, owners.DOCKER),
        ("inet", "firewalld", "raw_PREROUTING", None, owners.FIREWALLD),
        ("inet", "fw4", "raw_prerouting", None, owners.OPENWRT),
        ("ip", "vyos_conntrack", "PREROUTING", None, owners.VYOS),
        ("ip", "raw", "VYOS_CT_IGNORE", None, owners.VYOS),
        ("ip", "raw", "PVEFW-PREROUTING", None, owners.PROXMOX),
        ("ip", "filter", "ufw-before-input", None, owners.UFW),
        ("ip6", "filter", "ufw6-user-input", None, owners.UFW),
        ("ip", "nat", "LIBVIRT_PRT", None, owners.LIBVIRT),
        ("ip", "nat", "NETAVARK-HOSTPORT-DNAT", None, owners.PODMAN),
        ("ip", "filter", "NETAVARK_FORWARD", None, owners.PODMAN),
        ("ip", "filter", "f2b-sshd", None, owners.FAIL2BAN),
        ("ip", "raw", "PREROUTING", "NodeLocal DNS Cache: skip conntrack", owners.NODE_LOCAL_DNS),
        ("ip6", "raw", "PREROUTING", "mine", owners.IPTABLES_NFT),
        ("ip", "raw", "OUTPUT", None, owners.IPTABLES_NFT),
    ],
)
def test_a_rule_is_known_by_its_table_its_chain_or_its_comment(
    family: str, table: str, chain: str, comment: str | None, expected: Owner
) -> None:
    assert owner(family, table, chain, comment) == expected


@pytest.mark.parametrize(
    ("family", "table", "chain", "comment"),
    [
        ("inet", "raw", "PREROUTING", None),
        ("ip", TABLE_NAME, "prerouting", None),
        ("inet", "mine", "prerouting", "about cali: nothing"),
        ("ip", "mine", "california", None),
        ("ip", "mine", "MYDOCKER", None),
        ("inet", "Firewalld", "raw", None),
    ],
)
def test_what_only_looks_like_it_is_nobodys(family: str, table: str, chain: str, comment: str | None) -> None:
    assert owner(family, table, chain, comment) is None


def test_a_table_alone_has_an_owner() -> None:
    assert owner("inet", "ovn_notrack") == owners.OPENSHIFT_OVN
    assert owner("inet", "nobodys") is None
