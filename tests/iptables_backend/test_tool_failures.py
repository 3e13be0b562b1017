"""Whatever happens to the tools is told as what it is, with what is missing and how to get it.

The messages are those of iptables 1.8.9 and ipset 7.17 (those about IPv6 and missing modules: as hosts without have
shown them), from programs of the test that end as the tools do.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ctpolicy.errors import (
    CtpolicyError,
    DeadlineError,
    HostError,
    InputError,
    KernelCrashError,
    LockError,
    RefusedError,
)
from ctpolicy.iptables import worker
from ctpolicy.iptables.failures import SetsRefusedError
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.iptables.worker import WorkerStatus
from ctpolicy.packetspace.fields import Family
from iptables_backend.fake_programs import failing, program

CHANGE = "*raw\n:OURS - [0:0]\nCOMMIT\n"
HELP = "Error occurred at line: 1\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.\n"
NO_TABLE = f"iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'raw'\n\n{HELP}"
LOCKED = (
    "Can't lock /run/xtables.lock: Resource temporarily unavailable\n"
    "Another app is currently holding the xtables lock. Stopped waiting after 1s.\n"
)

LEGACY_FAILURES = {
    "lock held": (4, LOCKED, LockError, "Another iptables held the lock"),
    "lock file": (4, "Fatal: can't open lock file /run/xtables.lock: Read-only file system\n", HostError, "lock file"),
    "xt_CT": (
        *(
            1,
            "Warning: Extension CT revision 0 not supported, missing kernel module?\niptables-restore: line 4 failed\n",
        ),
        *(HostError, "lacks the iptables extension CT: modprobe xt_CT"),
    ),
    "xt_set": (
        2,
        f"iptables-restore v1.8.9 (legacy): Kernel module xt_set is not loaded in.\n\n{HELP}",
        HostError,
        "xt_set",
    ),
    "no ipset": (2, f"iptables-restore v1.8.9 (legacy): Can't open socket to ipset.\n\n{HELP}", HostError, "no-ipset"),
    "no library": (
        *(2, f"iptables-restore v1.8.9 (legacy): Couldn't load target `CT':No such file or directory\n\n{HELP}"),
        *(HostError, "without its extension CT: apt-get install iptables"),
    ),
    "no chain": (
        *(2, f"iptables-restore v1.8.9 (legacy): Couldn't load target `GONE':No such file or directory\n\n{HELP}"),
        *(RefusedError, "refused all of it: .*`GONE'"),
    ),
    "no set": (2, f"iptables-restore v1.8.9 (legacy): Set gone doesn't exist.\n\n{HELP}", RefusedError, "Set gone"),
    "commit": (1, "iptables-restore: line 3 failed\n", RefusedError, "refused all of it: iptables-restore: line 3"),
    "busy": (4, "iptables-restore: Resource temporarily unavailable.\n", RefusedError, "Try again"),
    "a shell's": (127, "", KernelCrashError, "exit status 127"),
}

NFT_FAILURES = {
    "privilege": (
        *(
            4,
            "iptables-nft-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: "
            "Permission denied (you must be root)\n",
        ),
        *(HostError, r"run this as root \(sudo\)"),
    ),
    "nf_tables": (
        *(4, "iptables-nft-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Invalid argument\n"),
        *(HostError, "modprobe nf_tables"),
    ),
    "no protocol": (
        *(1, "iptables-nft-restore/1.8.9 Failed to initialize nft: Protocol not supported\n"),
        *(HostError, "modprobe nf_tables"),
    ),
    "xt_CT": (
        4,
        "Warning: Extension CT revision 0 not supported, missing kernel module?\niptables-nft-restore v1.8.9 "
        "(nf_tables): \nline 3: RULE_APPEND failed (No such file or directory): rule in chain OURS\n",
        HostError,
        "modprobe xt_CT",
    ),
    "no deletion": (
        *(1, "iptables-nft-restore: line 2 failed: Bad rule (does a matching rule exist in that chain?).\n"),
        *(RefusedError, "Bad rule"),
    ),
}


def tools(directory: Path, deadline: float = 20.0) -> IptablesTools:
    return IptablesTools(deadline=deadline, lock_wait=1, path=str(directory))


def told(asked: CtpolicyError, error: type[CtpolicyError]) -> None:
    assert type(asked) is error, repr(asked)
    assert asked.exit_status == (6 if issubclass(error, DeadlineError) else 5)


@pytest.mark.parametrize("failure", LEGACY_FAILURES)
def test_what_iptables_legacy_says_is_told_as_what_it_is(failure: str, tmp_path: Path) -> None:
    status, errors, error, says = LEGACY_FAILURES[failure]
    failing(tmp_path, "iptables-legacy-restore", status, errors)
    with pytest.raises(error, match=says) as raised:
        tools(tmp_path).restore(Variant.LEGACY, Family.IPV4, CHANGE)
    told(raised.value, error)


@pytest.mark.parametrize("failure", NFT_FAILURES)
def test_what_iptables_nft_says_is_told_as_what_it_is(failure: str, tmp_path: Path) -> None:
    status, errors, error, says = NFT_FAILURES[failure]
    failing(tmp_path, "iptables-nft-restore", status, errors)
    with pytest.raises(error, match=says) as raised:
        tools(tmp_path).restore(Variant.NFT, Family.IPV4, CHANGE)
    told(raised.value, error)


@pytest.mark.parametrize(
    ("family", "reason", "says"),
    [
        (Family.IPV4, "Permission denied (you must be root)", r"run this as root \(sudo\)"),
        (Family.IPV4, "Table does not exist (do you need to insmod?)", "modprobe iptable_raw"),
        (Family.IPV6, "Table does not exist (do you need to insmod?)", "modprobe ip6table_raw"),
        (Family.IPV6, "Address family not supported by protocol", r"ipv6.disable=1.*families: \[ipv4\]"),
    ],
)
def test_why_legacy_has_no_table_is_asked_of_its_sister(family: Family, reason: str, says: str, tmp_path: Path) -> None:
    """iptables-legacy-restore says the same of all four: "unable to initialize table" (1.8.9)."""
    name = "iptables" if family is Family.IPV4 else "ip6tables"
    failing(tmp_path, f"{name}-legacy-restore", 2, NO_TABLE)
    failing(tmp_path, f"{name}-legacy-save", 1, f"{name}-save v1.8.9 (legacy): Cannot initialize: {reason}\n\n")
    with pytest.raises(HostError, match=says) as raised:
        tools(tmp_path).restore(Variant.LEGACY, family, CHANGE)
    told(raised.value, HostError)


@pytest.mark.parametrize(
    ("errors", "error", "says"),
    [
        ("ipset v7.17: Kernel error received: Operation not permitted\n", HostError, r"run this as root \(sudo\)"),
        (
            "ipset v7.17: Error in line 3: Element cannot be added to the set: it's already added\n",
            SetsRefusedError,
            "before it was",
        ),
        (
            "ipset v7.17: Error in line 1: Set cannot be destroyed: it is in use by a kernel component\n",
            SetsRefusedError,
            "in use",
        ),
        (
            "ipset v7.17: Error in line 1: Kernel error received: Invalid argument\n",
            SetsRefusedError,
            "Invalid argument",
        ),
        ("ipset v7.17: Cannot open session to kernel.\n", HostError, "modprobe ip_set.*--no-ipset"),
        ("ipset v7.17: Error in line 1: Kernel error received: set type not supported\n", HostError, "ip_set_hash_net"),
    ],
)
def test_what_ipset_says_is_told_as_what_it_is(
    errors: str, error: type[CtpolicyError], says: str, tmp_path: Path
) -> None:
    failing(tmp_path, "ipset", 1, errors)
    with pytest.raises(error, match=says) as raised:
        tools(tmp_path).restore_sets("create one hash:net\n")
    told(raised.value, error)


def test_only_a_refusal_behind_the_first_line_says_that_something_was_done(tmp_path: Path) -> None:
    failing(tmp_path, "ipset", 1, "ipset v7.17: Error in line 1: The set with the given name does not exist\n")
    with pytest.raises(SetsRefusedError) as raised:
        tools(tmp_path).restore_sets("destroy one\n")
    assert "carried out" not in str(raised.value)


def test_a_host_without_ipset_has_no_answer_about_sets(tmp_path: Path) -> None:
    assert tools(tmp_path).sets() is None
    with pytest.raises(HostError, match="apt-get install ipset"):
        tools(tmp_path).restore_sets("create one hash:net\n")


def test_a_kernel_without_ipset_has_no_answer_about_sets(tmp_path: Path) -> None:
    failing(tmp_path, "ipset", 1, "ipset v7.17: Cannot open session to kernel.\n")
    assert tools(tmp_path).sets() is None


def test_sets_that_may_not_be_read_are_no_missing_ipset(tmp_path: Path) -> None:
    failing(tmp_path, "ipset", 1, "ipset v7.17: Kernel error received: Operation not permitted\n")
    with pytest.raises(HostError, match="as root"):
        tools(tmp_path).sets()


@pytest.mark.parametrize("variant", Variant)
def test_a_tool_that_is_not_installed_is_told(variant: Variant, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"iptables-{variant.value}-restore cannot be run.*apt-get install iptables"):
        tools(tmp_path).restore(variant, Family.IPV4, CHANGE)


def test_a_tool_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "ipset").write_bytes(b"\x7fELF and no more")
    (tmp_path / "ipset").chmod(0o755)
    with pytest.raises(HostError, match=r"ipset cannot be run.*Exec format error"):
        tools(tmp_path).restore_sets("")


def test_a_hanging_tool_is_ended_at_the_deadline(tmp_path: Path) -> None:
    started = tmp_path / "started"
    program(tmp_path, "iptables-legacy-restore", f"echo $$ >{started}\nexec /bin/sleep 600")
    begun = time.monotonic()
    with pytest.raises(DeadlineError, match=r"did not end within .* read the host again") as raised:
        tools(tmp_path, deadline=0.5).restore(Variant.LEGACY, Family.IPV4, CHANGE)
    assert type(raised.value) is DeadlineError
    assert time.monotonic() - begun < 60
    assert not Path(f"/proc/{started.read_text().strip()}").exists()


def test_a_grandchild_that_lives_on_holds_nobody_up(tmp_path: Path) -> None:
    """As modprobe may: nothing waits for it, because nothing reads from a pipe that it has."""
    program(tmp_path, "iptables-legacy-restore", "/bin/sleep 30 &\nexit 0")
    begun = time.monotonic()
    tools(tmp_path).restore(Variant.LEGACY, Family.IPV4, CHANGE)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("signal", ["KILL", "SEGV", "ABRT"])
def test_a_tool_that_was_killed_may_have_changed_something(signal: str, tmp_path: Path) -> None:
    program(tmp_path, "iptables-legacy-restore", f"kill -{signal} $$")
    with pytest.raises(KernelCrashError, match=r"died in mid-call .killed by signal"):
        tools(tmp_path).restore(Variant.LEGACY, Family.IPV4, CHANGE)


def test_a_tool_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    program(tmp_path, "ipset", "exec /usr/bin/yes")
    with pytest.raises(KernelCrashError, match=f"printed more than {worker.MOST_OUTPUT} bytes"):
        tools(tmp_path).sets()


def test_a_worker_that_dies_before_it_is_the_tool_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text("raise RuntimeError('inside')")
    monkeypatch.setattr(worker, "__file__", str(tmp_path / "worker.py"))
    with pytest.raises(KernelCrashError, match="RuntimeError: inside"):
        tools(tmp_path).restore(Variant.LEGACY, Family.IPV4, CHANGE)
    with pytest.raises(KernelCrashError, match="RuntimeError: inside"):
        tools(tmp_path).restore_sets("")


def test_what_a_tool_says_about_its_failure_is_cut(tmp_path: Path) -> None:
    failing(tmp_path, "iptables-legacy-restore", 1, "iptables-restore: line 1 failed\n" * 1000)
    with pytest.raises(RefusedError) as raised:
        tools(tmp_path).restore(Variant.LEGACY, Family.IPV4, CHANGE)
    assert len(str(raised.value)) < 5000


def test_the_tools_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("XTABLES_LIBDIR", "/nonexistent")
    monkeypatch.setenv("IPSET_SOMETHING", "1")
    program(tmp_path, "ipset", "/usr/bin/env")
    printed = tools(tmp_path).sets()
    assert printed is not None
    # The shell adds PWD and _; Python may add LC_CTYPE.
    assert {line.split("=")[0] for line in printed.splitlines()} - {"PWD", "_", "SHLVL", "OLDPWD"} <= {
        *("LC_ALL", "LC_CTYPE", "PATH", "XTABLES_LOCKFILE")
    }


def test_the_change_reaches_the_tool_whole_and_byte_for_byte(tmp_path: Path) -> None:
    program(tmp_path, "iptables-nft-restore", f"/bin/cat >{tmp_path}/given; echo $@ >{tmp_path}/arguments")
    comment = b"caf\xe9 \xff".decode(errors="surrogateescape")
    rules = "".join(f"-D OURS -m comment --comment {comment}{number}\n" for number in range(20_000))
    tools(tmp_path).restore(Variant.NFT, Family.IPV4, f"*raw\n{rules}COMMIT\n")
    assert (tmp_path / "given").read_bytes().count(b"caf\xe9 \xff") == 20_000
    assert (tmp_path / "arguments").read_text() == "--noflush --counters\n"


def test_legacy_always_waits_for_the_lock_and_not_without_end(tmp_path: Path) -> None:
    program(tmp_path, "ip6tables-legacy-restore", f"echo $@ >{tmp_path}/arguments")
    tools(tmp_path).restore(Variant.LEGACY, Family.IPV6, CHANGE)
    assert (tmp_path / "arguments").read_text() == "--noflush --counters -w 1\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*raw\n",
        "*raw\n:OURS - [0:0]\n",
        "*filter\nCOMMIT\n",
        "*raw\nCOMMIT\n*filter\nCOMMIT\n",
        "*raw\nCOMMIT\n*raw\nCOMMIT\n",
        "*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n",
        "*raw\n:OUTPUT DROP [0:0]\nCOMMIT\n",
        "*raw\n:OURS\nCOMMIT\n",
    ],
)
def test_a_change_that_is_not_ours_to_make_never_reaches_a_tool(text: str, tmp_path: Path) -> None:
    program(tmp_path, "iptables-nft-restore", f"echo >{tmp_path}/called")
    with pytest.raises(ValueError, match="not a change of ours"):
        tools(tmp_path).restore(Variant.NFT, Family.IPV4, text)
    assert not (tmp_path / "called").exists()


def test_a_file_that_is_no_namespace_is_told(tmp_path: Path) -> None:
    program(tmp_path, "ipset", "exit 0")
    (tmp_path / "file").touch()
    with pytest.raises((InputError, HostError), match=r"not a network namespace|CAP_SYS_ADMIN"):
        IptablesTools(tmp_path / "file", path=str(tmp_path)).sets()


def test_a_namespace_that_is_gone_is_told(tmp_path: Path) -> None:
    program(tmp_path, "ipset", "exit 0")
    with pytest.raises(InputError, match="No such file"):
        IptablesTools(tmp_path / "gone", path=str(tmp_path)).sets()


def test_statuses_of_the_worker_are_none_of_pythons_or_the_tools_own() -> None:
    assert not {status.value for status in WorkerStatus} & {0, 1, 2, 3, 4, 120, 126, 127}
