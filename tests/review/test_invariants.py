"""Invariants held against policies: what holds, what breaks them and where, and what waivers make of it."""

from __future__ import annotations

from datetime import date

import pytest

from ctpolicy.language.invariants import load_invariants
from ctpolicy.language.load import read_for_review
from ctpolicy.language.rules import Invariants
from ctpolicy.language.source import Source
from ctpolicy.meaning import decide
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.review.invariants import check_invariants, sensitive_space
from ctpolicy.review.review import Check, Level, Result, Subject
from ctpolicy.review.spaces import Spaces

TODAY = date(2026, 11, 23)

POLICY = """bypass:
  - {name: metrics, host-service: tcp/9100}
  - {name: jump-host, host-service: tcp/22, peers: 10.0.0.7, acknowledge: filtered on the switch}
  - {name: vxlan, overlay: vxlan, peers: 192.168.7.0/25}
track:
  - {name: bastion, match: {source: 10.0.0.9, paths: [in]}}
"""
NEVER = "never-bypass: {match: {destination-ports: tcp/22, paths: [in]}}"


def invariants(rule: str, *waivers: str, rest: str = "") -> Invariants:
    """One invariant, and waivers of it but for who owns them and why."""
    granted = "".join(
        f"  - {{invariant: it, owner: network-team, reason: migration, {waiver}}}\n" for waiver in waivers
    )
    text = f"apiVersion: ctpolicy/invariants-v1\nname: tested\n{rest}invariants:\n  - name: it\n    {rule}\n"
    return load_invariants([Source("owned.yaml", text + (f"waivers:\n{granted}" if granted else ""))])


def checked(rule: str, *waivers: str, policy: str = POLICY, rest: str = "", today: date = TODAY) -> Check:
    """What comes of one invariant."""
    read = read_for_review([Source("policy.yaml", f"apiVersion: ctpolicy/v1\nname: tested\n{policy}")])
    assert read.policy is not None, read.mistakes
    (check,) = check_invariants(read.policy, invariants(rule, *waivers, rest=rest), today, read.places)
    assert (check.subject, check.name) == (Subject.INVARIANTS, "it")
    assert any(remark.level is not Level.NOTE for remark in check.remarks) == (check.result is Result.BROKEN)
    for remark in check.remarks:
        assert remark.place is not None
        if remark.witness is not None:
            wanted = "wants bypassed" not in remark.message
            assert decide(read.policy, remark.witness).untracked is wanted
    return check


def told(check: Check) -> list[tuple[str, str, str]]:
    """Code, place and message of each remark."""
    return [(remark.code, str(remark.place), remark.message) for remark in check.remarks]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            "never-bypass: {match: {protocol: tcp, destination-ports: 9100, source: 10.0.0.9, paths: [in]}}",
            "none is bypassed of: in tcp 10.0.0.9 -> any:9100",
        ),
        (
            "always-bypass: {overlay: vxlan, peers: 192.168.7.64/26}",
            "all are bypassed of: in udp 192.168.7.64/26 -> any:4789; out udp any -> [192.168.7.64/26]:4789",
        ),
        (
            "only-bypass-within: [{overlay: vxlan}, {ports: [tcp/22, tcp/9100]}]",
            "nothing is bypassed but: in,out udp any -> any:4789; in,forward,out tcp any:22,9100 -> any; "
            "in,forward,out tcp any -> any:22,9100",
        ),
        ("at-most-entries: 3", "3 of at most 3"),
        ("at-most-entries: {limit: 2, meeting: {host-service: tcp/22}}", "2 of at most 2"),
        ("no-acknowledged: {ports: udp/53}", "no entry is acknowledged"),
    ],
)
def test_what_holds_is_held(rule: str, told: str) -> None:
    check = checked(rule)
    assert (check.result, check.told, check.remarks) == (Result.HELD, told, ())


def test_what_must_never_be_bypassed_and_is() -> None:
    check = checked(NEVER + "\n    description: the bastions are stateful")
    assert check.result is Result.BROKEN
    assert check.told == "broken by jump-host"
    assert told(check) == [
        (
            "RV003",
            "policy.yaml:5:12",
            "`jump-host` bypasses what `it` never lets bypass: in tcp 10.0.0.7 -> any:22",
        )
    ]
    (remark,) = check.remarks
    assert (remark.entry, remark.level) == ("jump-host", Level.ERROR)
    assert str(remark.witness).startswith("in tcp 10.0.0.7:")
    assert "`it` (owned.yaml:4:11) is there because: the bastions are stateful" in remark.remedy


