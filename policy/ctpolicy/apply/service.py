"""The systemd unit that makes what was last confirmed live again at boot, as text. Nothing here touches the system.

Goals, in this order; systemd.unit(5), systemd.service(5) and systemd.exec(5) of systemd 252 say what each setting does.

1. The rules are there before the network is: before network-pre.target, and so without the default dependencies, which
   would put us behind sysinit.target, and what comes with it.
2. They stay there. What flushes other people's rules when it starts comes first (After=); restarting and reloading it
   restarts and reloads us, in that order (PartOf=, ReloadPropagatedFrom=); starting it again after it was stopped
   starts us again (WantedBy=). For that the unit has to stay active after its command has ended (RemainAfterExit=).
3. Stopping the unit removes nothing: whoever stops a firewall for a moment does not mean us. `ctpolicy remove` does.
4. The command can do nothing but that: it has the capabilities to change rules and no other, sees the file system read
   only but for its own two directories, and cannot start a program that has more.

Goals 1 and 2 are in tension with whatever flushes rules when the network is up already, as Shorewall does (it starts
after network-online.target): to come after it is a circle. It is not among those that come first; docs/boot.md says
what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from ctpolicy.errors import InputError

NAME: Final = "ctpolicy.service"

MARK: Final = (
    "# Written by `ctpolicy install-service`, which may write it anew; use `systemctl edit ctpolicy` for changes."
)
"""The first line, by which a unit is known to be ours."""

FLUSHING: Final = (
    "nftables.service", "firewalld.service", "ufw.service", "netfilter-persistent.service", "iptables.service",
    "ip6tables.service", "ipset.service", "ferm.service",
)  # fmt: skip
"""What may take rules of others away when it starts, restarts or reloads."""

_HOMES: Final = ("/home", "/root")
"""What ProtectHome= hides."""

_GONE_AT_BOOT: Final = ("/tmp", "/var/tmp", "/run", "/dev", "/proc", "/sys")  # noqa: S108
"""What is empty at boot, or hidden by PrivateTmp=."""

_NOT_IN_A_COMMAND: Final = "\"'\\"
"""What systemd refuses in an executable's path, however it is quoted (252)."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the unit has to know of this host.

    Args:
        command: the absolute path of ctpolicy.
        needs: where else it reads: the directories of its interpreter and of the package.
        beside: which of FLUSHING are installed.
        legacy: whether it has to prepare what iptables-legacy needs.
    """

    command: PurePosixPath
    needs: tuple[PurePosixPath, ...] = ()
    beside: tuple[str, ...] = ()
    legacy: bool = False


def unit(service: Service) -> str:
    """The unit as text; the same for the same service.

    Raises:
        InputError: a path is not absolute, cannot stand in a unit, or will not be there at boot.
    """
    for path in (service.command, *service.needs):
        _check(path)
    sections = ("Unit", _ordering(service)), ("Service", _work(service)), ("Install", _wanted(service))
    return MARK + "\n" + "".join(f"\n[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections)


def _ordering(service: Service) -> Iterator[str]:
    # The tools of iptables-legacy load these themselves, for which they would have to be allowed to load any.
    modules = ("modprobe@ip_tables.service", "modprobe@ip6_tables.service") if service.legacy else ()
    yield "Description=ctpolicy: what bypasses connection tracking"
    yield "DefaultDependencies=no"
    yield f"Wants={_words('network-pre.target', *modules)}"
    yield "Before=network-pre.target shutdown.target"
    yield "Conflicts=shutdown.target"
    yield f"After={_words('local-fs.target', 'systemd-modules-load.service', *modules, *FLUSHING)}"
    yield f"PartOf={_words(*FLUSHING)}"
    yield f"ReloadPropagatedFrom={_words(*FLUSHING)}"
    yield f"RequiresMountsFor={_words('/var/lib/ctpolicy', *map(_quoted, (service.command, *service.needs)))}"


def _work(service: Service) -> Iterator[str]:
    restore = f"{_quoted(service.command)} restore"
    yield "Type=oneshot"
    yield "RemainAfterExit=yes"
    if service.legacy:
        yield "# iptables-legacy locks this file, and may not make it where /run is read only."
        yield "ExecStartPre=+touch /run/xtables.lock"
    yield f"ExecStart={restore}"
    yield f"ExecReload={restore}"
    yield "TimeoutStartSec=3min"
    yield "StandardInput=null"
    yield "StateDirectory=ctpolicy"
    yield "StateDirectoryMode=0700"
    yield "RuntimeDirectory=ctpolicy"
    yield "RuntimeDirectoryMode=0700"
    yield "RuntimeDirectoryPreserve=yes"
    yield "UMask=0077"
    yield f"CapabilityBoundingSet={_words(*CAPABILITIES)}"
    yield f"ProtectHome={'read-only' if _is_in_a_home(service) else 'yes'}"
    yield from _SANDBOX


CAPABILITIES: Final = ("CAP_NET_ADMIN", "CAP_NET_RAW")
"""What changing rules takes: libnftables the first; both where iptables' rules ask ipsets, or are legacy's, because
these tools open a raw socket (iptables 1.8.9)."""

_SANDBOX: Final = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "PrivateMounts=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "RestrictAddressFamilies=AF_NETLINK AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
    "IPAddressDeny=any",
    "DevicePolicy=closed",
)


def _wanted(service: Service) -> Iterator[str]:
    yield f"WantedBy={_words('sysinit.target', *(one for one in FLUSHING if one in service.beside))}"


def _words(*words: str) -> str:
    return " ".join(words)


def _is_in_a_home(service: Service) -> bool:
    return any(_is_below(path, _HOMES) for path in (service.command, *service.needs))


def _is_below(path: PurePosixPath, directories: Iterable[str]) -> bool:
    return any(path.is_relative_to(directory) for directory in directories)


def _check(path: PurePosixPath) -> None:
    if not path.is_absolute() or ".." in path.parts:
        raise InputError(f"{path} is no absolute path, and a service has no directory to begin from.")
    if not str(path).isprintable() or set(str(path)) & set(_NOT_IN_A_COMMAND):
        raise InputError(
            f"{path} has characters that systemd takes in no command: quotation marks, backslashes, controls."
        )
    if _is_below(path, _GONE_AT_BOOT):
        raise InputError(
            f"{path} is gone or hidden when the service runs. Install ctpolicy elsewhere: python3 -m venv /opt/ctpolicy"
        )


def _quoted(path: PurePosixPath) -> str:
    """A path as one word of a unit: `%` begins a specifier there; quotes are put only where there is reason."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if set(text) & set(" ;$") else text
