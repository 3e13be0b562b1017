"""The systemd unit: what it says, that systemd takes it, and that what it leaves the command is enough and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from ctpolicy.apply import place
from ctpolicy.apply.service import CAPABILITIES, FLUSHING, MARK, NAME, Service, unit
from ctpolicy.apply.unit_file import remove_unit, this_service, write_unit
from ctpolicy.errors import HostError, InputError
from ctpolicy.language.trust import whoever_asked
from kernel.command_line import EXAMPLES
from kernel.namespace import Namespace, skip_but_for_ci

EXAMPLE: Final = EXAMPLES / "openshift-worker.yaml"
COMMAND: Final = PurePosixPath("/opt/ctpolicy/bin/ctpolicy")
MOST_EXPOSED: Final = "20"
"""Tenths of systemd's measure (0 to 10); it was 1.8 when this was written (systemd 252)."""

# How the units of distributions are ordered (Debian 12: nftables 1.0.6, firewalld 1.3, ufw 0.36, netfilter-persistent
# 1.0.20, shorewall 5.2.8; systemd 252 for the targets).
EARLY: Final = "DefaultDependencies=no\nWants=network-pre.target\nBefore=network-pre.target shutdown.target\n"
ORDERED: Final = {
    "nftables.service": EARLY,
    "netfilter-persistent.service": EARLY + "After=systemd-modules-load.service local-fs.target\n",
    "ufw.service": EARLY + "After=local-fs.target\n",
    "firewalld.service": "Wants=network-pre.target\nBefore=network-pre.target\nAfter=dbus.service\n",
    "shorewall.service": "Wants=network-online.target\nAfter=network-online.target\n",
    "systemd-modules-load.service": "DefaultDependencies=no\nBefore=sysinit.target shutdown.target\n",
    "systemd-tmpfiles-setup.service": "DefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target\n",
    "networkd.service": "DefaultDependencies=no\nWants=network.target\n"
    "After=network-pre.target\nBefore=network.target\n",
    "local-fs.target": "",
    "shutdown.target": "DefaultDependencies=no\n",
    "network-pre.target": "",
    "network.target": "After=network-pre.target\n",
    "network-online.target": "After=network.target\n",
    "sysinit.target": "Wants=local-fs.target systemd-modules-load.service systemd-tmpfiles-setup.service\n"
    "After=local-fs.target\n",
    "basic.target": "Requires=sysinit.target\nAfter=sysinit.target\n",
}


def text(command: PurePosixPath = COMMAND, legacy: bool = False) -> str:
    return unit(Service(command, beside=("nftables.service",), legacy=legacy))


def values(written: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in written.splitlines() if line.startswith(f"{key}=")]


