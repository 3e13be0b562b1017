"""Findings about the kernel and the programs: what works here, told by trying, and which versions have known faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ctpolicy.doctor.facts import OF_IPTABLES, WORKS, Facts, Tool, Trial, Unseen
from ctpolicy.doctor.finding import Area, Finding, Severity

_OLDEST_KERNEL: Final = (5, 2)
_OLDEST_NFTABLES: Final = (1, 0, 2)
_OLDEST_IPTABLES: Final = (1, 8)

_NFT: Final = (Trial.NF_TABLES, Trial.NFT_NOTRACK, Trial.NFT_FIB)
_MODULES_OF: Final = {
    Trial.NF_TABLES: ("nf_tables",),
    Trial.NFT_NOTRACK: ("nft_ct",),
    Trial.NFT_FIB: ("nft_fib", "nft_fib_inet"),
    Trial.CONNTRACK: ("nf_conntrack",),
    Trial.LEGACY_IPV4: ("iptable_raw", "xt_CT"),
    Trial.LEGACY_IPV6: ("ip6table_raw", "xt_CT"),
    Trial.NFT_IPV4: ("xt_CT",),
    Trial.NFT_IPV6: ("xt_CT",),
    Trial.IPSET: ("ip_set",),
    Trial.MATCH_SET: ("xt_set",),
}
_PACKAGES: Final = {
    Tool.NFT: "nftables",
    Tool.IPTABLES_LEGACY: "iptables",
    Tool.IPTABLES_NFT: "iptables",
    Tool.IP6TABLES_LEGACY: "iptables",
    Tool.IP6TABLES_NFT: "iptables",
    Tool.IPSET: "ipset",
    Tool.CONNTRACK: "conntrack",
}
_FOR: Final = {
    Tool.NFT: "to look at rules; ctpolicy itself needs libnftables alone",
    Tool.IPSET: "for long address lists with iptables",
    Tool.CONNTRACK: "to look at entries; ctpolicy itself asks the kernel",
}


def kernel_findings(facts: Facts) -> Iterator[Finding]:
    """What the kernel can."""
    yield _release(facts.release)
    if isinstance(facts.trials, Unseen):
        yield _not_tried(facts, facts.trials.why)
        return
    for trial in Trial:
        if trial in facts.trials:
            yield _tried(facts, trial, facts.trials[trial])


def tool_findings(facts: Facts) -> Iterator[Finding]:
    """Which programs are here."""
    yield _library(facts)
    for tool, version in facts.tools.items():
        yield _missing_tool(tool) if version is None else _tool(tool, version)


def numbers(text: str) -> tuple[int, ...]:
    """The first version in a text, as numbers to be compared; empty if there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def _release(release: str) -> Finding:
    if numbers(release) and numbers(release) < _OLDEST_KERNEL:
        message = f"Linux {release} is older than {_dotted(_OLDEST_KERNEL)}, which the nftables backend needs."
        advice = "Use a newer kernel, or --backend iptables-legacy."
        return Finding("kernel-version", Area.KERNEL, Severity.WARNING, message, advice)
    return Finding("kernel-version", Area.KERNEL, Severity.FINE, f"Linux {release}.")


def _tried(facts: Facts, trial: Trial, why: str) -> Finding:
    code = f"kernel-{_slug(trial)}"
    if why == WORKS:
        return Finding(code, Area.KERNEL, Severity.FINE, f"{_title(trial)} works{_by_name(facts, trial)}.")
    message = f"{_title(trial)} does not work: {why}"
    if trial in _NFT:
        advice = "Without it the default backend cannot be used; --backend iptables-legacy may."
        return Finding(code, Area.KERNEL, Severity.FAULT, message, advice, _modprobe(trial))
    if trial is Trial.CONNTRACK:
        advice = "If this kernel has no conntrack at all, there is nothing to bypass here."
        return Finding(code, Area.KERNEL, Severity.WARNING, message, advice, _modprobe(trial))
    advice = "Only policies that are applied with iptables need it."
    if trial in {Trial.IPSET, Trial.MATCH_SET}:
        advice += " --no-ipset does without."
    return Finding(code, Area.KERNEL, Severity.WARNING, message, advice, _modprobe(trial))


def _not_tried(facts: Facts, why: str) -> Finding:
    """What the names of modules tell is no answer: what is built in mostly has none."""
    message = f"What works in this kernel was not tried: {why}. What is known is which modules are there by name:"
    known = tuple(f"{name} is {presence.value}" for name, presence in facts.modules.items())
    details = known or ("none, but what is built in mostly has no name to be found by",)
    return Finding("kernel-untried", Area.KERNEL, Severity.UNKNOWN, message, details=details)


def _title(trial: Trial) -> str:
    return f"the raw table of {trial.value} with CT --notrack" if trial in OF_IPTABLES else trial.value


def _by_name(facts: Facts, trial: Trial) -> str:
    """What the names of modules tell beside."""
    found = [f"{name} is {facts.modules[name].value}" for name in _MODULES_OF[trial] if name in facts.modules]
    return f" ({', '.join(found)})" if found else ""


def _modprobe(trial: Trial) -> tuple[str, ...]:
    return (f"modprobe -a {' '.join(_MODULES_OF[trial])}",)


def _slug(trial: Trial) -> str:
    return trial.name.lower().replace("_", "-")


def _library(facts: Facts) -> Finding:
    version = facts.library
    if isinstance(version, Unseen):
        if "libnftables cannot be used" in version.why:
            install = ("apt-get install libnftables1",)
            return Finding("libnftables", Area.TOOLS, Severity.FAULT, version.why, commands=install)
        message = f"The version of libnftables was not seen: {version.why}"
        return Finding("libnftables", Area.TOOLS, Severity.UNKNOWN, message)
    if numbers(version) < _OLDEST_NFTABLES:
        message = (
            f"libnftables {version} is older than {_dotted(_OLDEST_NFTABLES)}: its JSON lacks what ctpolicy needs, and "
            "0.9.8 crashes on some errors and on objects of newer versions."
        )
        upgrade = ("apt-get install libnftables1/stable-backports",)
        return Finding("libnftables", Area.TOOLS, Severity.FAULT, message, "Install a newer one.", upgrade)
    return Finding("libnftables", Area.TOOLS, Severity.FINE, f"libnftables {version} answers.")


def _missing_tool(tool: Tool) -> Finding:
    use = _FOR.get(tool, "for --backend iptables-legacy and iptables-nft, and to see rules of iptables")
    message, install = f"{tool.value} is not installed.", (f"apt-get install {_PACKAGES[tool]}",)
    return Finding(f"tool-{tool.value}", Area.TOOLS, Severity.FINE, message, f"If wanted: it is {use}.", install)


def _tool(tool: Tool, version: str) -> Finding:
    code, found = f"tool-{tool.value}", numbers(version)
    message = f"{tool.value}: {version}"
    if not found:
        return Finding(code, Area.TOOLS, Severity.UNKNOWN, message)
    if "iptables" in tool.value and found < _OLDEST_IPTABLES:
        advice = f"ctpolicy needs iptables {_dotted(_OLDEST_IPTABLES)} or later: earlier ones have no variants."
        return Finding(code, Area.TOOLS, Severity.WARNING, message, advice, ("apt-get install iptables",))
    if tool is Tool.NFT and found < _OLDEST_NFTABLES:
        advice = f"ctpolicy needs {_dotted(_OLDEST_NFTABLES)} or later of its library."
        return Finding(code, Area.TOOLS, Severity.WARNING, message, advice, ("apt-get install nftables",))
    return Finding(code, Area.TOOLS, Severity.FINE, message)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
