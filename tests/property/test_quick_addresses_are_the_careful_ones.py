"""Law: what the fast path for addresses takes, `ipaddress` takes too, and it means the same."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from ctpolicy.language.addresses import _carefully, _quickly, parse_addresses
from ctpolicy.packetspace.fields import Family

NEARLY = st.text(alphabet="0123456789abcf.:/-% ", min_size=1, max_size=24)
NETWORKS = st.one_of(
    st.builds(ipaddress.IPv4Network, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), st.just(False)),
    st.builds(ipaddress.IPv6Network, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)), st.just(False)),
)


@given(NEARLY)
@example("010.0.0.1")
@example("10.1")
@example("1.2.3.4/08")
@example("::ffff:1.2.3.4")
@example("1:2:3:4:5:6:7::")
@example("::1%1")
@example("0x1.2.3.4")
@example("1.2.3.4 ")
@example("10.0.0.1/8")
@example("10.0.0.1-10.0.0.9")
@example("10.0.0.9-10.0.0.1")
@example("10.0.0.0-10.0.0.0/32")
@example("::-1.2.3.4")
def test_quick_implies_careful(text: str) -> None:
    quick = _quickly(text)
    if quick is not None:
        assert quick == _carefully(text)


@given(NETWORKS)
def test_every_prefix_is_the_interval_of_its_addresses(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    family = Family.IPV4 if network.version == 4 else Family.IPV6
    expected = (family, (int(network.network_address), int(network.broadcast_address)))
    assert parse_addresses(str(network)) == _carefully(str(network)) == expected
    assert parse_addresses(f"{network.network_address}-{network.broadcast_address}") == expected