def analyze(verb: str, *arguments: str | Path, units: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"SYSTEMD_UNIT_PATH": str(units)} if units else {})
    command = ["systemd-analyze", verb, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@contextmanager
def runnable(path: Path) -> Iterator[PurePosixPath]:
    """A command at this path, so that systemd finds it."""
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    yield PurePosixPath(path)


def put(directory: Path, *, command: PurePosixPath, more: str = "") -> Path:
    """A directory with our unit, and those that it has to do with."""
    for name, ordering in ORDERED.items():
        service = "[Service]\nType=oneshot\nExecStart=/bin/true\n" if name.endswith(".service") else ""
        (directory / name).write_text(f"[Unit]\n{ordering}{service}")
    services = " ".join(name for name in (*ORDERED, NAME) if name.endswith(".service"))
    (directory / "default.target").write_text(f"[Unit]\nRequires=basic.target\nAfter=basic.target\nWants={services}\n")
    hidden = text(COMMAND).replace(str(COMMAND), str(command))  # a test's command is below /tmp, which is refused
    (directory / NAME).write_text(hidden.replace("\n[Service]", f"{more}\n[Service]"))
    return directory / "default.target"


def test_the_same_service_is_the_same_text_with_our_mark_first() -> None:
    assert text() == text()
    assert text().startswith(MARK + "\n")


def test_it_restores_at_the_start_and_at_each_reload_and_removes_nothing_at_the_end() -> None:
    assert values(text(), "ExecStart") == values(text(), "ExecReload") == [f"{COMMAND} restore"]
    assert values(text(), "ExecStop") == []
    assert values(text(), "RemainAfterExit") == ["yes"]


def test_it_comes_after_what_flushes_goes_with_it_and_is_before_the_network() -> None:
    written = text()
    assert "network-pre.target" in values(written, "Before")[0].split()
    for key in ("After", "PartOf", "ReloadPropagatedFrom"):
        assert set(FLUSHING) <= set(values(written, key)[0].split())
    assert values(written, "WantedBy") == ["sysinit.target nftables.service"]


def test_legacy_gets_its_modules_and_its_lock_file_from_outside() -> None:
    written = text(legacy=True)
    assert "modprobe@ip_tables.service" in values(written, "Wants")[0].split()
    assert "modprobe@ip_tables.service" in values(written, "After")[0].split()
    assert values(written, "ExecStartPre") == ["+touch /run/xtables.lock"]
    assert "xtables" not in text()


@pytest.mark.parametrize("path", ["/root/venv/bin/ctpolicy", "/home/me/venv/bin/ctpolicy"])
def test_a_command_in_a_home_can_be_seen(path: str) -> None:
    assert values(text(PurePosixPath(path)), "ProtectHome") == ["read-only"]
    assert values(text(), "ProtectHome") == ["yes"]


@pytest.mark.parametrize(
    "path",
    [
        "ctpolicy",
        "bin/ctpolicy",
        "/opt/../tmp/ctpolicy",
        "/tmp/x/ctpolicy",
        "/run/x",
        "/opt/a\nb",
        "/opt/\x1b",
        "/opt/it's",
        '/opt/"',
        "/opt/back\\slash",
    ],
)
def test_a_path_that_is_relative_gone_at_boot_or_unprintable_is_refused(path: str) -> None:
    with pytest.raises(InputError):
        text(PurePosixPath(path))


@pytest.mark.parametrize("name", ["plain", "with blank", "100%", "%n", "a;b", "$HOME", "${HOME}", "~", "(x)", "ü"])
def test_systemd_reads_the_path_as_it_is(tmp_path: Path, name: str) -> None:
    with runnable(tmp_path / name / "ctpolicy") as command:
        units = tmp_path / "units"
        units.mkdir()
        target = put(units, command=COMMAND)
        written = text(PurePosixPath("/opt", name, "ctpolicy"))
        inside = str(tmp_path).replace("%", "%%")
        (units / NAME).write_text(written.replace("/opt/", f"{inside}/"))
        done = analyze("verify", target, units=units)
        assert (done.returncode, done.stderr) == (0, "")
        Path(command).unlink()
        done = analyze("verify", units / NAME, units=units)
        assert f"{command} is not executable" in done.stderr  # so it was this path that it looked at
        assert done.returncode != 0


def test_systemd_finds_no_fault_and_no_circle(tmp_path: Path) -> None:
    with runnable(tmp_path / "bin" / "ctpolicy") as command:
        done = analyze("verify", put(tmp_path, command=command), units=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_circle_would_be_found(tmp_path: Path) -> None:
    with runnable(tmp_path / "bin" / "ctpolicy") as command:
        done = analyze("verify", put(tmp_path, command=command, more="After=shorewall.service\n"), units=tmp_path)
        assert "ordering cycle" in done.stderr


@pytest.mark.parametrize("legacy", [False, True])
def test_systemd_measures_little_exposure(tmp_path: Path, legacy: bool) -> None:
    (tmp_path / NAME).write_text(text(legacy=legacy))
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", tmp_path / NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / NAME).write_text(text().replace("NoNewPrivileges=yes\n", "").replace("RestrictNamespaces=yes\n", ""))
    assert analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", tmp_path / NAME).returncode != 0


MAIN: Final = "from ctpolicy.cli.main import main; main()"
FORGET: Final = (
    "nft flush ruleset; for tool in iptables-legacy ip6tables-legacy; do $tool -t raw -F; $tool -t raw -X; done; "
    "ipset destroy"
)
READ_ONLY: Final = (
    "mount --make-rprivate / && mount -t tmpfs none /run && touch /run/xtables.lock && mount -o remount,ro /run && "
    'mount --bind "$1" "$1" && mount -o remount,bind,ro / && ! touch /sure 2>/dev/null && shift && exec "$@"'
)
# PR_SET_MDWE, which is what systemd 254 makes MemoryDenyWriteExecute= of; Linux 6.3.
NO_NEW_CODE: Final = """
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


def confined(namespace: Namespace, state: Path, capabilities: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Restore with as much of the unit's sandbox as there is without systemd."""
    kept = ",".join(("-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in capabilities)))
    setpriv = ["setpriv", f"--bounding-set={kept}", "--inh-caps=-all", "--no-new-privs"]
    restore = [sys.executable, "-c", MAIN, "restore", "--state", str(state)]
    inside = ["sh", "-c", READ_ONLY, "sh", str(state), *setpriv, sys.executable, "-c", NO_NEW_CODE, *restore]
    command = namespace.command("unshare", "--mount", *inside)
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where what was confirmed is kept, in the place of /var/lib/ctpolicy."""
    tmp_path.joinpath("state").mkdir(mode=0o700)
    return tmp_path / "state"


def _inside(namespace: Namespace, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = namespace.command(sys.executable, "-c", MAIN, *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def confirmed_and_forgotten(namespace: Namespace, state: Path, backend: str) -> None:
    """A policy was applied, and then the machine was started anew."""
    applied = _inside(namespace, "apply", "--yes", "--state", state, "--backend", backend, EXAMPLE)
    assert applied.returncode == 0, applied
    namespace.run("sh", "-c", FORGET, check=False)
    drifted = _inside(namespace, "status", "--detailed-exitcode", "--backend", backend, EXAMPLE)
    assert drifted.returncode == 10, drifted


@pytest.mark.kernel
@pytest.mark.parametrize("backend", ["nftables", "iptables-nft", "iptables-legacy"])
def test_what_was_confirmed_is_restored_with_what_the_unit_leaves(
    namespace: Namespace, state: Path, backend: str
) -> None:
    confirmed_and_forgotten(namespace, state, backend)
    done = confined(namespace, state, CAPABILITIES)
    if done.returncode == 77:
        skip_but_for_ci("this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert done.returncode == 0, done.stderr
    restored = _inside(namespace, "status", "--detailed-exitcode", "--backend", backend, EXAMPLE)
    assert restored.returncode == 0, restored


def test_the_service_finds_the_hosts_state_though_it_may_not_look_at_the_first_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before Linux 6.18, where the host's namespace has no number of its own: nothing was restored, and status 0."""
    monkeypatch.setattr(place, "_NUMBER_OF_THE_HOSTS", 0)
    monkeypatch.setattr(place, "_OF_THE_HOST", tmp_path / "not to be looked at")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert place.place_of(None).state != place.STATE
    monkeypatch.setenv("STATE_DIRECTORY", str(place.STATE))  # as systemd says because of StateDirectory=ctpolicy
    assert place.place_of(None) == place.Place(place.STATE, place.RUNTIME)
    assert values(text(), "StateDirectory") == [place.STATE.name]
    assert not place.is_the_hosts(Path("/run/netns/another"))


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("backend", "missing"),
    [("nftables", "CAP_NET_ADMIN"), ("iptables-nft", "CAP_NET_RAW"), ("iptables-legacy", "CAP_NET_RAW")],
)
def test_no_capability_is_left_that_is_not_needed(
    namespace: Namespace, state: Path, backend: str, missing: str
) -> None:
    confirmed_and_forgotten(namespace, state, backend)
    done = confined(namespace, state, tuple(name for name in CAPABILITIES if name != missing))
    assert done.returncode not in {0, 1}, done


def test_the_file_is_written_whole_readable_and_once(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        path = write_unit(text(), tmp_path)
    finally:
        os.umask(before)
    assert path.read_text() == text()
    assert path.stat().st_mode & 0o7777 == 0o644
    write_unit(text(legacy=True), tmp_path)
    assert path.read_text() == text(legacy=True)
    assert [found.name for found in tmp_path.iterdir()] == [NAME]


def test_anothers_unit_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("[Unit]\nDescription=my own\n")
    with pytest.raises(HostError, match="ctpolicy did not write it"):
        write_unit(text(), tmp_path)
    with pytest.raises(HostError, match="ctpolicy did not write it"):
        remove_unit(tmp_path)
    assert "my own" in (tmp_path / NAME).read_text()


@pytest.mark.parametrize("target", ["/dev/null", "victim"])
def test_no_link_is_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "victim").write_text(MARK + "\nprecious\n")
    (tmp_path / NAME).symlink_to(target)
    with pytest.raises(HostError, match="is a symbolic link"):
        write_unit(text(), tmp_path)
    with pytest.raises(HostError, match="is a symbolic link"):
        remove_unit(tmp_path)
    assert (tmp_path / "victim").read_text() == MARK + "\nprecious\n"


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_unit(text(), tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ctpolicy.apply.unit_file.os.fsync", full)
    with pytest.raises(HostError, match="No space left on device"):
        write_unit(text(legacy=True), tmp_path)
    assert (tmp_path / NAME).read_text() == text()
    assert [found.name for found in tmp_path.iterdir()] == [NAME]


def test_what_is_enabled_is_not_removed(tmp_path: Path) -> None:
    path = write_unit(text(), tmp_path)
    wants = tmp_path / "sysinit.target.wants"
    wants.mkdir()
    (wants / NAME).symlink_to(path)
    with pytest.raises(HostError, match="systemctl disable --now ctpolicy"):
        remove_unit(tmp_path)
    (wants / NAME).unlink()
    assert remove_unit(tmp_path) == path
    assert remove_unit(tmp_path) is None
    assert remove_unit(tmp_path / "nowhere") is None


def test_systemctl_enables_and_disables_it(tmp_path: Path) -> None:
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    write_unit(text(), units)
    enabled = subprocess.run(["systemctl", f"--root={tmp_path}", "enable", NAME], capture_output=True, text=True)
    assert enabled.returncode == 0, enabled
    assert {str(link.relative_to(units)) for link in units.glob("*.wants/*")} == {
        f"sysinit.target.wants/{NAME}",
        f"nftables.service.wants/{NAME}",
    }
    subprocess.run(["systemctl", f"--root={tmp_path}", "disable", NAME], capture_output=True, check=True)
    assert remove_unit(units) == units / NAME


def _command(directory: Path) -> Path:
    path = directory / "ctpolicy"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_what_flushes_and_is_installed_is_known(tmp_path: Path) -> None:
    (tmp_path / "nftables.service").touch()
    service = this_service(_command(tmp_path), False, [tmp_path], whoever_asked())
    assert service.beside == ("nftables.service",)
    assert PurePosixPath(tmp_path / "ctpolicy") == service.command


def test_a_virtual_environment_is_reachable_with_its_interpreter(tmp_path: Path) -> None:
    service = this_service(_command(tmp_path), False, [tmp_path], whoever_asked())
    for path in (Path(sys.prefix), Path(sys.base_prefix)):
        assert path.is_relative_to("/usr") or PurePosixPath(path) in service.needs


def test_a_command_that_others_could_change_is_refused(tmp_path: Path) -> None:
    command = _command(tmp_path)
    command.chmod(0o777)
    with pytest.raises(InputError, match="others could change it"):
        this_service(command, False, [tmp_path], whoever_asked())
    command.chmod(0o755)
    tmp_path.chmod(0o777)
    with pytest.raises(InputError, match=f"chmod go-w {tmp_path}"):
        this_service(command, False, [tmp_path], whoever_asked())
    tmp_path.chmod(0o700)
    command.chmod(0o644)
    with pytest.raises(InputError, match="is no command that can be run"):
        this_service(command, False, [tmp_path], whoever_asked())
