"""`ctpolicy metrics` on the real kernel: it tells what nft and conntrack say, and what fails hides nothing."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kernel.command_line import Ran, ran
from kernel.hosts import HERE_V4, THERE_V4, Pair, pair, udp
from kernel.namespace import Namespace
from metrics.promtool import promtool

pytestmark = pytest.mark.kernel

POLICY: Final = """
apiVersion: ctpolicy/v1
name: told
bypass:
  - name: dns
    host-client: udp/53
  - name: metrics
    host-service: tcp/9100
track:
  - name: ssh
    host-service: tcp/22
"""
TABLE_ACTIVE: Final = "table inet active { chain input { type filter hook input priority 0; ct state new; }; }"

Values = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture
def hosts() -> Iterator[Pair]:
    with pair() as joined:
        yield joined


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    written = tmp_path / "policy.yaml"
    written.write_text(POLICY)
    return written


def values(text: str) -> Values:
    """Each metric's values, by those of its labels in the order of the labels' names."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name.removeprefix("ctpolicy_"), {})[labels] = sample.value
    return found


def told(host: Namespace, *arguments: str | Path) -> Values:
    done = ran("metrics", "--netns", host.path, *arguments)
    assert (done.status, done.errors) == (0, ""), done
    return values(done.output)


def apply(host: Namespace, policy: Path, *options: str | Path) -> None:
    done = ran("apply", "--netns", host.path, "--yes", policy, *options)
    assert done.status == 0, done


def errors(found: Values) -> set[str]:
    """The parts that could not be told."""
    return {part for (part,), value in found["scrape_error"].items() if value}


def test_values_are_those_of_nft_and_conntrack(hosts: Pair, policy_file: Path) -> None:
    apply(hosts.here, policy_file)
    for _ in range(3):
        udp(hosts.here, hosts.there, THERE_V4, 53)
    udp(hosts.here, hosts.there, THERE_V4, 5353)
    hosts.here.run("conntrack", "-I", "-p", "udp", "-s", "10.9.9.9", "-d", HERE_V4, "--sport", "1", "--dport", "2",
                   "-t", "600")  # fmt: skip
    found = told(hosts.here)
    listing = hosts.here.run("nft", "list", "table", "inet", "ctpolicy").stdout
    counters = re.findall(r"chain (bypass|track)_([\w-]+) \{\s+counter packets (\d+) bytes (\d+)", listing)
    assert {name for _, name, _, _ in counters} == {"dns", "metrics", "ssh"}
    for role, name, packets, octets in counters:
        assert found["entry_packets_total"]["nftables", name, role] == int(packets)
        assert found["entry_bytes_total"]["nftables", name, role] == int(octets)
    assert found["entry_packets_total"]["nftables", "dns", "bypass"] >= 6
    assert found["conntrack_entries"][()] == int(hosts.here.run("conntrack", "-C").stdout)
    assert found["conntrack_entries"][()] >= 2
    with hosts.here.entered():
        sysctls = Path("/proc/sys/net/netfilter")
        assert found["conntrack_entries_limit"][()] == int((sysctls / "nf_conntrack_max").read_text())
        assert found["conntrack_buckets"][()] == int((sysctls / "nf_conntrack_buckets").read_text())
    statistics = hosts.here.run("conntrack", "-S").stdout
    for theirs, ours in (("insert", "inserts"), ("drop", "drops"), ("early_drop", "early_drops"),
                         ("insert_failed", "insert_failures"), ("invalid", "invalid_packets")):  # fmt: skip
        total = sum(map(int, re.findall(rf"\b{theirs}=(\d+)", statistics)))
        assert found[f"conntrack_{ours}_total"][()] == total, theirs
    assert found["conntrack_inserts_total"][()] >= 1
    assert errors(found) == set()


def test_promtool_is_content_with_what_a_host_tells(hosts: Pair, policy_file: Path) -> None:
    apply(hosts.here, policy_file)
    done = ran("metrics", "--netns", hosts.here.path, policy_file)
    assert promtool("check", "metrics", stdin=done.output.encode()) == ""


