"""What is known of a host as metrics, read back by the parser of Prometheus' own client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Final

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from ctpolicy.apply.record import Change, Outcome
from ctpolicy.conntrack.facts import Statistics, TableFacts
from ctpolicy.language.diagnostics import harmless
from ctpolicy.metrics.exposition import negotiated, text
from ctpolicy.metrics.metric import Kind, Metric, Sample
from ctpolicy.metrics.of_changes import changes_metrics
from ctpolicy.metrics.of_conntrack import COUNTED, table_metrics
from ctpolicy.metrics.of_rules import BackendStatus, drift_metrics, rules_metrics
from ctpolicy.netfilter.backend import Counted
from ctpolicy.netfilter.drift import Drift, DriftKind
from ctpolicy.plan.status import Standard, Status

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]

STATUS: Final = Status(
    "nftables",
    (Counted("vxlan", "bypass", 7, 2**40), Counted("ssh", "track", 3, 4)),
    (),
    Standard.CONFIRMED,
    (Drift(DriftKind.ADDED, "chain a"), Drift(DriftKind.ADDED, "chain b"), Drift(DriftKind.SHADOWED, "theirs")),
)


def read(metrics: Iterable[Metric]) -> Values:
    """Every sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text(metrics).decode())
        for sample in family.samples
    }


def only(name: str, values: Values) -> dict[tuple[str, ...], float]:
    """Those of one metric, by the values of their labels in the order of the labels' names."""
    return {tuple(value for _, value in labels): value for (one, labels), value in values.items() if one == name}


def test_entries_are_counted_by_name_role_and_backend() -> None:
    values = read(rules_metrics([BackendStatus(STATUS, None)]))
    assert only("ctpolicy_entry_packets_total", values) == {
        ("nftables", "vxlan", "bypass"): 7,
        ("nftables", "ssh", "track"): 3,
    }
    assert only("ctpolicy_entry_bytes_total", values)["nftables", "vxlan", "bypass"] == 2**40
    assert only("ctpolicy_bypass_in_force", values) == {("nftables",): 1}


def test_a_bypass_with_a_fault_is_not_in_force() -> None:
    faulty = Status("iptables-nft", (), ("PREROUTING does not jump to CTPOLICY-PREROUTING",))
    values = read(rules_metrics([BackendStatus(STATUS, None), BackendStatus(faulty, None)]))
    assert only("ctpolicy_bypass_in_force", values) == {("nftables",): 1, ("iptables-nft",): 0}


def test_differences_are_counted_by_kind_and_a_shadow_is_no_drift() -> None:
    values = read(drift_metrics([BackendStatus(STATUS, is_desired=True)]))
    differences = only("ctpolicy_drift_differences", values)
    assert {labels for labels, value in differences.items() if value} == {
        ("nftables", "added"),
        ("nftables", "shadowed"),
    }
    assert differences["nftables", "added"] == 2
    assert len(differences) == len(DriftKind), "also those that there are none of"
    assert only("ctpolicy_drift", values) == {("nftables",): 1}
    shadowed = Status("nftables", (), (), Standard.POLICY, STATUS.differences[2:])
    assert only("ctpolicy_drift", read(drift_metrics([BackendStatus(shadowed, True)]))) == {("nftables",): 0}


def test_what_is_held_against_nothing_has_no_drift() -> None:
    unknown = BackendStatus(Status("nftables", (), ()), is_desired=None)
    assert read(drift_metrics([unknown])) == {}


def change(number: int, outcome: Outcome, boot: str = "now", confirm_by: float | None = None, **more: str) -> Change:
    when = more.get("when", f"2026-01-01T00:00:{number:02}Z")
    return Change(number, when, boot, more.get("command", "apply"), "", "nftables", "root", outcome, "", confirm_by)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ([], (0, 0, 0)),
        ([change(1, Outcome.DONE)], (0, 0, 0)),
        ([change(1, Outcome.PENDING, confirm_by=99.0)], (1, 0, 0)),
        ([change(1, Outcome.PENDING, "another boot", 99.0)], (0, 0, 0)),
        ([change(1, Outcome.BEGUN)], (0, 1, 0)),
        ([change(1, Outcome.INCONSISTENT)], (0, 0, 1)),
        ([change(1, Outcome.INCONSISTENT), change(2, Outcome.DONE)], (0, 0, 0)),
    ],
)
def test_changes_that_want_somebody(changes: list[Change], found: tuple[int, int, int]) -> None:
    values = read(changes_metrics(changes, "now"))
    names = ("unconfirmed", "interrupted", "inconsistent")
    assert tuple(values[f"ctpolicy_change_{name}", ()] for name in names) == found


def test_the_last_change_that_stays_has_its_time() -> None:
    changes = [
        change(1, Outcome.DONE),
        change(2, Outcome.CONFIRMED),
        change(3, Outcome.PUT_BACK),
        change(4, Outcome.DONE, command="rollback"),
        change(5, Outcome.DAMAGED, when=""),
    ]
    new_year = 1767225600
    assert only("ctpolicy_last_change_timestamp_seconds", read(changes_metrics(changes, "now"))) == {
        ("nftables", "apply"): new_year + 2,
        ("nftables", "rollback"): new_year + 4,
    }


def test_every_statistic_of_the_kernel_is_told() -> None:
    names = [field.name for field in fields(Statistics)]
    values = read(table_metrics(TableFacts(True, 5, 100, 64, statistics=Statistics(*range(1, len(names) + 1)))))
    for number, name in enumerate(names, start=1):
        assert values[f"ctpolicy_conntrack_{COUNTED[name][0]}", ()] == number
    sizes = ("entries", "entries_limit", "buckets", "loaded")
    assert [values[f"ctpolicy_conntrack_{name}", ()] for name in sizes] == [5, 100, 64, 1]


def test_what_the_kernel_does_not_tell_is_left_out() -> None:
    assert read(table_metrics(TableFacts(False))) == {("ctpolicy_conntrack_loaded", ()): 0}


def test_labels_are_escaped() -> None:
    """Somebody's chain among ours may have any name, and it must neither forge a sample nor draw on a terminal."""
    evil = 'a"} 1\nctpolicy_drift{backend="nftables\x1b[2J\\'
    status = Status("nftables", (Counted(evil, "bypass", 1, 1),), ())
    values = read(rules_metrics([BackendStatus(status, None)]))
    assert only("ctpolicy_drift", values) == {}
    assert only("ctpolicy_entry_packets_total", values) == {("nftables", harmless(evil), "bypass"): 1}
    assert b"\x1b" not in text(rules_metrics([BackendStatus(status, None)]))


def test_who_asks_for_openmetrics_gets_it() -> None:
    metrics = [Metric("ctpolicy_seen_total", "What was seen.", Kind.COUNTER, (), (Sample((), 3),))]
    content, content_type = negotiated(metrics, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    (family,) = read_openmetrics(content.decode())  # type: ignore[no-untyped-call]
    assert [(one.name, one.value) for one in family.samples] == [("ctpolicy_seen_total", 3)]
    plain, plain_type = negotiated(metrics, "*/*")
    assert plain_type.startswith("text/plain")
    assert plain == text(metrics)
