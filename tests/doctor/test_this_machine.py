"""The door itself: programs that are missing, hang or fail, files that may not be read, and nobody's privileges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ctpolicy
from ctpolicy.doctor import this_machine
from ctpolicy.doctor.facts import WORKS, Trial, Unseen
from ctpolicy.doctor.kernel_log import record
from ctpolicy.doctor.machine import Ran
from ctpolicy.doctor.this_machine import ThisMachine
from iptables_backend.fake_programs import program
from kernel.namespace import skip_but_for_ci

AS_NOBODY = """
import os, sys
import ctpolicy.cli.doctor, ctpolicy.cli.main
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.argv[:1] = ["ctpolicy"]
ctpolicy.cli.main.main()
"""


def test_a_program_is_found_on_the_path_alone(tmp_path: Path) -> None:
    program(tmp_path, "nft", 'echo "$@"; echo oh >&2; exit 3')
    machine = ThisMachine(path=f"relative:{tmp_path}")
    assert machine.run("nft", "--version", "a b") == Ran(3, "--version a b\n", "oh\n")
    assert machine.run("ipset") is None
    (tmp_path / "ipset").write_text("not executable")
    assert machine.run("ipset") is None


def test_a_program_that_hangs_is_ended_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_machine, "PATIENCE", 0.3)
    program(tmp_path, "nft", "exec /bin/sleep 60")
    began = time.monotonic()
    hung = ThisMachine(path=str(tmp_path)).run("nft")
    assert isinstance(hung, Unseen) and "did not end within 0.3 seconds" in hung.why
    assert time.monotonic() - began < 10


def test_a_program_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "nft").write_bytes(b"\x7fELF nothing of the kind")
    (tmp_path / "nft").chmod(0o755)
    assert isinstance(ThisMachine(path=str(tmp_path)).run("nft"), Unseen)


@pytest.mark.kernel
def test_without_the_tools_of_iptables_the_rest_is_tried(tmp_path: Path) -> None:
    tried = ThisMachine(path=str(tmp_path)).trials()
    if isinstance(tried, Unseen):
        skip_but_for_ci(f"nothing can be tried: {tried.why}")
    assert {tried[trial] for trial in (Trial.NF_TABLES, Trial.NFT_NOTRACK, Trial.NFT_FIB, Trial.CONNTRACK)} == {WORKS}
    for trial in (Trial.LEGACY_IPV4, Trial.NFT_IPV6, Trial.IPSET):
        assert "cannot be run (not installed)" in tried[trial]


def test_a_file_that_is_missing_is_none_and_one_that_cannot_be_read_is_unseen(tmp_path: Path) -> None:
    machine = ThisMachine()
    assert machine.text(str(tmp_path / "none")) is None
    assert isinstance(machine.text(str(tmp_path)), Unseen)
    assert machine.directory(str(tmp_path / "none")) is None
    (tmp_path / "link").symlink_to(tmp_path)
    assert isinstance(machine.directory(str(tmp_path / "link")), Unseen), "a link is not followed"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"4,877,2000000,-;nf_conntrack: table full\n SUBSYSTEM=net\n", "nf_conntrack: table full"),
        (b"6,1,0,-,caller=T1;a;b\n", "a;b"),
        (b"nonsense\n", None),
    ],
)
def test_records_of_the_kernels_log(raw: bytes, text: str | None) -> None:
    read = record(raw, booted=1000.0)
    assert (read.text if read else None) == text


def test_nobody_is_told_what_could_not_be_seen_and_nothing_is_called_fine_that_was_not_looked_at() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(ctpolicy.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, "doctor", "--json"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    assert done.returncode in {0, 8}
    severities: dict[str, set[str]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        severities.setdefault(finding["code"], set()).add(finding["severity"])
    for code in ("kernel-untried", "rules-unread", "conntrack-active", "iptables-variants", "others-notrack"):
        assert severities[code] == {"unknown"}, code
    assert severities["namespaces"] == severities["in-force"] == {"unknown"}
    assert severities["kernel-version"] == {"fine"}