def test_a_track_entry_keeps_what_must_never_be_bypassed() -> None:
    assert checked(NEVER, policy=POLICY + "  - {name: ssh, host-service: tcp/22}\n").result is Result.HELD


def test_what_must_be_bypassed_and_is_in_no_entry() -> None:
    check = checked(
        "always-bypass: {match: {protocol: udp, destination-ports: 4789, source: 192.168.7.0/24, paths: [in]}}"
    )
    assert (check.result, check.told) == (Result.BROKEN, "broken by what no entry bypasses")
    assert told(check) == [
        ("RV003", "owned.yaml:4:11", "no entry bypasses what `it` wants bypassed: in udp 192.168.7.128/25 -> any:4789")
    ]
    assert check.remarks[0].entry == ""


def test_what_must_be_bypassed_and_is_kept_tracked() -> None:
    check = checked(
        "always-bypass: {match: {protocol: tcp, destination-ports: 9100, source: 10.0.0.8/29, paths: [in]}}"
    )
    assert (check.result, check.told) == (Result.BROKEN, "broken by bastion")
    assert told(check) == [
        ("RV003", "policy.yaml:8:12", "`bastion` keeps tracked what `it` wants bypassed: in tcp 10.0.0.9 -> any:9100")
    ]
    assert str(check.remarks[0].witness) == "in tcp 10.0.0.9:40000 -> 192.0.2.1:9100"


def test_more_is_bypassed_than_may_be() -> None:
    rule = "only-bypass-within: [{overlay: vxlan}, {ports: tcp/9100, families: [ipv4]}]"
    check = checked(
        rule, policy="bypass:\n  - {name: vxlan, overlay: vxlan}\n  - {name: metrics, host-service: tcp/9100}\n"
    )
    assert check.told == "broken by metrics"
    assert told(check)[0][1:] == (
        "policy.yaml:5:12",
        "`metrics` bypasses more than `it` allows: in ipv6 tcp any -> any:9100; out ipv6 tcp any:9100 -> any; "
        "out ipv6 tcp any -> any:9100 dev lo",
    )


def test_too_many_entries() -> None:
    check = checked("at-most-entries: 2")
    assert (check.result, check.told) == (Result.BROKEN, "3 of at most 2")
    assert told(check) == [
        (
            "RV003",
            "owned.yaml:4:11",
            "3 bypass entries count for `it`, which allows 2: `jump-host`, `metrics`, `vxlan`",
        )
    ]


def test_too_many_entries_that_meet_packets() -> None:
    check = checked("at-most-entries: {limit: 0, meeting: {overlay: vxlan}}")
    assert [message for *_, message in told(check)] == [
        "1 bypass entry counts for `it`, which allows 0: `vxlan`",
    ]


def test_entries_that_share_only_a_port_with_packets_do_not_meet_them() -> None:
    assert checked("at-most-entries: {limit: 0, meeting: {overlay: vxlan, peers: 10.0.0.0/8}}").told == "0 of at most 0"
    assert (
        checked("at-most-entries: {limit: 0, meeting: {overlay: vxlan, peers: 192.0.0.0/8}}").told == "1 of at most 0"
    )


def test_what_is_acknowledged() -> None:
    check = checked("no-acknowledged: true")
    assert told(check)[0][1] == "policy.yaml:5:12"
    assert told(check)[0][2].startswith(
        "`jump-host` is acknowledged, and `it` allows nothing of the kind: in tcp 10.0.0.7"
    )
    meeting = "{match: {destination-ports: tcp/22, source: 10.0.0.8, paths: [in]}}"
    assert checked(f"no-acknowledged: {meeting}").result is Result.HELD


def test_a_few_of_many_entries_are_told() -> None:
    entries = "".join(f"  - {{name: e{number}, host-service: tcp/{2000 + number}}}\n" for number in range(20))
    check = checked("never-bypass: {ports: tcp/1000-3000}", policy=f"bypass:\n{entries}")
    assert check.told == "broken by e0, e1, e2, e3, e4 and others"
    assert len(check.remarks) == 5
    for rule in ("no-acknowledged: true", "at-most-entries: 3"):
        acknowledged = entries.replace("}\n", ", acknowledge: because}\n")
        assert checked(rule, policy=f"bypass:\n{acknowledged}").result is Result.BROKEN


