"""Whatever happens to libnftables happens in a child: it is told as what it is, and changes nothing of ours."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from ctpolicy.errors import CtpolicyError, DeadlineError, HostError, InputError, KernelCrashError, RefusedError
from ctpolicy.namespaces import namespace_path
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.kernel import Libnftables
from ctpolicy.nftables.worker import WorkerStatus


def _worker(code: str, deadline: float = 20.0) -> Libnftables:
    """A kernel whose child runs this instead of libnftables."""
    return Libnftables(deadline=deadline, worker=(sys.executable, "-I", "-c", code))


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("import os; os.abort()", KernelCrashError, "killed by signal 6"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", KernelCrashError, "killed by signal 11"),
        ("raise RuntimeError('inside')", KernelCrashError, "RuntimeError: inside"),
        ("import sys; sys.exit(77)", KernelCrashError, "exit status 77"),
        ("import sys; sys.stderr.write('Operation not permitted'); sys.exit(10)", HostError, "CAP_NET_ADMIN"),
        ("import sys; sys.stderr.write('Error: nonsense'); sys.exit(10)", RefusedError, "nonsense"),
        ("import sys; sys.stderr.write('no file'); sys.exit(11)", HostError, "apt-get install libnftables1"),
        ("print('half a listi')", InputError, "not JSON"),
    ],
)
def test_a_failing_child_is_told_as_what_it_is(code: str, error: type[CtpolicyError], says: str) -> None:
    with pytest.raises(error, match=says) as told:
        NftablesHost(_worker(code)).read()
    assert type(told.value) is error


def test_a_hanging_child_is_ended_at_the_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="did not answer within"):
        _worker("import time; time.sleep(600)", deadline=0.5).table_listing()
    assert time.monotonic() - started < 60


def test_a_child_that_cannot_be_started_is_told() -> None:
    with pytest.raises(HostError, match="could not be started"):
        Libnftables(worker=("/nonexistent/python",)).table_listing()


def test_no_table_is_no_output() -> None:
    assert NftablesHost(_worker("")).read() is None


def test_the_childs_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/nonexistent.so")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    code = "import os, sys; sys.stderr.write(','.join(sorted(os.environ))); sys.exit(10)"
    with pytest.raises(RefusedError) as told:
        _worker(code).commit({"nftables": []})
    # Python itself may add LC_CTYPE.
    assert set(str(told.value).split(": ")[1].split(",")) <= {"LC_ALL", "PATH", "LC_CTYPE"}


def test_the_transaction_reaches_the_child_whole() -> None:
    document = {"nftables": [{"add": {"table": {"family": "inet", "name": "n" * 100_000}}}]}
    code = f"import sys; sys.exit(0 if len(sys.stdin.read()) == {len(json.dumps(document))} else 77)"
    _worker(code).commit(document)


def test_statuses_of_the_child_are_none_of_pythons_own() -> None:
    assert not {status.value for status in WorkerStatus if status} & {1, 2, 120}


def test_a_file_that_is_no_namespace_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises((InputError, HostError), match=r"not a network namespace|CAP_SYS_ADMIN"):
        Libnftables(namespace_path(str(path))).table_listing()


@pytest.mark.parametrize("name", ["nothing-of-this-name", "/proc/nowhere/ns/net", "..", ""])
def test_a_namespace_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(InputError, match="no network namespace"):
        namespace_path(name)


def test_libnftables_missing_is_told() -> None:
    # The bindings load libnftables.so.1 by name; a child in which no library can be loaded stands for a host without.
    code = (
        "import ctypes, sys\n"
        "def missing(*_, **__): raise OSError('libnftables.so.1: cannot open shared object file')\n"
        "ctypes.cdll.LoadLibrary = missing\n"
        "from ctpolicy.nftables.worker import main\n"
        "sys.exit(main(['list']))\n"
    )
    with pytest.raises(HostError, match=r"cannot open shared object file.*apt-get install libnftables1"):
        _worker(code).table_listing()


def test_signals_of_the_terminal_do_not_reach_the_child() -> None:
    code = "import os, sys; sys.exit(0 if os.getpgrp() == os.getpid() else 77)"
    _worker(code).commit({"nftables": []})