def test_a_bypass_that_somebody_removed_is_told(namespace: Namespace, policy_file: Path) -> None:
    assert told(namespace)["bypass_in_force"] == {("nftables",): 0}
    assert "drift" not in told(namespace), "nothing is known of what ought to be there"
    apply(namespace, policy_file)
    before = told(namespace)
    assert (before["bypass_in_force"], before["bypass_desired"]) == ({("nftables",): 1}, {("nftables",): 1})
    assert before["drift"] == {("nftables",): 0}
    assert set(before["drift_differences"].values()) == {0}
    assert before["last_change_timestamp_seconds"]["nftables", "apply"] > 1.7e9
    namespace.run("nft", "delete", "table", "inet", "ctpolicy")
    after = told(namespace)
    assert (after["bypass_in_force"], after["bypass_desired"]) == ({("nftables",): 0}, {("nftables",): 1})
    assert after["drift"] == {("nftables",): 1}
    assert after["drift_differences"]["nftables", "gone"] == 1
    assert "entry_packets_total" not in after


def test_a_bypass_that_was_removed_on_purpose_is_not_missed(namespace: Namespace, policy_file: Path) -> None:
    apply(namespace, policy_file)
    assert ran("remove", "--netns", namespace.path, "--yes").status == 0
    found = told(namespace)
    assert (found["bypass_in_force"], found["bypass_desired"]) == ({("nftables",): 0}, {("nftables",): 0})
    assert found["drift"] == {("nftables",): 0}


def test_what_others_do_to_ours_is_told_by_kind(namespace: Namespace, policy_file: Path) -> None:
    apply(namespace, policy_file)
    namespace.load(
        "insert rule inet ctpolicy output ip saddr 192.0.2.9 accept\n"
        "table inet edge { chain early { type filter hook output priority raw; udp dport 53 drop; }; }\n"
    )
    differences = told(namespace, policy_file)["drift_differences"]
    assert {kind for (_, kind), value in differences.items() if value} == {"added", "shadowed"}


@pytest.mark.parametrize("backend", ["iptables-nft", "iptables-legacy"])
def test_a_backend_need_not_be_named_if_it_has_something_there(
    backend: str, namespace: Namespace, policy_file: Path
) -> None:
    apply(namespace, policy_file, "--backend", backend)
    found = told(namespace)
    assert (found["bypass_in_force"], found["drift"]) == ({(backend,): 1}, {(backend,): 0})
    assert (backend, "dns", "bypass") in found["entry_packets_total"]
    assert told(namespace, "--backend", "nftables")["bypass_in_force"] == {("nftables",): 0}


def test_a_change_that_nobody_has_confirmed_is_told(namespace: Namespace, policy_file: Path) -> None:
    apply(namespace, policy_file, "--confirm", "60")
    assert told(namespace)["change_unconfirmed"] == {(): 1}
    assert ran("confirm", "--netns", namespace.path).status == 0
    assert told(namespace)["change_unconfirmed"] == {(): 0}


