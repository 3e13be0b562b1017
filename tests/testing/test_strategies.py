"""The strategies reach the whole language, and nothing that is not a policy or a packet."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.language.presets import PRESETS
from ctpolicy.meaning import Meaning
from ctpolicy.packetspace.packet import Packet, parse_packet
from ctpolicy.testing.strategies import dump, packets, packets_near, policies, policy_documents

KINDS = {"overlay", "host-service", "host-client", "forward", "ports", "match"}
KEYS = {"peers", "local", "clients", "servers", "interfaces", "paths", "families", "name", "acknowledge"}
MATCH_KEYS = {
    "protocol",
    "source",
    "destination",
    "source-ports",
    "destination-ports",
    "paths",
    "interfaces",
    "both-ways",
}


def test_the_whole_language_is_reached() -> None:
    parts: set[str] = set()
    used: dict[str, set[str]] = {"bypass": set(), "track": set()}
    in_match: set[str] = set()
    presets: set[str] = set()
    sizes: list[int] = []

    @settings(max_examples=200, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(policy_documents())
    def look(document: dict[str, Any]) -> None:
        parts.update(document)
        sizes.append(len(document.get("bypass", ())))
        for part, keys in used.items():
            for entry in document.get(part, ()):
                keys.update(entry)
                in_match.update(entry.get("match", ()))
                if isinstance(entry.get("overlay"), str):
                    presets.add(entry["overlay"])

    look()
    assert parts >= {"apiVersion", "name", "description", "groups", "bypass", "track", "protect"}
    assert used["bypass"] >= KINDS | KEYS
    assert used["track"] >= KINDS
    assert in_match == MATCH_KEYS
    assert presets <= set(PRESETS)
    assert len(presets) > len(PRESETS) // 2  # each is one of nine, so any one may be missed by chance
    assert min(sizes) == 0
    assert max(sizes) > 20


@given(policy_documents())
def test_every_document_is_a_policy_with_all_its_entries(document: dict[str, Any]) -> None:
    policy = load_text(dump(document))
    names = {entry["name"] for part in ("bypass", "track") for entry in document.get(part, ())}
    assert {entry.name for entry in policy.entries()} == names


@given(packets())
def test_every_packet_can_be_written_down(packet: Packet) -> None:
    assert parse_packet(str(packet)) == packet


@given(policies().filter(lambda policy: bool(policy.bypass) and not policy.track), st.data())
def test_packets_near_a_policy_are_decided(policy: Policy, data: st.DataObject) -> None:
    packet = data.draw(packets_near(policy))
    decision = Meaning.of(policy).decide(packet)
    assert decision.untracked == bool(decision.bypassed_by)


def test_packets_near_a_policy_are_often_in_it() -> None:
    answers: list[bool] = []

    @settings(max_examples=200, database=None, phases=[Phase.generate])
    @given(packets_near(load_text("{apiVersion: ctpolicy/v1, name: one, bypass: [{name: dns, ports: udp/53}]}")))
    def look(packet: Packet) -> None:
        answers.append(53 in (packet.source_port, packet.destination_port) and packet.protocol == 17)

    look()
    assert 0.2 < sum(answers) / len(answers) < 0.95
