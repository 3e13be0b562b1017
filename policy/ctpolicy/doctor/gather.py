"""Gathering the facts: each is asked for by itself, so that what cannot be seen hides nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from ctpolicy.doctor.activity import RuleTexts, rule_texts
from ctpolicy.doctor.facts import MODULES, Facts, Log, LogLine, Own, Save, Tool, Unseen
from ctpolicy.doctor.machine import Machine, Ran
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.live import Live

_NAMES: Final = {
    Family.IPV4: "/proc/thread-self/net/ip_tables_names",
    Family.IPV6: "/proc/thread-self/net/ip6_tables_names",
}
_PREFIX: Final = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
_JOURNAL: Final = (
    *("--dmesg", "--boot", "--quiet", "--no-pager", "--lines=10000", "--output=json"),
    *("--output-fields=MESSAGE", "--grep=nf_conntrack"),
)


def gather(machine: Machine, namespace: str, live: Live | Unseen, own: Own) -> Facts:
    """All facts of a machine.

    Args:
        machine: the door to it.
        namespace: the network namespace that was asked for; empty for the one that we are in.
        live: what decides about tracking there.
        own: what is ctpolicy's.
    """
    # First, because tools and trials may load modules.
    modules = {name: found for name in MODULES if (found := machine.module(name))}
    listing = _whole(machine.listing())
    return Facts(
        release=machine.release(),
        now=machine.now(),
        namespace=namespace,
        is_the_hosts=machine.is_the_hosts(),
        number=machine.number(),
        modules=modules,
        tools={tool: _version(machine, tool) for tool in Tool},
        library=_library(listing),
        table=machine.table(),
        listing=listing,
        texts=_texts(machine),
        saves={(variant, family): _save(machine, variant, family) for variant in Variant for family in Family},
        live=live,
        log=_log(machine),
        namespaces=machine.namespaces(),
        ip_vs=_ip_vs(machine),
        own=own,
        trials=machine.trials(),
    )


def _version(machine: Machine, tool: Tool) -> str | None:
    """What a tool says of itself, in one line; None if it is not installed."""
    ran = machine.run(tool.value, "--version")
    if isinstance(ran, Ran):
        return (ran.output or ran.errors).strip().partition("\n")[0] or "(says no version)"
    return None if ran is None else f"({ran.why})"


def _whole(listing: str | Unseen) -> str | Unseen:
    """A listing that is one. Of a table with flags libnftables 1.0.6 prints whatever is in its memory, unquoted."""
    if isinstance(listing, Unseen):
        return listing
    try:
        is_whole = isinstance(json.loads(listing)["nftables"], list)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_whole = False
    return listing if is_whole else Unseen("libnftables printed no JSON, as 1.0.6 may if a table is dormant")


def _library(listing: str | Unseen) -> str | Unseen:
    """The version that libnftables puts at the head of each listing."""
    if isinstance(listing, Unseen):
        return listing
    head = json.loads(listing)["nftables"][:1]
    version = head[0].get("metainfo", {}).get("version") if head else None
    return str(version) if version else Unseen("libnftables does not say its version")


def _texts(machine: Machine) -> RuleTexts:
    """Rules as nft writes them; none where nft is missing, and then JSON has to do."""
    ran = machine.run(Tool.NFT.value, "--handle", "--stateless", "list", "ruleset")
    return rule_texts(ran.output) if isinstance(ran, Ran) and ran.status == 0 else {}


def _save(machine: Machine, variant: Variant, family: Family) -> Save:
    """All tables that a variant has. The tool of legacy makes tables that it is asked for by name, so it is not."""
    if variant is Variant.LEGACY:
        names = machine.text(_NAMES[family])
        if isinstance(names, Unseen):
            return names
        if not (names or "").split():
            return None
    ran = machine.run(f"{_PREFIX[family]}-{variant.value}-save")
    if not isinstance(ran, Ran):
        return ran
    if ran.status:
        return Unseen(_first_line(ran.errors))
    return ran.output


def _log(machine: Machine) -> Log | Unseen:
    """The kernel's own buffer, and the journal, which goes back further, where that shows more."""
    read = machine.kernel_log()
    journal = _journal(machine)
    if journal and (isinstance(read, Unseen) or len(journal) > sum("nf_conntrack" in one.text for one in read.lines)):
        return Log(journal, "the journal")
    return read


def _journal(machine: Machine) -> tuple[LogLine, ...]:
    """What the journal has of conntrack; nothing also where it may not be read, which it does not say."""
    ran = machine.run("journalctl", *_JOURNAL)
    if not isinstance(ran, Ran) or ran.status:
        return ()
    return tuple(_journal_line(json.loads(line)) for line in ran.output.splitlines() if line.startswith("{"))


def _journal_line(found: Mapping[str, object]) -> LogLine:
    return LogLine(int(str(found.get("__REALTIME_TIMESTAMP", 0))) / 1e6, str(found.get("MESSAGE", "")))


def _ip_vs(machine: Machine) -> str:
    """The virtual services of IPVS, below three lines of headings."""
    told = machine.text("/proc/thread-self/net/ip_vs")
    return "\n".join(told.split("\n")[3:]).strip() if isinstance(told, str) else ""


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0] or "no word of why"
