"""The door to HTTP: serves /metrics until it is told to end.

It is made for Prometheus on the same host, or behind something that knows whom to let in: it has no TLS and asks
nobody who he is. What clients do costs little all the same: there are few at a time, each has seconds to say what it
wants, and however many ask, the host is read once at a time.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv6Address
from types import FrameType
from typing import Any, Final

from ctpolicy.errors import HostError
from ctpolicy.metrics.endpoint import Endpoint

Answer = Callable[[str], tuple[bytes, str] | None]
"""For an Accept header the content and its type; None if others have been asking for too long."""

MOST_CLIENTS: Final = 16
CLIENT_SECONDS: Final = 10.0
"""For a client to say what it wants, and to take the answer."""

_PATH: Final = "/metrics"
_TEXT: Final = "text/plain; charset=utf-8"


class MetricsServer(ThreadingHTTPServer):
    """Serves one endpoint.

    Args:
        endpoint: where.
        answer: makes what is served.
        tells: takes a sentence about what went wrong.

    Raises:
        HostError: it cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, endpoint: Endpoint, answer: Answer, tells: Callable[[str], None]) -> None:
        self.answer: Final = answer
        self._tells = tells
        self._clients = threading.BoundedSemaphore(MOST_CLIENTS)
        self.address_family = socket.AF_INET6 if isinstance(endpoint.address, IPv6Address) else socket.AF_INET
        try:
            super().__init__((str(endpoint.address), endpoint.port), _Handler)
        except OSError as error:
            raise HostError(f"Nothing can be served on {endpoint}: {error.strerror}.") from error

    def server_bind(self) -> None:
        """Take the port. (The library's would ask the resolver for this host's name, which may take long.)"""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a client a thread, or close its connection if there are too many."""
        if self._clients.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one client."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._clients.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (the library's signature)
        """Say what went wrong; that a client went away is nothing."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self._tells(f"This is a bug of ctpolicy: {error!r}.")


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = CLIENT_SECONDS
    server_version = "ctpolicy"
    sys_version = ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != _PATH:
            self._send(HTTPStatus.NOT_FOUND, f"There is {_PATH} here, and nothing else.\n".encode(), _TEXT)
            return
        answer = self.server.answer(self.headers.get("Accept", ""))
        if answer is None:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"The host is being read; ask again.\n", _TEXT)
        else:
            self._send(HTTPStatus.OK, *answer)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, status: HTTPStatus, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's signature)
        """Nothing: a line for each scrape is no news."""


def serve(server: MetricsServer) -> None:
    """Serve until this process gets SIGTERM or SIGINT."""
    with _told_to_end() as ended, server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended.wait()
        server.shutdown()


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a handler's signature)
        ended.set()

    before = {one: signal.signal(one, end) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