def test_an_invariant_that_is_too_large_is_given_up_and_not_held() -> None:
    read = read_for_review([Source("policy.yaml", f"apiVersion: ctpolicy/v1\nname: tested\n{POLICY}")])
    assert read.policy is not None
    several = load_invariants(
        [
            Source(
                "owned.yaml",
                "apiVersion: ctpolicy/invariants-v1\nname: x\ninvariants:\n"
                "  - {name: a, never-bypass: {ports: tcp/1-2}}\n  - {name: b, at-most-entries: 3}\n",
            )
        ]
    )
    first, second = check_invariants(read.policy, several, TODAY, read.places, most=10)
    assert (first.result, first.told) == (Result.BROKEN, "given up")
    assert [(remark.code, remark.level) for remark in first.remarks] == [("RV012", Level.WARNING)]
    assert second.result is Result.HELD


def test_entries_are_not_asked_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctpolicy.review.invariants.MOST_ASKED", 2)
    assert checked("at-most-entries: 3").told == "given up"


def test_spaces_that_are_known_give_the_same_answers() -> None:
    read = read_for_review([Source("policy.yaml", f"apiVersion: ctpolicy/v1\nname: tested\n{POLICY}")])
    assert read.policy is not None
    spaces = Spaces.of(read.policy)
    assert check_invariants(read.policy, invariants(NEVER), TODAY, spaces=spaces) == check_invariants(
        read.policy, invariants(NEVER), TODAY
    )


# Waivers.

UNTIL = "expires: 2027-01-31"


@pytest.mark.parametrize(
    "what",
    [
        UNTIL,
        f"entries: [jump-host], {UNTIL}",
        f"entries: [jump-host, gone], packets: {{match: {{source: 10.0.0.0/24}}}}, {UNTIL}",
        f"packets: {{match: {{source: 10.0.0.7}}}}, {UNTIL}",
        "expires: 2026-11-23",
    ],
)
def test_what_is_waived_is_told_with_who_and_why_and_until_when(what: str) -> None:
    check = checked(NEVER, what)
    assert check.result is Result.WAIVED
    assert check.told == f"waived by network-team until {what.rpartition(' ')[2]}: migration"
    assert check.remarks == ()


def test_a_waiver_is_good_through_its_last_day_and_no_longer() -> None:
    what = f"entries: [jump-host], {UNTIL}"
    assert checked(NEVER, what, today=date(2027, 1, 31)).result is Result.WAIVED
    late = checked(NEVER, what, today=date(2027, 2, 1))
    assert late.result is Result.BROKEN
    assert told(late) == [
        *told(checked(NEVER)),
        ("RV004", "owned.yaml:7:17", "the waiver of `it` for network-team (migration) expired on 2027-01-31"),
    ]


def test_two_waivers_are_enough_where_one_is_not() -> None:
    rule = "never-bypass: {match: {destination-ports: [tcp/22, tcp/9100], paths: [in]}}"
    jump, metrics = f"entries: [jump-host], {UNTIL}", f"entries: [metrics], {UNTIL}"
    assert checked(rule, jump).told == (
        "broken by metrics; the rest is waived by network-team until 2027-01-31: migration"
    )
    assert [remark.entry for remark in checked(rule, metrics).remarks] == ["jump-host"]
    assert checked(rule, jump, metrics).result is Result.WAIVED


def test_packets_that_a_waiver_does_not_name_break_the_invariant() -> None:
    rule = "never-bypass: {match: {destination-ports: tcp/9100, paths: [in]}}"
    check = checked(rule, f"entries: [metrics], packets: {{match: {{source: 0.0.0.0/1}}}}, {UNTIL}")
    assert check.result is Result.BROKEN
    (remark,) = check.remarks
    assert remark.witness is not None
    assert remark.witness not in sensitive_space(invariants(rule, rest="sensitive: {match: {source: 0.0.0.0/1}}\n"))
    assert ":9100" in str(remark.witness)


OVERLAPPING = """
bypass:
  - {name: one, host-service: tcp/9100, peers: 10.0.0.0/24}
  - {name: other, host-service: tcp/9100, peers: 10.0.0.128/25}
"""


