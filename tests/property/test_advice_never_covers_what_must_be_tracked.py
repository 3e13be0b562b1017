"""Law: no packet of an entry that must stay tracked is left untracked by an entry that is advised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.advice import Advice, Verdict, advise
from ctpolicy.conntrack.entry import Entry, Status, Tuple, address
from ctpolicy.conntrack.inventory import take_inventory
from ctpolicy.importing.naming import named
from ctpolicy.importing.text import policy_text
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Overlay, Policy
from ctpolicy.meaning import Meaning
from ctpolicy.packetspace.fields import LOOPBACK, PROTOCOLS_WITH_PORTS, Family, Path
from ctpolicy.packetspace.packet import Packet, is_loopback

HERE: Final = ("10.0.0.1", "192.0.2.1")
ADDRESSES: Final = HostAddresses.of(HERE)
HOSTS: Final = [
    int.from_bytes(bytes(map(int, text.split("."))))
    for text in (*HERE, "10.0.0.2", "10.0.0.3", "172.17.0.2", "172.17.0.3", "198.51.100.7", "224.0.0.251", "127.0.0.1")
]
LOCAL: Final = [HOSTS[0], HOSTS[1], HOSTS[-1]]
SOURCES: Final = [one for one in HOSTS if one >> 28 != 14]
PORTS: Final = [22, 53, 80, 443, 2152, 4789, 8080, 51820, 33000, 40001]
PROTOCOLS: Final = [1, 6, 6, 17, 17, 17, 47, 50, 132]

seeds = st.integers(0, 2**32 - 1)


def entry(random: Random) -> Entry:
    """An entry of a small world, in which uses meet each other all the time; every third must stay tracked."""
    protocol = random.choice(PROTOCOLS)
    has_ports = protocol in PROTOCOLS_WITH_PORTS
    source, destination = random.choice(SOURCES), random.choice(HOSTS)
    ports = [random.choice(PORTS) if has_ports else None for _ in range(4)]
    original = Tuple(source, destination, protocol, ports[0], ports[1])
    reply = Tuple(destination, source, protocol, ports[1], ports[0])
    status = random.choice([Status.CONFIRMED, Status.CONFIRMED | Status.SEEN_REPLY])
    made = Entry(Family.IPV4, original, reply, status)
    match random.randrange(18):
        case 0 | 1:
            return made._replace(reply=reply._replace(source=random.choice(HOSTS), source_port=ports[2]))
        case 2 | 3:
            return made._replace(reply=reply._replace(destination=random.choice(HOSTS), destination_port=ports[3]))
        case 4:
            return made._replace(zone=7)
        case 5:
            return made._replace(helper="ftp")
        case 6:
            return made._replace(status=status | Status.OFFLOAD)
    return made


def must_stay(one: Entry) -> bool:
    return one.is_translated or one.has_a_zone or one.belongs_to_a_helper or one.is_offloaded


def packets(one: Entry) -> Iterator[Packet]:
    """The packets of both directions, where tracking is decided, on each kind of interface."""
    local = ADDRESSES.local[Family.IPV4]
    for way in (one.original, one.reply):
        taken = way.destination in ADDRESSES.taken[Family.IPV4]
        path = Path.OUT if way.source in local else Path.IN if taken else Path.FORWARD
        on_lo = way.source in local and way.destination in local
        ends = address(Family.IPV4, way.source), address(Family.IPV4, way.destination)
        packet = Packet(path, way.protocol, *ends, way.source_port, way.destination_port, LOOPBACK if on_lo else "eth0")
        yield packet
        if not on_lo and not is_loopback(ends[1]):
            yield replace(packet, interface="")


def advised(table: list[Entry], *, is_guess: bool = False) -> tuple[Advice, Policy]:
    """The advice for a table, and a policy of all that is not refused, read back from its text."""
    found = advise(take_inventory(table, ADDRESSES, is_guess=is_guess))
    entries = [one.entry for one in found.candidates if one.verdict is not Verdict.REFUSED]
    text = policy_text("advised", named(entries, "", set()), [], [])
    return found, load_text(text, "advised.yaml") if entries else Policy("advised")


@given(seeds, st.integers(1, 120), st.booleans())
def test_no_packet_that_must_stay_tracked_is_bypassed(seed: int, size: int, is_guess: bool) -> None:
    random = Random(seed)
    table = [entry(random) for _ in range(size)]
    _, policy = advised(table, is_guess=is_guess)
    meaning = Meaning.of(policy)
    for one in filter(must_stay, table):
        for packet in packets(one):
            assert not meaning.decide(packet).untracked, (one, packet)


@given(seeds, st.integers(1, 60))
def test_an_entry_that_is_safe_saves_as_many_as_it_says(seed: int, size: int) -> None:
    random = Random(seed)
    made = (entry(random) for _ in range(size))
    # What is sent to a group is answered from nowhere, so that the other direction of such an entry is on no path.
    table = [one for one in made if not must_stay(one) and one.original.destination in SOURCES]
    for one in advised(table)[0].candidates:
        assert (one.verdict is Verdict.REFUSED) == any("tcp/22" in reason for reason in one.reasons), one
        meaning = Meaning.of(Policy("one", (one.entry,)))
        if isinstance(one.entry, Overlay) and any(map(is_loopback_flow, table)):
            continue  # nobody tunnels to himself: which end is the peer is not told
        ways = 1 if isinstance(one.entry, Overlay) else 2
        saved = sum(sum(any(map(_untracked(meaning), way)) for way in both_ways(flow)) >= ways for flow in table)
        assert saved >= one.entries, one


def is_loopback_flow(one: Entry) -> bool:
    return {one.original.source, one.original.destination} <= set(LOCAL)


def _untracked(meaning: Meaning) -> Callable[[Packet], bool]:
    return lambda packet: meaning.decide(packet).untracked


def both_ways(one: Entry) -> Iterator[list[Packet]]:
    """The packets of each direction by itself."""
    for way in (one.original, one.reply):
        yield list(packets(one._replace(original=way, reply=way)))


@given(seeds)
def test_the_law_can_fail(seed: int) -> None:
    """The packets of a masqueraded flow's answers are those of a host client: the advice knows by them alone."""
    random = Random(seed)
    here, inside, outside = HOSTS[0], HOSTS[4], HOSTS[6]
    port = random.choice([53, 443])
    own = Tuple(here, outside, 17, 33000, port)
    plain = Entry(Family.IPV4, own, Tuple(outside, here, 17, port, 33000), Status.CONFIRMED | Status.SEEN_REPLY)
    assert advised([plain])[0].safe() != []
    masked = plain._replace(
        original=Tuple(inside, outside, 17, 40001, port), reply=Tuple(outside, here, 17, port, 40001)
    )
    assert advised([plain, masked])[0].safe() == []
    policy = advised([plain])[1]
    assert any(Meaning.of(policy).decide(packet).untracked for packet in packets(masked))
