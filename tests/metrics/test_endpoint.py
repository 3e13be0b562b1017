"""Where metrics are served is said exactly, and on the loopback address if no address is."""

from __future__ import annotations

import pytest

from ctpolicy.errors import InputError
from ctpolicy.metrics.endpoint import Endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("9101", "127.0.0.1:9101"),
        ("127.0.0.1:9101", "127.0.0.1:9101"),
        ("0.0.0.0:9101", "0.0.0.0:9101"),
        ("[::1]:9101", "[::1]:9101"),
        ("[2001:DB8::0:1]:1", "[2001:db8::1]:1"),
        ("0", "127.0.0.1:0"),
    ],
)
def test_an_endpoint(text: str, endpoint: str) -> None:
    assert str(Endpoint.parse(text)) == endpoint


@pytest.mark.parametrize(
    "text",
    ["", ":", ":9101", "localhost:9101", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:9101",
     "[127.0.0.1]:9101", "[::1]", "1.2.3.4:٣", "127.1:9101", "a:b:c", "[::1:9101"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(InputError, match=r"is not ADDRESS:PORT.*0\.0\.0\.0:9101"):
        Endpoint.parse(text)
