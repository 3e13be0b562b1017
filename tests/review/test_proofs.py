"""A review's proofs: what they prove, what they leave unasked and say so, and what they give up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Policy
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.review import proofs
from ctpolicy.review.proofs import prove
from ctpolicy.review.review import Level, Result
from ctpolicy.testing.strategies import policies
from policies import policy

EXAMPLES = sorted((Path(__file__).parent.parent.parent / "examples").glob("*.yaml"))


def quietly(_: str) -> None:
    """Nobody waits."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_proven_for_every_backend(path: Path) -> None:
    said: list[str] = []
    checks = prove(load_files([path]), said.append)
    assert [check.name for check in checks] == ["nftables", "iptables with ipset", "iptables without ipset"]
    assert all(check.result is Result.HELD and check.told.startswith("equal, every packet") for check in checks)
    assert len(said) == 3


@settings(max_examples=10)
@given(policies())
def test_any_policy_is_proven(policy: Policy) -> None:
    assert {check.result for check in prove(policy, quietly)} == {Result.HELD}


def test_a_policy_of_nothing_is_proven() -> None:
    assert {check.result for check in prove(Policy("nothing"), quietly)} == {Result.HELD}


def test_what_iptables_has_no_words_for_is_told() -> None:
    checks = prove(policy('bypass:\n  - {name: odd, host-service: udp/53, interfaces: ["eth+"]}\n'), quietly)
    assert [check.result for check in checks] == [Result.HELD, Result.NOT_ASKED, Result.NOT_ASKED]
    assert "eth+" in checks[1].told


def test_many_addresses_are_not_asked_of_iptables_without_ipset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MOST_IN_IPTABLES", 10)
    peers = ", ".join(f"10.0.{n}.0/25" for n in range(20))
    checks = prove(policy(f"bypass:\n  - {{name: many, host-service: udp/53, peers: [{peers}]}}\n"), quietly)
    assert [check.result for check in checks] == [Result.HELD, Result.HELD, Result.NOT_ASKED]
    assert checks[2].told == "not proven: 21 services and lists of addresses, and 10 are followed of iptables"


def test_many_services_are_not_asked_of_iptables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MOST_IN_IPTABLES", 10)
    ports = ", ".join(f"udp/{2000 + 2 * n}" for n in range(11))
    checks = prove(policy(f"bypass:\n  - {{name: many, ports: [{ports}]}}\n"), quietly)
    assert [check.result for check in checks] == [Result.HELD, Result.NOT_ASKED, Result.NOT_ASKED]


def test_a_proof_that_takes_too_much_work_is_given_up_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: Any) -> Any:
        raise TooLargeError

    monkeypatch.setattr(proofs, "bypass_space", endless)
    for check in prove(policy("bypass:\n  - {name: vxlan, overlay: vxlan}\n"), quietly):
        assert check.result is Result.BROKEN
        assert [(remark.code, remark.level) for remark in check.remarks] == [("RV012", Level.WARNING)]


def test_the_work_of_a_proof_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MOST_WORK", 3)
    (check, *_) = prove(policy("bypass:\n  - {name: vxlan, overlay: vxlan, peers: [10.99.1.7, 10.98.3.1]}\n"), quietly)
    assert check.told == "given up"
