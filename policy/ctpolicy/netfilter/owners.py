"""Whose rule is it? Tables, chains and comments by which other programs are known.

The names are as the programs' own sources and their users' listings have them. Patterns are the shell's (`*` and `?`),
with upper and lower case told apart. The first that fits is the answer, so what is told by a rule's comment or chain
comes before what is told by its table, and the tables that iptables-nft keeps for everybody come last.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final


@dataclass(frozen=True, slots=True)
class Owner:
    """A program that keeps rules of its own.

    Args:
        name: as people call it.
        repairs: whether it puts its rules back when somebody changes them, as far as is known.
    """

    name: str
    repairs: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    """What an owner's rules look like; `*` is anything, a rule without a comment included."""

    owner: Owner
    table: str = "*"
    chain: str = "*"
    comment: str = "*"
    families: frozenset[str] = frozenset({"ip", "ip6", "inet"})

    def fits(self, family: str, table: str, chain: str, comment: str | None) -> bool:
        """Whether a rule looks like this."""
        return (
            family in self.families
            and fnmatchcase(table, self.table)
            and fnmatchcase(chain, self.chain)
            and (self.comment == "*" or (comment is not None and fnmatchcase(comment, self.comment)))
        )


CTPOLICY: Final = Owner("ctpolicy")
OPENSHIFT_OVN: Final = Owner("OpenShift OVN-Kubernetes", repairs=True)
OPENSHIFT_SDN: Final = Owner("OpenShift SDN", repairs=True)
CALICO: Final = Owner("Calico", repairs=True)
CILIUM: Final = Owner("Cilium", repairs=True)
ANTREA: Final = Owner("Antrea", repairs=True)
KUBE_PROXY: Final = Owner("kube-proxy", repairs=True)
NODE_LOCAL_DNS: Final = Owner("NodeLocal DNSCache", repairs=True)
DOCKER: Final = Owner("Docker")
FIREWALLD: Final = Owner("firewalld")
OPENWRT: Final = Owner("OpenWrt firewall4")
VYOS: Final = Owner("VyOS")
PROXMOX: Final = Owner("Proxmox VE firewall", repairs=True)
UFW: Final = Owner("ufw")
LIBVIRT: Final = Owner("libvirt")
PODMAN: Final = Owner("Podman")
FAIL2BAN: Final = Owner("fail2ban", repairs=True)
IPTABLES_NFT: Final = Owner("iptables-nft")

_IPTABLES: Final = frozenset({"ip", "ip6"})
_IPTABLES_TABLES: Final = ("raw", "mangle", "nat", "filter", "security")

_MARKS: Final = (
    _Mark(CTPOLICY, "ctpolicy", families=frozenset({"inet"})),
    _Mark(CTPOLICY, chain="CTPOLICY-*"),
    _Mark(NODE_LOCAL_DNS, comment="NodeLocal DNS Cache*"),
    _Mark(CALICO, comment="cali:*"),
    _Mark(CILIUM, comment="cilium*"),
    _Mark(ANTREA, comment="Antrea:*"),
    _Mark(OPENWRT, comment="!fw4:*"),
    _Mark(OPENSHIFT_SDN, comment="disable conntrack for vxlan"),
    _Mark(OPENSHIFT_SDN, chain="OPENSHIFT-*"),
    _Mark(CALICO, chain="cali-*"),
    _Mark(CILIUM, chain="CILIUM_*"),
    _Mark(CILIUM, chain="OLD_CILIUM_*"),
    _Mark(ANTREA, chain="ANTREA-*"),
    _Mark(KUBE_PROXY, chain="KUBE-*"),
    _Mark(DOCKER, chain="DOCKER"),
    _Mark(DOCKER, chain="DOCKER-*"),
    _Mark(PROXMOX, chain="PVEFW-*"),
    _Mark(VYOS, chain="VYOS_*"),
    _Mark(UFW, chain="ufw-*"),
    _Mark(UFW, chain="ufw6-*"),
    _Mark(LIBVIRT, chain="LIBVIRT_*"),
    _Mark(PODMAN, chain="NETAVARK*"),
    _Mark(FAIL2BAN, chain="f2b-*"),
    _Mark(OPENSHIFT_OVN, "ovn_notrack", families=frozenset({"inet"})),
    _Mark(OPENSHIFT_OVN, "ovn-kubernetes", families=frozenset({"inet"})),
    _Mark(CALICO, "calico"),
    _Mark(ANTREA, "antrea*"),
    _Mark(KUBE_PROXY, "kube-proxy"),
    _Mark(DOCKER, "docker-bridges", families=_IPTABLES),
    _Mark(FIREWALLD, "firewalld*"),
    _Mark(OPENWRT, "fw4", families=frozenset({"inet"})),
    _Mark(VYOS, "vyos_*"),
    _Mark(PROXMOX, "proxmox-firewall*"),
    *(_Mark(IPTABLES_NFT, table, families=_IPTABLES) for table in _IPTABLES_TABLES),
)


def owner(table_family: str, table: str, chain: str = "", comment: str | None = None) -> Owner | None:
    """Whose rule it is, or whose table if no chain is given; None if nobody known.

    Args:
        table_family: of the table: ip, ip6 or inet.
        table: its name.
        chain: the rule's.
        comment: the rule's; None if it has none.
    """
    return next((mark.owner for mark in _MARKS if mark.fits(table_family, table, chain, comment)), None)


def table_title(family: str, table: str) -> str:
    """A table in words, with whose it is if that is known: `table inet ovn_notrack (OpenShift OVN-Kubernetes)`."""
    whose = owner(family, table)
    return f"table {family} {table}" + (f" ({whose.name})" if whose else "")
