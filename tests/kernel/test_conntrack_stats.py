"""`ctpolicy conntrack stats` of real tables: digit for digit what the pipelines print of the same table."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from conntrack.test_pipelines import assert_the_same
from ctpolicy.conntrack import outline
from ctpolicy.conntrack.outline import address_name, port_name
from ctpolicy.conntrack.reader import Conntrack
from ctpolicy.conntrack.statistics import PROTOCOL, TableStatistics, Tally
from ctpolicy.conntrack.survey import survey_saved
from ctpolicy.language.schema import shipped_schema
from kernel.command_line import ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

RULES: Final = """
table inet t {
  chain zones { type filter hook output priority -300;
    udp dport 5353 ct zone set 7; udp dport 5354 ct original zone set 9; udp dport 5355 ct reply zone set 11; }
  chain nat { type nat hook output priority -100; tcp dport 9100 redirect to :8080; }
  chain input { type filter hook input priority 0; ct state new; tcp dport 7999 drop; }
}
"""
STATES: Final = (*("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"),)


def listen(host: Namespace, stack: ExitStack, port: int, family: int, address: str) -> socket.socket:
    with host.entered():
        server = stack.enter_context(socket.socket(family))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(300)
    return server


def connect(host: Namespace, stack: ExitStack, port: int, family: int = socket.AF_INET) -> socket.socket:
    with host.entered():
        client = stack.enter_context(socket.socket(family))
    client.settimeout(0.01 if port == 7999 else 5)
    try:
        client.connect(("127.0.0.1" if family == socket.AF_INET else "::1", port))
    except (TimeoutError, ConnectionRefusedError):
        assert port in {7999, 81}
    return client


def send(host: Namespace, stack: ExitStack, port: int, times: int) -> None:
    """Datagrams from as many ports; those to 53 are answered."""
    with host.entered():
        answering = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        if port == 53:
            answering.bind(("127.0.0.1", port))
            answering.settimeout(5)
        for _ in range(times):
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.sendto(b"x", ("127.0.0.1", port))
            if port == 53:
                answering.sendto(b"y", answering.recvfrom(9)[1])


def insert(host: Namespace, entries: list[str]) -> None:
    """Make entries, each by the options of `conntrack -I`, in one call."""
    lines = "".join(f"-I -t 600 {entry}\n" for entry in entries)
    host.run("conntrack", "-R", "-", stdin=lines)


@pytest.fixture
def table(namespace: Namespace) -> Iterator[Namespace]:
    """Hundreds of flows: real ones in several states, NATed, IPv6, in zones, ICMP; and by hand in all states."""
    namespace.load(RULES)
    with ExitStack() as stack:
        v4 = listen(namespace, stack, 80, socket.AF_INET, "127.0.0.1")
        listen(namespace, stack, 8080, socket.AF_INET, "127.0.0.1")
        listen(namespace, stack, 443, socket.AF_INET6, "::1")
        for port, times, family in (
            (80, 60, socket.AF_INET),
            (9100, 25, socket.AF_INET),
            (443, 30, socket.AF_INET6),
            (81, 9, socket.AF_INET),
            (7999, 7, socket.AF_INET),
        ):
            clients = [connect(namespace, stack, port, family) for _ in range(times)]
            for client in clients[: 20 if port == 80 else 0]:
                client.close()
        for _ in range(10):  # of those that were closed, both sides
            accepted = v4.accept()[0]
            assert accepted.recv(1) == b""
            accepted.close()
        for port, times in ((53, 40), (4789, 100), (5353, 11), (5354, 5), (5355, 3)):
            send(namespace, stack, port, times)
        namespace.run("ping", "-q", "-c", "1", "127.0.0.1")
        namespace.run("ping", "-q", "-c", "1", "::1")
        insert(namespace, [
            *(f"-p tcp -s 10.0.{at}.1 -d 10.9.9.9 --sport {port} --dport 25 --state {state}"
              for at, state in enumerate(STATES) for port in range(1000, 1010 + at)),
            *(f"-p udp -s 10.1.0.{at} -d 10.9.9.8 --sport 5 --dport 123 -u SEEN_REPLY,ASSURED" for at in range(1, 30)),
            *(f"-p tcp -s fd00::{at} -d fd00:9::9 --sport 5 --dport 179 --state ESTABLISHED" for at in range(1, 30)),
            "-p 50 -s 10.0.0.1 -d 10.0.0.2",
            "-p gre -s 10.0.0.1 -d 10.0.0.2 --srckey 5 --dstkey 6",
            "-p sctp -s 10.0.0.1 -d 10.0.0.2 --sport 5 --dport 6 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
        ])  # fmt: skip
        yield namespace


def listing(host: Namespace, form: str = "extended") -> bytes:
    command = host.command("conntrack", "-L", *(["-o", form] if form else []))
    return subprocess.run(command, capture_output=True, check=True).stdout


def saved(text: bytes) -> TableStatistics:
    return survey_saved(BytesIO(text), 10).entries


def live(host: Namespace) -> TableStatistics:
    tally = Tally(address_name, port_name)
    for rows in Conntrack(host.path).rows():
        tally.add(rows)
    return tally.told(10)


def test_the_shape_of_a_table_is_told_digit_for_digit(table: Namespace) -> None:
    before, told, after = listing(table), live(table), listing(table)
    assert saved(before) == saved(after), "the table changed meanwhile"
    assert told == saved(before)
    assert_the_same(told, before)
    assert told.total.entries == len(before.splitlines()) > 400
    assert {state for state, _ in told.tcp_states} >= set(STATES)


def test_the_known_parts_of_the_table_are_counted(table: Namespace) -> None:
    told = live(table)
    by_name = {kind.name: kind for kind in told.protocols}
    assert (by_name["udp"].entries, by_name["udp"].unreplied) == (40 + 100 + 11 + 5 + 3 + 29, 100 + 11 + 5 + 3)
    assert dict(told.zones) == {"zone=7": 11, "zone-orig=9": 5, "zone-reply=11": 3}
    assert told.total.translated == 25
    assert (by_name["icmp"].entries, by_name["icmpv6"].entries, by_name["esp"].entries) == (1, 1, 1)
    assert dict(told.families)["IPv6"] == 30 + 29 + 1
    ports = dict(told.destination_ports.ranked)
    assert (ports["udp/4789"], ports["tcp/80"], ports["tcp/9100"]) == (100, 60, 25)


@pytest.mark.parametrize("form", ["", "xml", "extended,id"])
def test_it_is_the_same_in_every_form_that_the_tool_prints(table: Namespace, form: str) -> None:
    assert saved(listing(table, form)) == live(table)


def test_proc_is_read_too(table: Namespace) -> None:
    text = table.run("cat", "/proc/net/nf_conntrack").stdout.encode()
    told, other = saved(text), live(table)
    assert (told.total, told.protocols, told.tcp_states) == (other.total, other.protocols, other.tcp_states)
    assert (told.zones, told.families, told.destination_ports) == (other.zones, other.families, other.destination_ports)


def test_rows_off_ordinary_messages_are_those_of_whole_entries(
    table: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = sorted(row for rows in Conntrack(table.path).rows() for row in rows)
    monkeypatch.setattr(outline, "_LAYOUTS", {family: re.compile(b"(?!)") for family in outline._LAYOUTS})
    # A whole entry has no state of SCTP, which nothing else wants.
    slow = sorted(row for rows in Conntrack(table.path).rows() for row in rows)
    assert [row for row in quick if row[PROTOCOL] != b"132"] == [row for row in slow if row[PROTOCOL] != b"132"]


def stats(host: Namespace, *options: str) -> dict[str, Any]:
    done = ran("conntrack", "stats", "--netns", host.path, "--json", *options)
    assert done.status == 0, done
    told: dict[str, Any] = json.loads(done.output)
    Draft202012Validator(shipped_schema("conntrack-stats")).validate(told)
    return told


def test_the_command_tells_size_and_rates(table: Namespace) -> None:
    told = stats(table, "--interval", "0.2", "--top", "3")
    assert told["table"]["entries"] == told["entries"] > 400
    assert told["table"]["headroom"] == told["table"]["maximum"] - told["entries"]
    assert told["rates"]["seconds"] >= 0.2
    assert len(told["sources"]["top"]) == 3
    assert told["sample"] is None


def test_what_the_command_prints_has_the_same_numbers(table: Namespace) -> None:
    text = ran("conntrack", "stats", "--netns", table.path)
    told = stats(table)
    assert text.status == 0
    assert f"entries   {told['entries']} of {told['table']['maximum']}" in text.output
    for state in told["tcpStates"]:
        assert any(line.split()[:2] == [state["name"], str(state["entries"])] for line in text.output.splitlines())


def test_a_sample_ends_early_and_says_how_far_it_may_be_off(namespace: Namespace) -> None:
    namespace.load(RULES)
    order = random.Random(6)
    entries = [
        f"-p {'udp' if order.random() < 0.3 else 'tcp --state ESTABLISHED'} -s 10.0.{at % 200}.1 -d 10.1.{at % 250}.2 "
        f"--sport {1000 + at} --dport 53"
        for at in range(4000)
    ]
    insert(namespace, entries)
    told = stats(namespace, "--sample", "1000")
    assert told["entries"] == 1000
    assert told["sample"]["late"] is False
    udp = next(kind["entries"] for kind in told["protocols"] if kind["name"] == "udp")
    exact = sum("-p udp" in entry for entry in entries) / len(entries)
    # Four times the half-width of 95 %: once in 10^14 samples.
    assert abs(udp / 1000 - exact) < 4 * told["sample"]["uncertainty"]
    assert 0.02 < told["sample"]["uncertainty"] < 0.03
    assert "as good as a random sample" in ran("conntrack", "stats", "--netns", namespace.path, "--sample", "9").output


def test_a_deadline_ends_it_and_is_said(namespace: Namespace) -> None:
    insert(namespace, [f"-p udp -s 10.0.0.1 -d 10.0.0.2 --sport {port} --dport 53" for port in range(1, 5001)])
    told = stats(namespace, "--deadline", "0.000001")
    assert told["sample"]["late"] is True
    assert 0 < told["entries"] < 5000


def test_a_table_that_nobody_uses_is_empty_and_said_so(namespace: Namespace) -> None:
    assert stats(namespace)["entries"] == 0
    assert "Nothing here says that any rule" in ran("conntrack", "stats", "--netns", namespace.path).output


def test_a_file_and_standard_input_are_read(table: Namespace, tmp_path: Path) -> None:
    file = tmp_path / "table"
    file.write_bytes(listing(table))
    by_name = ran("conntrack", "stats", file, "--json")
    command = ["sh", "-c", 'cat "$1" | "$2" -m ctpolicy conntrack stats - --json', "sh", str(file), sys.executable]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(piped.stdout) == json.loads(by_name.output)
    assert json.loads(by_name.output)["table"] is None


@pytest.mark.parametrize("option", [("--interval", "1"), ("--sample", "5"), ("--netns", "/proc/self/ns/net")])
def test_what_is_of_a_live_table_is_refused_of_a_file(option: tuple[str, str], tmp_path: Path) -> None:
    done = ran("conntrack", "stats", tmp_path, *option)
    assert done.status == 2
    assert "are of a live table" in done.errors


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    assert ran("conntrack", "stats", tmp_path / "nothing").status == 2
    assert ran("conntrack", "stats", tmp_path).status == 2
