"""The HTTP endpoint: answers what it is asked, whatever clients do to it, and ends when it is told."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address

import pytest

from ctpolicy.errors import HostError
from ctpolicy.metrics.endpoint import Endpoint
from ctpolicy.metrics.server import MOST_CLIENTS, MetricsServer

LOOPBACK = ip_address("127.0.0.1")


class Served:
    """A server in this process, and what it was asked and has complained of."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.told: list[str] = []
        self.answers: list[Exception | None] = []
        self.server = MetricsServer(Endpoint(LOOPBACK, 0), self._answer, self.told.append)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, accepted: str) -> tuple[bytes, str] | None:
        self.accepted.append(accepted)
        if self.answers:
            failure = self.answers.pop()
            if failure is not None:
                raise failure
            return None
        return b"fine 1\n", "text/plain; version=0.0.4"


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


def status(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_metrics_are_where_prometheus_looks(served: Served) -> None:
    request = urllib.request.Request(f"{served.url}/metrics?x=1", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.read() == b"fine 1\n"
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
    assert served.accepted == ["text/plain"]


def test_there_is_nothing_else(served: Served) -> None:
    assert [status(served.url + path) for path in ("/", "/metrics/", "/..", "/etc/passwd")] == [404] * 4
    assert status(f"{served.url}/metrics", "POST") == 501
    assert status(f"{served.url}/metrics", "HEAD") == 200


def test_who_comes_while_others_are_at_it_for_too_long_is_told_so(served: Served) -> None:
    served.answers = [None]
    assert status(f"{served.url}/metrics") == 503
    assert status(f"{served.url}/metrics") == 200


def test_clients_that_misbehave_hurt_nobody(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    for sent in (b"", b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"x" * 70_000):
        with socket.create_connection(("127.0.0.1", served.server.server_port), timeout=5) as client:
            client.sendall(sent)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # goes without a word
    assert status(f"{served.url}/metrics") == 200
    assert served.told == []
    assert capfd.readouterr() == ("", "")


def test_a_bug_is_a_line_and_never_a_traceback(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    served.answers = [ZeroDivisionError("by zero")]
    with pytest.raises((urllib.error.URLError, ConnectionError, OSError)):
        urllib.request.urlopen(f"{served.url}/metrics", timeout=5)
    assert served.told == ["This is a bug of ctpolicy: ZeroDivisionError('by zero')."]
    assert capfd.readouterr() == ("", "")
    assert status(f"{served.url}/metrics") == 200


def test_there_are_few_clients_at_a_time(served: Served) -> None:
    with ExitStack() as open_:
        address = ("127.0.0.1", served.server.server_port)
        for _ in range(MOST_CLIENTS):
            open_.enter_context(socket.create_connection(address, timeout=5))
        with socket.create_connection(address, timeout=5) as one_more:
            assert one_more.recv(1) == b"", "it is served though there are too many"
    # Those that went make room.
    for _ in range(50):
        try:
            assert status(f"{served.url}/metrics") == 200
            break
        except (ConnectionError, urllib.error.URLError):
            continue
    else:
        pytest.fail("nobody is served any more")


def test_a_port_that_is_taken_is_told(served: Served) -> None:
    taken = Endpoint(LOOPBACK, served.server.server_port)
    with pytest.raises(HostError, match=rf"Nothing can be served on {taken}: Address already in use\."):
        MetricsServer(taken, lambda _: None, print)
