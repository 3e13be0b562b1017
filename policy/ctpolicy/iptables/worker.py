"""The child that enters a network namespace, looks whether there is a raw table, and then becomes an iptables tool.

    python -I worker.py NAMESPACE TABLE [TOOL ARGUMENT...]

NAMESPACE is the path of a network namespace to work in, empty for the one that we are in. TABLE is `legacy:ipv4` and
its like: without that raw table the tool is not run. Empty, nothing is looked for. TOOL is an absolute path; from then
on standard input, output, error and the exit status are the tool's. What goes wrong before that is on standard error,
and the exit status is one of those below.

It is run as a file, imports nothing of ctpolicy's, and what it does not always need only where it does: a plan asks it
five times, and half of each time was imports.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from enum import IntEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

MOST_OUTPUT: Final = 1 << 28
"""Bytes that a tool may print: 100,000 rules are 10 MB, a million elements of ipsets 30 MB."""

_CLONE_NEWNET: Final = 0x40000000
_LOCK: Final = "/run/xtables.lock"
_NETWORK: Final = "/proc/self/net"
_NAMES: Final = {"ipv4": f"{_NETWORK}/ip_tables_names", "ipv6": f"{_NETWORK}/ip6_tables_names"}

_NETLINK_NETFILTER: Final = 12
_GET_TABLE: Final = 10 << 8 | 1  # nf_tables' part of nfnetlink, NFT_MSG_GETTABLE
_REQUEST: Final = 1
_ERROR: Final = 2
_TABLE_NAME: Final = 1
_FAMILY_NUMBER: Final = {"ipv4": 2, "ipv6": 10}


class WorkerStatus(IntEnum):
    """Exit statuses. The tools have 0 to 4, Python has 1, 2 and 120; anything else is a crash."""

    NO_TABLE = 200
    NO_TOOL = 201
    NO_NAMESPACE = 202
    NO_PROC = 203


class _GivenUpError(Exception):
    def __init__(self, status: WorkerStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


def main(arguments: list[str]) -> int:
    """Become the tool; the exit status where that cannot be, or need not."""
    namespace, table, *command = arguments
    try:
        if namespace:
            _enter(namespace)
        if table and not _is_there(*table.split(":")):
            return WorkerStatus.NO_TABLE
        if not command:
            raise _GivenUpError(WorkerStatus.NO_TOOL, "not installed")
        _become(command)
    except _GivenUpError as error:
        sys.stderr.write(f"{error}\n")
        return error.status


def _enter(path: str) -> None:
    """Join a network namespace. (os.setns is newer than Python 3.11.)"""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _GivenUpError(WorkerStatus.NO_NAMESPACE, f"{error.strerror}") from error
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise _GivenUpError(WorkerStatus.NO_NAMESPACE, os.strerror(ctypes.get_errno()))
    os.close(descriptor)


def _is_there(variant: str, family: str) -> bool:
    """Whether there is a raw table. Where we may not know, yes: the tool then says why not."""
    return _legacy_is_there(family) if variant == "legacy" else _nft_is_there(family)


def _legacy_is_there(family: str) -> bool:
    """Read it off /proc, because iptables-legacy-save makes the table that it is asked for (1.8.9)."""
    try:
        return b"raw" in _contents(_NAMES[family]).split()
    except FileNotFoundError:  # the module ip_tables is not loaded, or not in this kernel
        if not os.access(_NETWORK, os.F_OK):
            raise _GivenUpError(WorkerStatus.NO_PROC, "/proc is not mounted") from None
        return False
    except PermissionError:  # an ordinary user, or root of an unprivileged user namespace
        return True


def _nft_is_there(family: str) -> bool:
    """Ask nf_tables itself, because iptables-nft-save prints an empty table where there is none (1.8.9)."""
    import socket
    import struct

    name = b"raw\0"
    attribute = struct.pack("=HH", 4 + len(name), _TABLE_NAME) + name
    message = struct.pack("=BBH", _FAMILY_NUMBER[family], 0, 0) + attribute
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as asking:
            asking.send(struct.pack("=IHHII", 16 + len(message), _GET_TABLE, _REQUEST, 1, 0) + message)
            answer = asking.recv(1 << 16)
    except OSError as error:
        return error.errno not in {errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT}  # a kernel without nfnetlink
    if struct.unpack_from("=H", answer, 4)[0] != _ERROR:
        return True
    (negative,) = struct.unpack_from("=i", answer, 16)
    # EINVAL is what nfnetlink answers for a part that is not in this kernel.
    return -negative not in {errno.ENOENT, errno.EINVAL}


def _contents(path: str) -> bytes:
    """What a small file of /proc holds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 1 << 12)
    finally:
        os.close(descriptor)


def _become(command: list[str]) -> NoReturn:
    """Run the tool in our place, so that whoever ends us ends it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))
    for ignored_by_python in (signal.SIGXFSZ, signal.SIGPIPE):  # the tool would go on, and end as if all were well
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execve(command[0], command, {**os.environ, **_lock()})  # noqa: S606 (no shell is what is wanted)
    except OSError as error:
        raise _GivenUpError(WorkerStatus.NO_TOOL, f"{command[0]}: {error.strerror}") from error


def _lock() -> dict[str, str]:
    """Where iptables-legacy shall lock, if not where it always does.

    Root of an unprivileged user namespace may mostly not open /run/xtables.lock. What has to be locked there is a
    network namespace that root of the machine leaves alone, and its own file in /proc takes a lock like any other:
    nothing has to be written anywhere, and whoever changes the same rules in the same way waits for us.
    """
    try:
        os.close(os.open(_LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))  # as iptables itself does
    except OSError:
        if _is_in_a_user_namespace():
            return {"XTABLES_LOCKFILE": "/proc/self/ns/net"}
    return {}


def _is_in_a_user_namespace() -> bool:
    try:
        return _contents("/proc/self/uid_map").split() != [b"0", b"0", b"4294967295"]
    except FileNotFoundError:  # a kernel without them
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
