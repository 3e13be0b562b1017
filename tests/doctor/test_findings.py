"""Each finding from the facts that it is made of: what is wrong comes with what to do, what was not seen is unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.conntrack.facts import Statistics, TableFacts
from ctpolicy.doctor.examine import examine
from ctpolicy.doctor.facts import WORKS, Directory, Facts, Log, LogLine, Namespaces, Presence, Trial, Unit, Unseen
from ctpolicy.doctor.finding import Finding, Severity, has_fault
from ctpolicy.doctor.machine import Ran
from ctpolicy.doctor.report import finding_lines, findings_json
from ctpolicy.language.schema import shipped_schema
from doctor.fake_machine import HERE, NOW, OWN, TABLE, FakeMachine, facts_of

FULL = "nf_conntrack: nf_conntrack: table full, dropping packet"


def told(facts: Facts, code: str) -> Finding:
    """The one finding of this code."""
    (found,) = [finding for finding in examine(facts) if finding.code == code]
    return found


def with_table(**changes: Any) -> Facts:
    return facts_of(FakeMachine(facts=replace(TABLE, **changes)))


def with_log(*lines: tuple[float, str]) -> Facts:
    return facts_of(FakeMachine(log=Log(tuple(LogLine(NOW - ago, text) for ago, text in lines), "the kernel's log")))


def test_on_a_host_where_all_is_well_nothing_else_is_said() -> None:
    assert {
        finding.code: finding.message for finding in examine(facts_of()) if finding.severity is not Severity.FINE
    } == {
        "conntrack-active": "No rule that is here now asks for conntrack, but it has entries or has counted something: "
        "rules that did are gone, or something that has no rules does (a program of BPF, a module)."
    }


def test_every_fault_and_warning_says_what_to_do() -> None:
    sick = FakeMachine(
        tried=dict.fromkeys(Trial, "it is not there"),
        versions={"nft": "nftables v0.9.8", "iptables-nft": "iptables v1.6.1"},
        ruleset='{"nftables": [{"metainfo": {"version": "0.9.8"}}]}',
        facts=replace(
            TABLE, entries=262_000, buckets=4096, statistics=Statistics(drop=4, insert_failed=2), settings={}
        ),
        log=Log((LogLine(NOW - 5, FULL),), "the kernel's log"),
        kernel="4.18.0-553.el8",
    )
    own = replace(
        OWN,
        state=Directory(0, 0o755),
        unit=None,
        unfinished=("Change 7 was interrupted",),
        confirmed=("iptables-nft",),
        in_force={"nftables": ("the chain `output` has no hook",), "iptables-legacy": ()},
    )
    found = examine(facts_of(sick, own=own))
    assert has_fault(found)
    for finding in found:
        if finding.severity in {Severity.FAULT, Severity.WARNING}:
            assert finding.advice or finding.commands, finding
    faults = {finding.code for finding in found if finding.severity is Severity.FAULT}
    assert faults == {
        *("kernel-nf-tables", "kernel-nft-notrack", "kernel-nft-fib", "libnftables", "table-fill", "log-table-full"),
        *("in-force", "gone", "state"),
    }


def test_json_is_as_the_schema_says_and_nothing_in_it_reaches_a_terminal_raw() -> None:
    facts = facts_of(FakeMachine(versions={"nft": "nftables v1.0.6 \x1b[31m"}))
    Draft202012Validator(shipped_schema("doctor")).validate(findings_json(examine(facts), facts.release, ""))
    assert "\x1b" in "\n".join(finding_lines(examine(facts))), "escaping is for whoever prints"


@pytest.mark.parametrize(
    ("release", "severity"),
    [("6.18.44-fc", Severity.FINE), ("5.2.0", Severity.FINE), ("4.18.0-553.el8", Severity.WARNING)],
)
def test_an_old_kernel_is_a_warning(release: str, severity: Severity) -> None:
    assert told(facts_of(FakeMachine(kernel=release)), "kernel-version").severity is severity


@pytest.mark.parametrize(
    ("trial", "severity", "command"),
    [
        (Trial.NF_TABLES, Severity.FAULT, "modprobe -a nf_tables"),
        (Trial.NFT_NOTRACK, Severity.FAULT, "modprobe -a nft_ct"),
        (Trial.NFT_FIB, Severity.FAULT, "modprobe -a nft_fib nft_fib_inet"),
        (Trial.CONNTRACK, Severity.WARNING, "modprobe -a nf_conntrack"),
        (Trial.LEGACY_IPV6, Severity.WARNING, "modprobe -a ip6table_raw xt_CT"),
        (Trial.IPSET, Severity.WARNING, "modprobe -a ip_set"),
    ],
)
def test_what_does_not_work_here_is_told_with_its_module(trial: Trial, severity: Severity, command: str) -> None:
    machine = FakeMachine(tried={**dict.fromkeys(Trial, WORKS), trial: "the kernel refused"})
    found = told(facts_of(machine), f"kernel-{trial.name.lower().replace('_', '-')}")
    assert found.severity is severity
    assert "the kernel refused" in found.message
    assert command in found.commands


def test_what_was_not_tried_is_unknown_and_names_of_modules_are_no_answer() -> None:
    machine = FakeMachine(tried=Unseen("it takes root"), modules={"nf_conntrack": Presence.BUILT_IN})
    found = told(facts_of(machine), "kernel-untried")
    assert (found.severity, found.details) == (Severity.UNKNOWN, ("nf_conntrack is built in",))


@pytest.mark.parametrize(
    ("version", "severity"), [("1.0.6", Severity.FINE), ("1.0.2", Severity.FINE), ("0.9.8", Severity.FAULT)]
)
def test_libnftables_with_known_faults_is_a_fault(version: str, severity: Severity) -> None:
    machine = FakeMachine(ruleset=f'{{"nftables": [{{"metainfo": {{"version": "{version}"}}}}]}}')
    assert told(facts_of(machine), "libnftables").severity is severity


def test_a_missing_library_is_a_fault_and_a_missing_tool_is_none() -> None:
    machine = FakeMachine(ruleset=Unseen("libnftables cannot be used (no such file). Install it."), versions={})
    assert told(facts_of(machine), "libnftables").severity is Severity.FAULT
    missing = told(facts_of(machine), "tool-ipset")
    assert (missing.severity, missing.commands) == (Severity.FINE, ("apt-get install ipset",))


@pytest.mark.parametrize(
    ("buckets", "severity"), [(262_144, Severity.FINE), (65_536, Severity.FINE), (16_384, Severity.WARNING)]
)
def test_long_chains_are_a_warning(buckets: int, severity: Severity) -> None:
    found = told(with_table(buckets=buckets), "conntrack-buckets")
    assert found.severity is severity
    assert severity is Severity.FINE or found.commands == (
        "nsenter -t 1 -n sysctl -w net.netfilter.nf_conntrack_buckets=262144",
    )


def test_a_table_without_a_limit_is_a_warning() -> None:
    assert told(with_table(maximum=0), "conntrack-max").severity is Severity.WARNING


def test_what_a_namespace_hides_is_unknown() -> None:
    facts = with_table(maximum=None, buckets=None)
    assert told(facts, "conntrack-buckets").severity is Severity.UNKNOWN
    assert told(facts, "table-fill").severity is Severity.UNKNOWN


def test_tcp_loose_decides_what_becomes_of_connections_that_are_tracked_again() -> None:
    assert told(with_table(settings={"tcp_loose": 1}), "tcp-loose").severity is Severity.FINE
    strict = told(replace(with_table(settings={"tcp_loose": 0}), namespace="/run/netns/a b"), "tcp-loose")
    assert strict.severity is Severity.WARNING
    assert strict.commands == ("nsenter --net='/run/netns/a b' sysctl -w net.netfilter.nf_conntrack_tcp_loose=1",)


@pytest.mark.parametrize("name", ["tcp_be_liberal", "acct", "checksum"])
def test_a_setting_is_told_whichever_way_it_is(name: str) -> None:
    on, off = (told(with_table(settings={name: value}), name.replace("_", "-")).message for value in (1, 0))
    assert on.startswith(f"nf_conntrack_{name} is 1: ") and off.startswith(f"nf_conntrack_{name} is 0: ")
    assert on[25:] != off[25:]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("udp", "sysctl -w net.netfilter.nf_conntrack_udp_timeout=30"),
        ("tcp_syn_sent", "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_syn_sent=120"),
        ("tcp_established", "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=86400"),
    ],
)
def test_a_timeout_that_keeps_entries_long_is_a_warning(name: str, command: str) -> None:
    code = f"timeout-{name.replace('_', '-')}"
    found = told(with_table(timeouts={name: 1_000_000}), code)
    assert (found.severity, found.commands) == (Severity.WARNING, (command,))
    usual = [one.severity for one in examine(facts_of()) if one.code.startswith("timeout")]
    assert set(usual) == {Severity.FINE}


@pytest.mark.parametrize(
    ("entries", "severity"),
    [(0, Severity.FINE), (79_999, Severity.FINE), (80_000, Severity.WARNING), (95_000, Severity.FAULT)],
)
def test_a_table_that_is_nearly_full_is_told_before_it_is(entries: int, severity: Severity) -> None:
    assert told(with_table(entries=entries, maximum=100_000), "table-fill").severity is severity


def test_what_was_lost_is_a_warning_with_its_numbers() -> None:
    found = told(with_table(statistics=Statistics(drop=7, early_drop=11)), "table-drops")
    assert found.severity is Severity.WARNING
    assert "7 packets were dropped and 11 entries taken out early" in found.message
    failed = told(with_table(statistics=Statistics(insert_failed=5, chain_too_long=2)), "table-inserts")
    assert failed.severity is Severity.WARNING
    assert told(with_table(statistics=None), "table-drops").severity is Severity.UNKNOWN


def test_a_kernel_without_conntrack_is_no_fault() -> None:
    facts = facts_of(FakeMachine(facts=TableFacts(False)))
    assert told(facts, "table-fill").severity is Severity.FINE
    assert "conntrack is not at work here" in told(facts, "conntrack-active").message


def test_the_log_is_told_with_when_and_how_often() -> None:
    facts = with_log(
        (7200, FULL), (7000, "eth0: link up"), (6900, FULL), (6800, "nf_conntrack: 250 callbacks suppressed")
    )
    found = told(facts, "log-table-full")
    assert found.severity is Severity.WARNING, "that was two hours ago"
    assert "says 2 times (and kept back 250 lines, of this or other things)" in found.message
    assert "first on 2027-01-15 06:00:00+00:00, last on 2027-01-15 06:05:00+00:00" in found.message


@pytest.mark.parametrize(
    ("line", "entries", "severity"),
    [
        (FULL, 250_000, Severity.FAULT),
        (FULL, 100, Severity.WARNING),
        (FULL.replace("full,", f"full in netns {HERE},"), 250_000, Severity.FAULT),
        (FULL.replace("full,", f"full in netns {HERE + 1},"), 250_000, Severity.WARNING),
    ],
)
def test_a_table_that_was_full_lately_is_a_fault_if_it_is_this_one_and_not_better(
    line: str, entries: int, severity: Severity
) -> None:
    facts = replace(with_log((60, line)), table=replace(TABLE, entries=entries))
    assert told(facts, "log-table-full").severity is severity


def test_a_log_that_may_not_be_read_is_unknown_never_silence() -> None:
    facts = facts_of(FakeMachine(log=Unseen("/dev/kmsg: Operation not permitted")))
    assert told(facts, "log-table-full").severity is Severity.UNKNOWN


def test_the_journal_is_asked_where_the_kernels_buffer_may_not_be_read_or_has_less() -> None:
    line = f'{{"MESSAGE": "{FULL}", "__REALTIME_TIMESTAMP": "{int((NOW - 86_400) * 1e6)}"}}\n'
    programs: dict[str, Ran | Unseen] = {"journalctl": Ran(0, line, "")}
    for log in (Unseen("not permitted"), Log((), "the kernel's log")):
        found = told(facts_of(FakeMachine(log=log, programs=programs)), "log-table-full")
        assert "The journal says once that the table was full, on 2027-01-14 08:00:00+00:00." in found.message


def test_namespaces_are_counted_and_what_is_hidden_is_said() -> None:
    seen = facts_of(FakeMachine(found=Namespaces(3, {"netns a": 5, "process 1": 90})))
    assert told(seen, "namespaces").details == ("process 1: 90 entries", "netns a: 5 entries")
    hidden = facts_of(FakeMachine(found=Namespaces(1, {}, hidden=80)), own=replace(OWN, user=1000))
    assert told(hidden, "namespaces").severity is Severity.UNKNOWN
    assert told(facts_of(FakeMachine(found=Unseen("too long"))), "namespaces").severity is Severity.UNKNOWN
    assert "not the machine's own" in told(facts_of(FakeMachine(hosts_own=False)), "namespace").message


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        (None, Severity.FINE),
        (Directory(0, 0o700), Severity.FINE),
        (Directory(0, 0o755), Severity.FAULT),
        (Directory(1000, 0o700), Severity.FAULT),
        (Unseen("not permitted"), Severity.UNKNOWN),
    ],
)
def test_state_that_others_can_open_is_a_fault(state: Directory | Unseen | None, severity: Severity) -> None:
    assert told(facts_of(own=replace(OWN, state=state)), "state").severity is severity


@pytest.mark.parametrize(
    ("unit", "in_force", "severity"),
    [
        (None, {}, Severity.FINE),
        (None, {"nftables": ()}, Severity.WARNING),
        (Unit("/etc/systemd/system/ctpolicy.service", False), {"nftables": ()}, Severity.WARNING),
        (Unit("/etc/systemd/system/ctpolicy.service", True), {"nftables": ()}, Severity.FINE),
        (Unseen("not permitted"), {}, Severity.UNKNOWN),
    ],
)
def test_rules_that_a_reboot_takes_away_are_a_warning(
    unit: Unit | Unseen | None, in_force: dict[str, tuple[str, ...]], severity: Severity
) -> None:
    assert told(facts_of(own=replace(OWN, unit=unit, in_force=in_force)), "boot-service").severity is severity


def test_rules_that_were_confirmed_and_are_gone_are_a_fault() -> None:
    found = told(facts_of(own=replace(OWN, confirmed=("nftables",))), "gone")
    assert (found.severity, found.commands) == (Severity.FAULT, ("ctpolicy restore",))


def test_rules_with_two_backends_are_a_warning() -> None:
    own = replace(OWN, in_force={"nftables": (), "iptables-nft": ()})
    assert told(facts_of(own=own), "two-backends").commands == ("ctpolicy remove --backend iptables-nft",)


@pytest.mark.parametrize(("inconsistent", "severity"), [(False, Severity.WARNING), (True, Severity.FAULT)])
def test_an_unfinished_change_is_told(inconsistent: bool, severity: Severity) -> None:
    own = replace(OWN, unfinished=("Change 7 was interrupted",), inconsistent=inconsistent)
    assert told(facts_of(own=own), "unfinished").severity is severity


def test_both_variants_of_iptables_in_use_are_a_warning_in_any_table() -> None:
    names = "/proc/thread-self/net/ip_tables_names"
    programs: dict[str, Ran | Unseen] = {
        "iptables-legacy-save": Ran(0, "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n", ""),
        "iptables-nft-save": Ran(0, "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j ACCEPT\nCOMMIT\n", ""),
    }
    both = FakeMachine(programs=programs, files={names: "nat\n"})
    assert told(facts_of(both), "iptables-variants").severity is Severity.WARNING
    one = FakeMachine(programs=programs)  # no table of legacy: its tool is not even run
    assert told(facts_of(one), "iptables-variants").message == "Only iptables-nft has rules."


def test_variants_that_could_not_be_read_are_not_called_unused() -> None:
    denied = FakeMachine(files={"/proc/thread-self/net/ip_tables_names": Unseen("Permission denied")})
    assert told(facts_of(denied), "iptables-variants").severity is Severity.UNKNOWN
    assert told(facts_of(denied), "rules-unread").severity is Severity.UNKNOWN
    assert told(facts_of(denied), "conntrack-active").severity is Severity.UNKNOWN


def test_a_listing_that_is_no_json_is_unseen() -> None:
    """A dormant table, by libnftables 1.0.6: its flags are whatever is in the memory."""
    broken = FakeMachine(ruleset='{"nftables": [{"table": {"flags": "\n"}}]}')
    assert "libnftables printed no JSON" in told(facts_of(broken), "rules-unread").details[0]
    assert told(facts_of(broken), "conntrack-active").severity is Severity.UNKNOWN
