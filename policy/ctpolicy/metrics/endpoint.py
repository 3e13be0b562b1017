"""Where metrics are served."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from ctpolicy.errors import InputError

_LOOPBACK: Final = IPv4Address("127.0.0.1")
_LAST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of this host and a TCP port."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        address = f"[{self.address}]" if isinstance(self.address, IPv6Address) else str(self.address)
        return f"{address}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """`ADDRESS:PORT`, an IPv6 address in brackets; or `PORT`, which is on the loopback address.

        Raises:
            InputError: it is neither.
        """
        address, _, port = text.rpartition(":")
        if not port.isdecimal() or not port.isascii() or int(port) > _LAST_PORT:
            raise _mistake(text)
        if not address:
            # `:9101` means every address to some programs, and that is not to be had by accident.
            if text.startswith(":"):
                raise _mistake(text)
            return cls(_LOOPBACK, int(port))
        has_brackets = address.startswith("[") and address.endswith("]")
        try:
            found = ip_address(address[1:-1] if has_brackets else address)
        except ValueError as error:
            raise _mistake(text) from error
        if has_brackets != isinstance(found, IPv6Address):
            raise _mistake(text)
        return cls(found, int(port))


def _mistake(text: str) -> InputError:
    return InputError(
        f"`{text}` is not ADDRESS:PORT, such as 127.0.0.1:9101 or [::1]:9101, or a port alone, which is served on "
        "127.0.0.1. For every address of the host say 0.0.0.0:9101 or [::]:9101."
    )
