"""What a review makes of the kernel's answers; a fake stands in for the kernel, which tests/kernel asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ctpolicy.iptables.ruleset import RawTables
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import decide
from ctpolicy.nftables.read import read_document
from ctpolicy.oracle.asking import Answer, Answers, IptablesQuestion, NftablesQuestion, NotAsked, Question, Refused
from ctpolicy.oracle.sendable import DEVICES, can_be_sent, devices_for
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.review import kernel, proofs
from ctpolicy.review.kernel import ask_kernel, packets_to_show
from ctpolicy.review.review import Check, Level, Result, Subject
from policies import METRICS, policy

POLICY = policy(METRICS)


def right(question: Question) -> Answers:
    """A kernel that does what the policy says, and lists rules as they were sent."""
    untracked = tuple(decide(POLICY, packet).untracked for packet in question.packets)
    if isinstance(question, IptablesQuestion):
        return Answers(question.tables, untracked)
    commands = json.loads(question.json)["nftables"][2:]  # behind those that remove what was there
    listing = json.dumps({"nftables": [command["add"] for command in commands]})
    return Answers((listing, listing), untracked)


def asked(answer: Callable[[Question], Answer], packets: int = 200) -> list[Check]:
    return ask_kernel(POLICY, packets, ask=answer)


def test_a_kernel_that_does_as_it_should_is_told_with_what_it_was_asked() -> None:
    checks = asked(right)
    assert [check.name for check in checks] == ["nftables", "iptables-legacy", "iptables-nft"]
    assert all(check.result is Result.HELD and check.subject is Subject.KERNEL for check in checks)
    assert all(check.told.startswith("200 packets, ") for check in checks)


def test_a_packet_that_fares_otherwise_is_the_witness() -> None:
    def wrong(question: Question) -> Answer:
        answers = right(question)
        return replace(answers, untracked=(not answers.untracked[0], *answers.untracked[1:]))

    first = packets_to_show(POLICY, 200)[0][0]
    for check in asked(wrong):
        (remark,) = check.remarks
        assert (check.result, remark.code, remark.level) == (Result.BROKEN, "RV007", Level.ERROR)
        assert remark.witness == first
        assert "1 of 200 packets" in remark.message


def test_many_that_fare_otherwise_are_a_few_remarks() -> None:
    def wrong(question: Question) -> Answer:
        answers = right(question)
        return replace(answers, untracked=tuple(not one for one in answers.untracked))

    assert {len(check.remarks) for check in asked(wrong)} == {3}


def test_rules_that_are_listed_otherwise_are_told() -> None:
    def wrong(question: Question) -> Answer:
        answers = right(question)
        nothing = ('{"nftables": []}',) * 2
        return replace(answers, listed=RawTables() if isinstance(question, IptablesQuestion) else nothing)

    for check in asked(wrong):
        assert check.result is Result.BROKEN
        assert "otherwise than they were sent" in check.remarks[0].message


def test_rules_that_are_refused_are_an_error() -> None:
    for check in asked(lambda _: Refused("no such thing")):
        assert (check.result, check.remarks[0].code) == (Result.BROKEN, "RV007")
        assert "no such thing" in check.remarks[0].message


def test_where_the_kernel_cannot_be_asked_the_reason_is_told() -> None:
    for check in asked(lambda _: NotAsked("no scratch network namespace can be had")):
        assert (check.result, check.told, check.remarks) == (
            Result.NOT_ASKED,
            "no scratch network namespace can be had",
            (),
        )


def test_what_is_too_many_for_iptables_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MOST_IN_IPTABLES", 2)
    assert [check.result for check in asked(right)] == [Result.HELD, Result.NOT_ASKED, Result.NOT_ASKED]


def test_what_iptables_has_no_words_for_is_not_asked() -> None:
    odd = policy('bypass:\n  - {name: odd, host-service: udp/53, interfaces: ["eth+"]}\n')
    checks = ask_kernel(odd, 10, ask=lambda _: NotAsked("not here"))
    assert [check.told.split(":")[0] for check in checks] == ["not here", "nothing is compiled", "nothing is compiled"]


def test_a_policy_that_is_too_large_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: Policy) -> Any:
        raise TooLargeError

    monkeypatch.setattr(kernel, "bypass_space", endless)
    (check,) = asked(right)
    assert (check.result, check.remarks[0].code, check.remarks[0].level) == (Result.BROKEN, "RV012", Level.WARNING)


def test_both_forms_of_a_table_are_asked_about() -> None:
    questions: list[Question] = []

    def ask(question: Question) -> Answer:
        questions.append(question)
        return NotAsked("not here")

    asked(ask)
    assert isinstance(questions[0], NftablesQuestion)
    assert questions[0].text.startswith("table inet ctpolicy")
    commands = json.loads(questions[0].json)["nftables"][2:]
    assert len(read_document({"nftables": [command["add"] for command in commands]})) == 1


def test_packets_are_shown_on_interfaces_that_the_policy_names() -> None:
    named = policy("bypass:\n  - {name: one, host-service: udp/53, interfaces: [fabric0]}\n")
    packets, devices = packets_to_show(named, 100)
    assert len(packets) == 100
    assert "fabric0" in devices
    assert any(packet.interface == "fabric0" and decide(named, packet).untracked for packet in packets)
    assert all(can_be_sent(packet, devices) for packet in packets)


def test_devices_are_few_and_can_be_made() -> None:
    names = ["eth0", "lo", "sit0", "all", "a/b", "UPPER", "x" * 15, *(f"fabric{n}" for n in range(20))]
    assert devices_for(names) == (*DEVICES, *(f"fabric{n}" for n in range(8)))