def test_another_entry_that_bypasses_the_same_is_not_waived() -> None:
    rule = "never-bypass: {host-service: tcp/9100}"
    check = checked(rule, f"entries: [one], {UNTIL}", policy=OVERLAPPING)
    assert check.result is Result.BROKEN
    assert [remark.entry for remark in check.remarks] == ["other"]
    assert checked(rule, f"entries: [one, other], {UNTIL}", policy=OVERLAPPING).result is Result.WAIVED
    assert (
        checked(rule, f"entries: [one], {UNTIL}", f"entries: [other], {UNTIL}", policy=OVERLAPPING).result
        is Result.WAIVED
    )


def test_what_no_entry_bypasses_is_waived_by_packets_alone() -> None:
    rule = "always-bypass: {match: {protocol: udp, destination-ports: 4789, source: 192.168.7.0/24, paths: [in]}}"
    assert checked(rule, f"entries: [vxlan], {UNTIL}").result is Result.BROKEN
    assert checked(rule, f"packets: {{match: {{source: 192.168.7.128/25}}}}, {UNTIL}").result is Result.WAIVED
    assert checked(rule, f"packets: {{match: {{source: 192.168.7.128/26}}}}, {UNTIL}").result is Result.BROKEN


def test_a_track_entry_that_keeps_what_must_be_bypassed_is_waived_by_name() -> None:
    rule = "always-bypass: {match: {protocol: tcp, destination-ports: 9100, source: 10.0.0.8/29, paths: [in]}}"
    assert checked(rule, f"entries: [bastion], {UNTIL}").result is Result.WAIVED
    assert checked(rule, f"entries: [metrics], {UNTIL}").result is Result.BROKEN


def test_entries_that_are_waived_do_not_count() -> None:
    assert checked("at-most-entries: 2", f"entries: [vxlan], {UNTIL}").result is Result.WAIVED
    assert checked("at-most-entries: 1", f"entries: [vxlan], {UNTIL}").told == (
        "2 of at most 1; the rest is waived by network-team until 2027-01-31: migration"
    )
    assert checked("at-most-entries: 2", f"packets: {{overlay: vxlan}}, {UNTIL}").result is Result.WAIVED
    assert (
        checked("at-most-entries: 2", f"packets: {{overlay: vxlan, peers: 10.0.0.1}}, {UNTIL}").result is Result.BROKEN
    )
    assert checked("no-acknowledged: true", f"entries: [jump-host], {UNTIL}").result is Result.WAIVED


@pytest.mark.parametrize(
    ("what", "today", "said"),
    [
        (f"entries: [gone], {UNTIL}", TODAY, "the waiver of `it` of network-team until 2027-01-31 waives nothing here"),
        (
            f"packets: {{overlay: gre}}, {UNTIL}",
            date(2027, 2, 1),
            "the waiver of `it` expired on 2027-01-31, and waives nothing here",
        ),
    ],
)
def test_that_a_waiver_waives_nothing_here_is_a_note_and_no_failure(what: str, today: date, said: str) -> None:
    """The same invariants are held against many policies."""
    held = checked("at-most-entries: 3", what, today=today)
    assert held.result is Result.HELD
    assert [(remark.code, remark.level, remark.message) for remark in held.remarks] == [("RV004", Level.NOTE, said)]
    broken = checked(NEVER, what, today=today)
    assert [remark.message for remark in broken.remarks[1:]] == [said]


def test_an_expired_waiver_beside_one_that_holds_is_a_note() -> None:
    check = checked(NEVER, UNTIL, "expires: 2026-01-31")
    assert check.result is Result.WAIVED
    assert [(remark.code, remark.level) for remark in check.remarks] == [("RV004", Level.NOTE)]


def test_sensitive_packets_are_those_of_all_that_is_listed() -> None:
    listed = "sensitive: [{match: {destination: 172.30.0.0/16, both-ways: true}}, {overlay: vxlan}]\n"
    space = sensitive_space(invariants(NEVER, rest=listed))
    assert parse_packet("in tcp 10.0.0.1:1 -> 172.30.0.1:443") in space
    assert parse_packet("out tcp 172.30.0.1:443 -> 10.0.0.1:1") in space
    assert parse_packet("in udp 10.0.0.1:1 -> 10.0.0.2:4789") in space
    assert parse_packet("in udp 10.0.0.1:1 -> 10.0.0.2:4788") not in space
    assert sensitive_space(invariants(NEVER)) == PacketSpace.none()
