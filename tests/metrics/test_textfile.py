"""The textfile is whole at every moment, and node_exporter may read it."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from ctpolicy.errors import HostError
from ctpolicy.metrics.textfile import write_textfile


def test_everybody_may_read_it_and_nothing_else_is_left(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_textfile(tmp_path / "ctpolicy.prom", b"a 1\n")
    finally:
        os.umask(before)
    assert (tmp_path / "ctpolicy.prom").read_bytes() == b"a 1\n"
    assert stat.S_IMODE((tmp_path / "ctpolicy.prom").stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["ctpolicy.prom"]


def test_a_reader_sees_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "ctpolicy.prom"
    contents = {bytes([letter]) * 200_000 for letter in b"ab"}
    write_textfile(path, min(contents))
    torn: list[bytes] = []
    ended = threading.Event()

    def reads() -> None:
        while not ended.is_set():
            if (found := path.read_bytes()) not in contents:
                torn.append(found)

    reader = threading.Thread(target=reads)
    reader.start()
    for _ in range(50):
        for content in sorted(contents):
            write_textfile(path, content)
    ended.set()
    reader.join()
    assert torn == []


def test_the_temporary_file_is_none_that_node_exporter_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def replaced(self: Path, target: Path) -> None:
        seen.extend(path.name for path in tmp_path.iterdir())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", replaced)
    with pytest.raises(HostError, match=r"ctpolicy\.prom cannot be written: No space left on device\."):
        write_textfile(tmp_path / "ctpolicy.prom", b"a 1\n")
    assert len(seen) == 1
    assert not seen[0].endswith(".prom")
    assert list(tmp_path.iterdir()) == [], "what could not be put in its place is removed"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / "ctpolicy.prom").symlink_to(tmp_path / "elsewhere")
    write_textfile(tmp_path / "ctpolicy.prom", b"a 1\n")
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    assert not (tmp_path / "ctpolicy.prom").is_symlink()


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file or directory"):
        write_textfile(tmp_path / "none" / "ctpolicy.prom", b"")
