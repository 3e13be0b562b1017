"""The names of our chains and ipsets: readable, within the kernel's limits, the same for the same policy."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Hashable, Iterator
from hashlib import sha256
from typing import Final

from ctpolicy.iptables.ours import CHAIN_PREFIX, set_prefix
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.language.policy import Policy, addresses_of
from ctpolicy.netfilter.boxes import Hook, Role
from ctpolicy.packetspace.fields import Family, protocol_name
from ctpolicy.packetspace.intervals import IntervalSet

LONGEST_CHAIN: Final = 28
LONGEST_SET: Final = 31
_DIGEST: Final = 10
"""Characters of five bits: two of 100,000 chains of one policy get one name once in 200,000 policies."""

_HOOKS: Final = {Hook.PREROUTING: "PRE", Hook.OUTPUT: "OUT"}


def protocol_word(number: int) -> str:
    """An IP protocol as a part of a name."""
    return protocol_name(number)


def chain_name(hook: Hook, *parts: str) -> str:
    """`CTPOLICY-PRE-UDP-D1000`; where that is too long, its beginning and a digest of all of it."""
    return _within("-".join([CHAIN_PREFIX + _HOOKS[hook], *parts]), LONGEST_CHAIN)


def set_name(variant: Variant, role: Role, kind: str, stem: str) -> str:
    """`ctpolicy-b4-nodes`: a set that only rules of one role use, because a change fills and empties them in an order.

    Args:
        variant: whose rules ask it.
        role: likewise.
        kind: `4` or `6` for addresses, `p` for ports.
        stem: what it holds.
    """
    return _within(f"{set_prefix(variant)}{role.value[0]}{kind}-{stem}", LONGEST_SET)


def _within(name: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    digest = b32encode(sha256(name.encode()).digest()).decode().lower()
    return f"{name[: longest - _DIGEST - 1]}-{digest[:_DIGEST]}"


class AddressNames:
    """Names for a policy's lists of addresses: by the group that they are, or else by the entry and key."""

    def __init__(self, policy: Policy) -> None:
        self._stems: dict[tuple[Family, Hashable], str] = {}
        for by_group in (True, False):
            for family, values, stem in _lists(policy, by_group):
                self._stems.setdefault((family, values), stem)

    def stem(self, family: Family, values: IntervalSet) -> str | None:
        """What a list is called; None if it is only a part of one."""
        return self._stems.get((family, values))


def _lists(policy: Policy, by_group: bool) -> Iterator[tuple[Family, IntervalSet, str]]:
    for entry in policy.entries():
        for key, addresses in addresses_of(entry):
            if (addresses.group is not None) == by_group:
                for family in Family:
                    yield family, addresses.of(family), addresses.group or f"{entry.name}_{key}"
