"""What this team wants of its policy, held on packets that nobody thought of.

The invariants beside this file are proven of every packet; these tests say what they cannot: how packets belong
together, and what the rules on a host make of them.
"""

from dataclasses import replace
from ipaddress import IPv4Address

from hypothesis import assume, given
from hypothesis import strategies as st

from ctpolicy.packetspace.fields import Path
from ctpolicy.testing import entry_named, packets, packets_inside, packets_near, packets_outside, reverse_of

NODES = "192.168.7.0/24"
SERVICE = IPv4Address("172.30.0.10")
VXLAN = 4789


@given(packets(protocol="tcp", destination_port=22))
def test_ssh_is_never_bypassed(ctpolicy_space, packet):
    assert packet not in ctpolicy_space
    assert reverse_of(packet) not in ctpolicy_space


@given(st.data())
def test_what_is_bypassed_would_not_be_if_it_were_ssh(ctpolicy_policy, ctpolicy_space, data):
    packet = data.draw(packets_inside(ctpolicy_policy, protocol="tcp"))
    assert replace(packet, destination_port=22) not in ctpolicy_space
    assert replace(packet, source_port=22) not in ctpolicy_space


@given(st.data())
def test_what_is_bypassed_would_not_be_if_it_went_to_a_service(ctpolicy_policy, ctpolicy_space, data):
    packet = replace(data.draw(packets_inside(ctpolicy_policy, family="ipv4")), destination=SERVICE)
    assert packet not in ctpolicy_space
    assert reverse_of(packet) not in ctpolicy_space


@given(packets(path=["in", "out"], protocol="udp", source=NODES, destination=NODES, destination_port=VXLAN))
def test_every_node_reaches_every_node_by_vxlan_untracked(ctpolicy_space, packet):
    assert packet in ctpolicy_space


@given(st.data())
def test_what_is_only_passed_on_is_tracked(ctpolicy_policy, data):
    assert data.draw(packets_inside(ctpolicy_policy)).path is not Path.FORWARD


@given(st.data())
def test_reply_fares_as_its_request(ctpolicy_policy, ctpolicy_space, data):
    packet = data.draw(packets_near(ctpolicy_policy))
    assume(VXLAN not in (packet.source_port, packet.destination_port))  # a tunnel is not answered port for port
    assert (packet in ctpolicy_space) == (reverse_of(packet) in ctpolicy_space)


@given(st.data())
def test_scrapes_come_from_our_monitoring_alone(ctpolicy_policy, ctpolicy_space, data):
    scrapes = entry_named(ctpolicy_policy, "node-metrics")
    packet = data.draw(packets_outside(scrapes, protocol="tcp", destination_port=9100))
    assert packet not in ctpolicy_space


@given(st.data())
def test_rules_on_a_host_do_what_the_policy_says(ctpolicy_policy, ctpolicy_host, data):
    assert ctpolicy_host.untracked(data.draw(packets_inside(ctpolicy_policy)))
    assert not ctpolicy_host.untracked(data.draw(packets_outside(ctpolicy_policy)))
