"""Hypothesis strategies for policies and packets: for the tests of whoever writes policies or tools about them.

@given(policies(), packets())
def test_nothing_of_ssh_is_ever_bypassed(policy, packet): ...
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.packetspace.fields import (
    IPV6_EXTENSION_HEADERS,
    LOOPBACK,
    PROTOCOL_NAMES,
    PROTOCOL_NUMBERS,
    PROTOCOLS_WITH_PORTS,
    Family,
    Path,
)
from ctpolicy.packetspace.packet import Packet
from ctpolicy.testing.boundaries import boundary_packets
from ctpolicy.testing.documents import INTERFACES, Draw, dump, policy_documents

__all__ = ["boundary_packets", "dump", "packets", "packets_near", "policies", "policy_documents"]


def policies() -> st.SearchStrategy[Policy]:
    """A valid policy."""
    return policy_documents().map(lambda document: load_text(dump(document)))


@st.composite
def packets(draw: Draw) -> Packet:
    """Any packet that a host can meet."""
    path = draw(st.sampled_from(Path))
    family = draw(st.sampled_from(Family))
    number = draw(st.sampled_from(sorted(PROTOCOL_NAMES)) | st.integers(0, 255))
    is_no_transport = family is Family.IPV6 and number in IPV6_EXTENSION_HEADERS
    protocol = PROTOCOL_NUMBERS["udp"] if is_no_transport else number
    port = st.integers(0, 65535) if protocol in PROTOCOLS_WITH_PORTS else st.none()
    address = st.ip_addresses(v=4 if family is Family.IPV4 else 6)
    interface = draw(st.sampled_from(("", *INTERFACES, *([LOOPBACK] if path is Path.OUT else []))))
    return Packet(path, protocol, draw(address), draw(address), draw(port), draw(port), interface)


def packets_near(policy: Policy) -> st.SearchStrategy[Packet]:
    """Packets on, just inside and just outside of what a policy names."""
    return st.integers(0, 2**32 - 1).map(lambda seed: boundary_packets(policy, Random(seed), 1)[0])  # noqa: S311
