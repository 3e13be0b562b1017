"""The catalogue: hosts as folders, each a ruleset as its kind of host has it, a policy, and what the policy breaks.

A folder of `hosts/` holds `host.yaml` and, where the host has them, `rules.nft` (nft text), `rules.v4` and `rules.v6`
(for iptables-restore), `sets.ipset`, and the policy, `policy.yaml`. `host.yaml` says:

    why        what kind of host this is, and what surprised whoever measured it
    source     whose rules these are, with the version, where somebody's tool wrote them or they are written after one
    flows      by name: what is sent, what becomes of it before, and what after, where that is something else; and the
               port from which the other side sees it, if it is translated and that matters
    kept       flows that are one connection, which was there before
    hazards    by flow that breaks: the codes that tell why, and so must be told
    inside     how the net behind the host is made, if not as in `places.py`
    vxlan      options of a VXLAN between client and host
    iptables   the variant that loads rules.v4 and rules.v6: nft, or legacy
    backend    the one by which the policy is applied, if not nftables
    settings   files under /proc/sys/net of the host
    ip         arguments of `ip` for the host's routes, addresses and rules
    proxies    ports of the host at which a transparent proxy listens
    example    the one of the project's examples that is the policy
    first      a policy that is in force before; without policy.yaml, what is tried is its removal
    soak       whether it is tried in the long tests alone, because another host is much like it
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from kernel.command_line import EXAMPLES
from kernel.consequences.flows import Flow
from kernel.consequences.places import STANDS_IN, Inside
from kernel.consequences.services import Service
from kernel.namespace import Namespace

HOSTS: Final = Path(__file__).parent / "hosts"

_KEYS: Final = frozenset(
    {"why", "source", "flows", "kept", "hazards", "inside", "vxlan", "iptables", "backend"}
    | {"settings", "ip", "proxies", "example", "first", "soak"}
)
_FLOW_KEYS: Final = frozenset({"send", "before", "after", "translated-port"})
_ANSWERED: Final = re.compile(r"(?P<place>[a-z-]+):(?P<port>\d+) saw .*")


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the catalogue, as its folder says.

    Args:
        folder: where it is.
        said: what its `host.yaml` says.
        flows: by name.
    """

    folder: Path
    said: dict[str, Any]
    flows: dict[str, Flow]

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.name

    @property
    def before(self) -> dict[str, str]:
        """What becomes of each flow before the policy is applied."""
        return {name: flow["before"] for name, flow in self.said["flows"].items()}

    @property
    def after(self) -> dict[str, str]:
        """What becomes of each flow once it is."""
        return {name: flow.get("after", flow["before"]) for name, flow in self.said["flows"].items()}

    @property
    def broken(self) -> frozenset[str]:
        """The flows that the policy breaks."""
        return frozenset(name for name, outcome in self.after.items() if outcome != self.before[name])

    @property
    def kept(self) -> frozenset[str]:
        """The flows that are one connection all the while."""
        return frozenset(self.said.get("kept", ()))

    @property
    def hazards(self) -> dict[str, list[str]]:
        """By flow that breaks: the codes of the hazards that must be told."""
        hazards: dict[str, list[str]] = self.said.get("hazards", {})
        return hazards

    @property
    def inside(self) -> Inside:
        """The net behind it."""
        return Inside(**self.said.get("inside", {}))

    @property
    def vxlan(self) -> str:
        """Options of the VXLAN between client and host; empty if there is none."""
        return str(self.said.get("vxlan", ""))

    @property
    def services(self) -> frozenset[Service]:
        """What has to listen: whoever answers any of the flows."""
        outcomes = [*self.before.items(), *self.after.items()]
        return frozenset(
            service for name, outcome in outcomes for service in self._answering(self.flows[name], outcome)
        )

    def _answering(self, flow: Flow, outcome: str) -> Iterable[Service]:
        found = _ANSWERED.fullmatch(outcome)
        if found:
            place, port = found["place"], int(found["port"])
            assert place not in STANDS_IN, f"{self.name}: a service at {place} is told to be at {STANDS_IN[place]}"
            yield Service(place, "udp" if flow.kind == "udp" else "tcp", port, port in self.said.get("proxies", ()))
            if flow.kind == "ftp":
                yield Service(place, "tcp", flow.port)
        elif flow.kind == "many":
            yield Service(flow.target, "tcp", flow.port)

    @property
    def soak(self) -> bool:
        """Whether it is left to the long tests."""
        return bool(self.said.get("soak", False))

    @property
    def backend(self) -> str:
        """The one by which the policy is applied."""
        return str(self.said.get("backend", "nftables"))

    @property
    def policy(self) -> Path | None:
        """What is applied; None if what is tried is a removal."""
        if "example" in self.said:
            return EXAMPLES / f"{self.said['example']}.yaml"
        path = self.folder / "policy.yaml"
        return path if path.exists() else None

    @property
    def first(self) -> Path | None:
        """The policy that is in force before."""
        return self.folder / self.said["first"] if "first" in self.said else None

    def set_up(self, namespace: Namespace) -> None:
        """Give a namespace the host's rules and settings."""
        for setting, value in self.said.get("settings", {}).items():
            namespace.write(setting, value)
        if "ip" in self.said:
            namespace.ip(*self.said["ip"])
        variant = self.said.get("iptables", "nft")
        for file, command in (
            ("sets.ipset", ["ipset", "restore"]),
            ("rules.nft", ["nft", "-f", "-"]),
            ("rules.v4", [f"iptables-{variant}-restore"]),
            ("rules.v6", [f"ip6tables-{variant}-restore"]),
        ):
            if (self.folder / file).exists():
                namespace.run(*command, stdin=(self.folder / file).read_text())


@cache
def catalogue() -> tuple[Host, ...]:
    """All hosts, by name."""
    return tuple(_read(path.parent) for path in sorted(HOSTS.glob("*/host.yaml")))


def _read(folder: Path) -> Host:
    said = yaml.safe_load((folder / "host.yaml").read_text())
    assert set(said) <= _KEYS, f"{folder.name}: {set(said) - _KEYS}"
    assert all(set(flow) <= _FLOW_KEYS for flow in said["flows"].values()), folder.name
    return Host(folder, said, {name: Flow.parse(flow["send"]) for name, flow in said["flows"].items()})
