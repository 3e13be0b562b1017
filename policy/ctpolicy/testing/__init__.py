"""What the tests of ctpolicy's users need: strategies for Hypothesis, and a host in memory. See docs/testing.md.

    from hypothesis import given
    from ctpolicy.testing import packets

    @given(packets(protocol="tcp", destination_port=22))
    def test_ssh_is_never_bypassed(ctpolicy_space, packet):
        assert packet not in ctpolicy_space

Each name is imported when it is first used: the plugin of pytest is in this package too, and costs nothing where it is
not used. The strategies need Hypothesis, which `ctpolicy[testing]` brings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ctpolicy.testing.boundaries import boundary_packets
    from ctpolicy.testing.documents import dump, policy_documents
    from ctpolicy.testing.failures import Killed, ways_to_fail
    from ctpolicy.testing.fake_host import FakeHost
    from ctpolicy.testing.fake_nftables import FakeLibnftables
    from ctpolicy.testing.strategies import (
        entries,
        entry_named,
        packets,
        packets_inside,
        packets_near,
        packets_outside,
        policies,
        reverse_of,
        spaces,
    )

_MODULES: Final = {
    "boundaries": ("boundary_packets",),
    "documents": ("dump", "policy_documents"),
    "failures": ("Killed", "ways_to_fail"),
    "fake_host": ("FakeHost",),
    "fake_nftables": ("FakeLibnftables",),
    "strategies": (
        *("entries", "entry_named", "packets", "packets_inside", "packets_near", "packets_outside", "policies"),
        *("reverse_of", "spaces"),
    ),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FakeHost",
    "FakeLibnftables",
    "Killed",
    "boundary_packets",
    "dump",
    "entries",
    "entry_named",
    "packets",
    "packets_inside",
    "packets_near",
    "packets_outside",
    "policies",
    "policy_documents",
    "reverse_of",
    "spaces",
    "ways_to_fail",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