def test_a_damaged_state_hides_nothing_of_the_rest(hosts: Pair, policy_file: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    apply(hosts.here, policy_file, "--state", state)
    for directory in state.rglob("changes"):
        directory.chmod(0o777)
    for directory in state.rglob("confirmed"):
        directory.chmod(0o777)
    done = ran("metrics", "--netns", hosts.here.path, "--state", state)
    found = values(done.output)
    assert errors(found) == {"drift", "changes"}
    assert found["bypass_in_force"] == {("nftables",): 1}
    assert ("nftables", "dns", "bypass") in found["entry_packets_total"]
    assert len(found["conntrack_entries"]) == 1
    assert done.status == 0
    assert "is not ctpolicy's alone" in done.errors
    assert "Traceback" not in done.errors


def test_a_table_of_our_name_that_is_somebody_elses_hides_nothing_of_the_rest(namespace: Namespace) -> None:
    namespace.load("table inet ctpolicy { chain theirs { accept; }; }")
    done = ran("metrics", "--netns", namespace.path)
    found = values(done.output)
    assert errors(found) == {"rules"}
    assert "conntrack_entries" in found
    assert (done.status, done.errors.count("\n")) == (0, 1)


def test_a_mistake_in_the_policy_is_the_status_after_all_is_told(namespace: Namespace, policy_file: Path) -> None:
    apply(namespace, policy_file)
    policy_file.write_text(POLICY.replace("udp/53", "udp/99999"))
    done = ran("metrics", "--netns", namespace.path, policy_file)
    found = values(done.output)
    assert errors(found) == {"drift"}
    assert found["bypass_in_force"] == {("nftables",): 1}
    assert done.status == 2
    assert "port 99999 is above 65535" in done.errors
    assert "port 99999 is above 65535" in ran("metrics", "--listen", "0", policy_file).errors


def test_a_namespace_that_is_not_there_is_bad_input() -> None:
    done = ran("metrics", "--netns", "no-such-one")
    assert (done.status, done.output) == (2, "")


def test_a_textfile_has_what_is_printed(namespace: Namespace, policy_file: Path, tmp_path: Path) -> None:
    apply(namespace, policy_file)
    file = tmp_path / "ctpolicy.prom"
    done = ran("metrics", "--netns", namespace.path, "--textfile", file)
    assert done == Ran(0, "", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    written, printed = values(file.read_text()), told(namespace)
    assert written.pop("scrape_duration_seconds").keys() == printed.pop("scrape_duration_seconds").keys()
    assert written == printed


@contextmanager
def serving(host: Namespace, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`ctpolicy metrics --listen` inside a namespace, and where it says that it serves."""
    python = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()"]
    command = host.command(*python, "metrics", "--listen", *arguments)
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"Serving (http://\S+/metrics)\n", line)
            assert found, line + (process.stderr.read() if process.stderr and not line else "")
            yield process, found[1]
        finally:
            if process.poll() is None:
                process.kill()


def scraped(host: Namespace, url: str) -> Values:
    with host.entered(), urllib.request.urlopen(url, timeout=20) as answer:
        return values(answer.read().decode())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_prometheus_can_scrape_and_the_server_ends_in_silence(
    number: signal.Signals, hosts: Pair, policy_file: Path
) -> None:
    apply(hosts.here, policy_file)
    with serving(hosts.here, "9101", policy_file) as (process, url):
        assert url == "http://127.0.0.1:9101/metrics"
        before = scraped(hosts.here, url)
        udp(hosts.here, hosts.there, THERE_V4, 53)
        after = scraped(hosts.here, url)
        counted = [found["entry_packets_total"]["nftables", "dns", "bypass"] for found in (before, after)]
        assert counted[1] - counted[0] >= 2
        assert errors(after) == set()
        with hosts.there.entered(), pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://{HERE_V4}:9101/metrics", timeout=5)
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def test_what_fails_while_it_serves_is_told_once_and_the_server_goes_on(
    namespace: Namespace, policy_file: Path
) -> None:
    apply(namespace, policy_file)
    with serving(namespace, "[::1]:0", policy_file) as (process, url):
        policy_file.write_text("apiVersion: ctpolicy/v1\nname: [\n")
        for _ in range(2):
            found = scraped(namespace, url)
            assert errors(found) == {"drift"}
            assert found["bypass_in_force"] == {("nftables",): 1}
        policy_file.write_text(POLICY)
        assert errors(scraped(namespace, url)) == set()
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert said.count("drift: ") == 1
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_told(namespace: Namespace) -> None:
    with serving(namespace, "127.0.0.1:0") as (_, url):
        port = url.split(":")[2].split("/")[0]
        with namespace.entered():
            done = ran("metrics", "--listen", port)
    assert done.status == 5
    assert "Address already in use" in done.errors


def test_metrics_are_not_written_to_a_file_and_served() -> None:
    assert ran("metrics", "--listen", "9101", "--textfile", "x.prom").status == 2


def test_a_conntrack_table_that_nobody_uses_is_told_as_empty(namespace: Namespace) -> None:
    assert told(namespace)["conntrack_entries"] == {(): 0}
    namespace.load(TABLE_ACTIVE)
    namespace.run("conntrack", "-I", "-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1", "--dport", "2",
                  "-t", "600")  # fmt: skip
    assert told(namespace)["conntrack_entries"] == {(): 1}
