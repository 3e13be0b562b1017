"""What it means when a tool of iptables or ipset fails: from its exit status and its words to an error of ours.

The tools say the same thing in many ways, and a missing module in ways that do not name it. The messages here are those
of iptables 1.8.9 and ipset 7.17; the tests have each in full.
"""

from __future__ import annotations

import re
from typing import Final

from ctpolicy.errors import CtpolicyError, HostError, KernelCrashError, LockError, RefusedError
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family

_RESOURCE_PROBLEM: Final = 4
_TOOLS_OWN: Final = range(1, 5)
"""Exit statuses: 1 at commit, 2 bad parameter, 3 wrong version, 4 lock or resource."""

_PYTHONS: Final = "Traceback "
"""How Python begins when the worker dies before it is the tool, with the tools' exit status 1."""

_DENIED: Final = ("Permission denied", "Operation not permitted", "you must be root")
_MODULES_OF_OURS: Final = frozenset(
    ("CT", "NOTRACK", "addrtype", "comment", "iprange", "multiport", "set", "dccp", "sctp", "tcp", "udp", "udplite")
)

_NO_EXTENSION: Final = re.compile(r"Extension (\S+) (?:revision \d+ |is )not supported, missing kernel module")
_NO_LIBRARY: Final = re.compile(r"Couldn't load (?:match|target) `([^']+)'|Couldn't find (?:match|target) `([^']+)'")
_IPSET_LINE: Final = re.compile(r"Error in line (\d+)")


class SetsRefusedError(RefusedError):
    """ipset refused a line. Those before it may have been carried out: look at the sets again."""


class NotForIptablesError(HostError):
    """Somebody's nftables objects stand in `ip raw` or `ip6 raw`, and iptables cannot show what is there."""


def iptables_failure(tool: str, variant: Variant, family: Family, status: int, text: str) -> CtpolicyError:
    """Why a tool of iptables failed.

    Args:
        tool: its name, for the message.
        variant: whose tool it is.
        family: likewise.
        status: how it ended; negative for a signal.
        text: what it printed as errors.
    """
    said = _in_one_line(text)
    if status not in _TOOLS_OWN or text.startswith(_PYTHONS):
        return _death(tool, status, said)
    if status == _RESOURCE_PROBLEM and "holding the xtables lock" in said:
        return LockError(f"Another iptables held the lock all the while ({said}). Try again.")
    missing = _missing(variant, family, said)
    if missing:
        return HostError(f"{missing} ({tool}: {said})")
    again = " Try again, after reading the host again." if status == _RESOURCE_PROBLEM else ""
    return RefusedError(f"{tool} refused all of it: {said}.{again}")


def ipset_failure(status: int, text: str) -> CtpolicyError:
    """Why ipset failed; see iptables_failure."""
    said = _in_one_line(text)
    if status not in _TOOLS_OWN or text.startswith(_PYTHONS):
        return _death("ipset", status, said)
    if any(denied in said for denied in _DENIED):
        return HostError(f"ipset needs CAP_NET_ADMIN: run this as root (sudo). ({said})")
    if kernel_lacks_ipset(said):
        return HostError(f"This kernel has no ipset: modprobe ip_set, or do without (--no-ipset). ({said})")
    if "set type not supported" in said or "set type does not supported" in said:
        return HostError(f"This kernel lacks a type of ipset: see `modinfo ip_set_hash_net` and others. ({said})")
    line = _IPSET_LINE.search(said)
    before = " What stood before it was carried out." if line and int(line[1]) > 1 else ""
    return SetsRefusedError(f"ipset refused: {said}.{before}")


def kernel_lacks_ipset(text: str) -> bool:
    """Whether ipset says that there is nothing to talk to."""
    nothing = "Cannot open session to kernel" in text or "Kernel error received: Invalid argument" in text
    return nothing and not _IPSET_LINE.search(text)


def _death(tool: str, status: int, said: str) -> KernelCrashError:
    died = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    return KernelCrashError(f"{tool} died in mid-call ({died}{f': {said}' if said else ''}).")


def _missing(variant: Variant, family: Family, said: str) -> str:
    """What this host lacks, as a sentence with a remedy; empty if it is not that."""
    if "can't open lock file" in said:
        return "The lock file of iptables cannot be opened; its directory has to be writable."
    if any(denied in said for denied in _DENIED):
        return "The raw table may only be read and changed with CAP_NET_ADMIN: run this as root (sudo)."
    if "Address family not supported" in said:
        return (
            "This kernel has IPv6 switched off (ipv6.disable=1 at boot): switch it on, or give every entry of the "
            "policy `families: [ipv4]`."
        )
    extension = _NO_EXTENSION.search(said)
    if extension:
        return f"This kernel lacks the iptables extension {extension[1]}: modprobe xt_{extension[1]}."
    library = _NO_LIBRARY.search(said)
    if library and (library[1] or library[2]) in _MODULES_OF_OURS:
        return f"iptables is installed without its extension {library[1] or library[2]}: apt-get install iptables."
    if "xt_set is not loaded" in said or "Can't open socket to ipset" in said:
        return "This kernel cannot ask ipsets from iptables: modprobe xt_set, or do without (--no-ipset)."
    return _missing_table(variant, family, said)


def _missing_table(variant: Variant, family: Family, said: str) -> str:
    if "Table does not exist" in said or "unable to initialize table" in said:
        module = "iptable_raw" if family is Family.IPV4 else "ip6table_raw"
        return f"This kernel has no raw table for iptables-legacy: modprobe {module}, or use iptables-nft."
    if variant is Variant.NFT and ("rule set generation id" in said or "Failed to initialize nft" in said):
        return "This kernel has no nftables: modprobe nf_tables, or use iptables-legacy."
    return ""


def _in_one_line(text: str) -> str:
    """What a tool printed, without the lines that say where to find help, as one line."""
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(line.rstrip(".;") for line in lines if line and not line.startswith(("Try `", "# Warning:")))
