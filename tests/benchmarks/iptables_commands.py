"""Loading, reading and planning with iptables, beside the tools alone with the same rules and sets."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.commands import many_entries, many_peers
from benchmarks.measuring import Measurement, least, seconds, show
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.files import sets_text, table_text
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.load import load_files
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.plan import plan_policy
from kernel.namespace import Namespace

_RESTORES = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def measure_iptables_commands() -> list[Measurement]:
    """Of a policy of many entries, and of one with a long list, on both variants."""
    gc.freeze()
    with tempfile.TemporaryDirectory() as directory:
        shapes = {"10,000 entries": many_entries(Path(directory)), "100,000 prefixes": many_peers(Path(directory))}
        return [
            row for name, policy in shapes.items() for variant in Variant for row in _measure(name, policy, variant)
        ]


def _measure(name: str, policy: Path, variant: Variant) -> Iterator[Measurement]:
    desired = IptablesBackend(variant).compile(load_files([policy]))
    assert desired is not None
    with Namespace() as ours, Namespace() as theirs:
        host = IptablesHost(IptablesTools(ours.path), variant)
        took = least(
            2,
            {
                "load, the tools alone": seconds(partial(_restore, theirs, desired, variant)),
                "load, removing it again": seconds(partial(_load, host, desired)),
                "read, the tools alone": seconds(partial(_save, theirs, variant)),
                "read": seconds(host.read),
                "plan with nothing to do": seconds(partial(_plan, policy, host, variant)),
            },
        )
    for step in took:
        yardstick = "load, the tools alone" if step.startswith("load") else "read, the tools alone"
        yield Measurement(
            f"iptables-{variant.value}, {name}", step, 1000 * took[step], "ms", took[step] / took[yardstick]
        )


def _restore(namespace: Namespace, desired: RawTables, variant: Variant) -> None:
    """Load rules and sets by the tools, in place of what they loaded before."""
    if desired.sets:
        namespace.run("ipset", "restore", stdin=sets_text(desired.sets))
    for family, table in desired.tables.items():
        tool = f"{_RESTORES[family]}-{variant.value}-restore"
        namespace.run(tool, "--noflush", stdin=table_text(table, family))


def _load(host: IptablesHost, desired: RawTables) -> None:
    host.change(desired if host.read() else None, None)
    host.change(None, desired)


def _save(namespace: Namespace, variant: Variant) -> None:
    for tool in _RESTORES.values():
        namespace.run(f"{tool}-{variant.value}-save", "-t", "raw")
    namespace.run("ipset", "save")


def _plan(policy: Path, host: IptablesHost, variant: Variant) -> None:
    plan = plan_policy(IptablesBackend(variant), load_files([policy]), host.read())
    assert not plan, "what was loaded is what the policy means"


if __name__ == "__main__":
    show(measure_iptables_commands())
